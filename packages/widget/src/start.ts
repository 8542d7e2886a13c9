/** What an empty conversation shows: what the assistant says first, and what one might ask. */
import type { Assistant } from "@rivulet/client";
import { languageOf } from "../../../web-demo/src/page/assistants";
import type { Say } from "../../../web-demo/src/page/say";
import { button, make, part } from "./parts";
import type { Settings } from "./settings";

export class Start {
  readonly root = make("div", { className: "start" });
  readonly #greeting = part(make("p", { className: "greeting", dir: "auto" }), "greeting");
  readonly #suggestions = make("ul", { className: "suggestions" });
  readonly #settings: Settings;
  readonly #ask: (text: string) => void;
  #shown: Assistant | null | undefined = null;

  constructor(settings: Settings, say: Say, ask: (text: string) => void) {
    this.#settings = settings;
    this.#ask = ask;
    this.#suggestions.ariaLabel = say("Suggestions");
    this.root.append(this.#greeting, this.#suggestions);
  }

  show(current: Assistant | undefined): void {
    if (current === this.#shown) return;
    this.#shown = current;
    const { greeting, suggestions } = this.#settings;
    const language = current ? languageOf(current) : "";
    const words = greeting ?? current?.greeting ?? "";
    this.#greeting.textContent = words;
    this.#greeting.hidden = words === "";
    this.#greeting.lang = greeting === null ? language : "";
    const asked = suggestions ?? current?.suggestions ?? [];
    this.#suggestions.lang = suggestions === null ? language : "";
    this.#suggestions.hidden = asked.length === 0;
    this.#suggestions.replaceChildren(
      ...asked.map((text) => {
        const one = part(
          button(text, "option", () => this.#ask(text)),
          "suggestion",
        );
        one.dir = "auto";
        return make("li", {}, one);
      }),
    );
  }
}
