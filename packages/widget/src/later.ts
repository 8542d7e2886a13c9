/** What few conversations have is loaded when it is there for the first time, and can be asked for again. */
import type { Say } from "../../../web-demo/src/page/say";
import { button, make } from "./parts";

interface View<Shown> {
  readonly root: HTMLElement;
  show(what: readonly Shown[]): void;
}

export class Later<Shown> implements View<Shown> {
  readonly root = make("div", { className: "later" });
  readonly #load: () => Promise<View<Shown>>;
  readonly #say: Say;
  #what: readonly Shown[] = [];
  #view: Promise<View<Shown>> | null = null;

  constructor(load: () => Promise<View<Shown>>, say: Say) {
    this.#load = load;
    this.#say = say;
  }

  /** Nothing is loaded for nothing. */
  show(what: readonly Shown[]): void {
    this.#what = what;
    if (what.length === 0 && this.#view === null) return;
    this.#view ??= this.#loaded();
    this.#view.then(
      (view) => view.show(this.#what),
      () => this.#offerAgain(),
    );
  }

  async #loaded(): Promise<View<Shown>> {
    const view = await this.#load();
    this.root.replaceChildren(view.root);
    return view;
  }

  #offerAgain(): void {
    this.#view = null;
    const again = button(this.#say("Try again"), "copy", () => {
      this.root.replaceChildren();
      this.show(this.#what);
    });
    const text = this.#say("A part of this answer could not be loaded.");
    this.root.replaceChildren(make("p", {}, text), again);
  }
}
