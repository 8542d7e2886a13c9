/**
 * What stands beside the conversation, or over it where there is no room beside: the documents, and one that is being
 * read. The focus goes there and comes back.
 */
import { byId } from "../element";

export type SideView = "shelf" | "reader";

/** Below this width the panel takes the place of the conversation; the style sheet has the same. */
const OVER = "(max-width: 60rem)";
const VIEWS: readonly SideView[] = ["shelf", "reader"];

export class SidePanel {
  readonly #panel = byId("side");
  readonly #title = byId("side-title");
  readonly #back = byId("side-back");
  readonly #toggle = byId("documents-toggle");
  readonly #over = matchMedia(OVER);
  /** Lets the conversation keep its place while its width changes. */
  readonly #around: (change: () => void) => void;
  #opener: HTMLElement | null = null;
  /** What to do when the documents are about to be shown. */
  onShelf: () => void = () => {};
  /** What to do when nothing is read any more. */
  onLeft: () => void = () => {};

  constructor(around: (change: () => void) => void) {
    this.#around = around;
    this.#over.addEventListener("change", () => this.#cover());
    this.#toggle.addEventListener("click", () => this.toggle());
    this.#back.addEventListener("click", () => this.showShelf());
    byId("side-close").addEventListener("click", () => this.close());
    this.#panel.addEventListener("keydown", (event) => {
      if (event.key !== "Escape" || event.isComposing) return;
      // It must not stop an answer as well.
      event.stopPropagation();
      this.close();
    });
    document.addEventListener("keydown", (event) => {
      // By the place of the key: with Alt it writes another character on some keyboards.
      if (event.code !== "KeyD" || !event.altKey || !event.shiftKey || event.isComposing) return;
      event.preventDefault();
      this.toggle();
    });
  }

  get isOpen(): boolean {
    return !this.#panel.hidden;
  }

  toggle(): void {
    if (this.isOpen && !byId("shelf").hidden) this.close();
    else this.showShelf();
  }

  showShelf(): void {
    this.#show("shelf", "Documents");
    this.onShelf();
  }

  /** `title`: of the document. */
  showReader(title: string): void {
    this.#show("reader", title);
  }

  close(): void {
    if (!this.isOpen) return;
    const opener = this.#opener;
    this.#opener = null;
    this.#around(() => {
      this.#panel.hidden = true;
      this.#toggle.setAttribute("aria-expanded", "false");
      this.#cover();
    });
    this.onLeft();
    // What opened it may be gone meanwhile, as a message is that was replaced.
    const there = opener?.isConnected ? opener : byId("composer-text");
    there.focus({ preventScroll: true });
  }

  #show(view: SideView, title: string): void {
    const { activeElement } = document;
    const outside = activeElement instanceof HTMLElement && !this.#panel.contains(activeElement);
    if (outside) this.#opener = activeElement === document.body ? this.#toggle : activeElement;
    this.#around(() => {
      this.#panel.hidden = false;
      for (const other of VIEWS) byId(other).hidden = other !== view;
      this.#toggle.setAttribute("aria-expanded", "true");
      this.#back.hidden = view === "shelf";
      this.#cover();
    });
    this.#title.textContent = title;
    // The keys that scroll are to scroll what is read.
    (view === "reader" ? byId("reader") : this.#title).focus({ preventScroll: true });
    if (view === "shelf") this.onLeft();
  }

  /** What the panel lies over can neither be seen nor reached. */
  #cover(): void {
    const covered = this.isOpen && this.#over.matches;
    document.body.toggleAttribute("data-side", this.isOpen);
    for (const below of document.querySelectorAll("main, .composer, .foot"))
      below.toggleAttribute("inert", covered);
  }
}
