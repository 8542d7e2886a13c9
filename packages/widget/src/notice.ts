/** What was refused, above the box for questions, until it is dismissed or something else is told. */
import type { Say } from "../../../web-demo/src/page/say";
import { button, make, part } from "./parts";

export class Notice {
  readonly root = part(make("div", { className: "notice", hidden: true }), "notice");
  readonly #text = make("p");

  constructor(say: Say) {
    this.#text.setAttribute("role", "alert");
    const dismiss = button(say("Dismiss"), "copy", () => this.show(""));
    this.root.append(this.#text, dismiss);
  }

  show(text: string): void {
    this.root.hidden = text === "";
    this.#text.textContent = text;
  }
}
