/** A card for each assistant: a button with its title and what it is for. */
import type { Assistant } from "@rivulet/client";
import { languageOf } from "./assistants";
import { make } from "./element";

export class AssistantCards {
  readonly #list = make("ul", { className: "assistants" });
  readonly #pick: (assistant: Assistant) => void;
  #shown: readonly Assistant[] = [];

  constructor(place: HTMLElement, pick: (assistant: Assistant) => void) {
    this.#pick = pick;
    this.#list.setAttribute("aria-label", "Who answers");
    place.append(this.#list);
  }

  /** The cards stay as long as the list is the same one, and the focus with them. */
  show(offered: readonly Assistant[], current: Assistant | undefined): void {
    if (offered !== this.#shown)
      this.#list.replaceChildren(...offered.map((assistant) => this.#card(assistant)));
    this.#shown = offered;
    offered.forEach((assistant, at) => {
      const button = this.#list.children[at]?.firstElementChild;
      button?.setAttribute("aria-pressed", String(assistant === current));
    });
  }

  #card(assistant: Assistant): HTMLElement {
    const { title, description = "" } = assistant;
    const button = make(
      "button",
      { type: "button", className: "option assistant", lang: languageOf(assistant) },
      make("span", { className: "assistant-title", dir: "auto", textContent: title }),
      make("span", { className: "assistant-text", dir: "auto", textContent: description }),
    );
    button.addEventListener("click", () => this.#pick(assistant));
    return make("li", {}, button);
  }
}
