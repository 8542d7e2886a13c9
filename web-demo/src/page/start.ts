/** What an empty conversation shows: who may answer, what that one says first, and what one might ask. */
import type { Assistant } from "@rivulet/client";
import { AssistantCards } from "./assistant-cards";
import { type Assistants, languageOf } from "./assistants";
import { byId, make } from "./element";

/** For an assistant that suggests nothing itself: about the sample knowledge. */
const SUGGESTIONS = [
  "How long can I return a tent?",
  "What does the Kestrel 2 tent cost?",
  "How does Rivulet resume after a reconnect?",
  "What happens when I press Stop?",
];

export interface StartEvents {
  pick(assistant: Assistant): void;
  ask(text: string): void;
}

export class Start {
  readonly #assistants: Assistants;
  readonly #ask: (text: string) => void;
  readonly #text = byId("welcome-text");
  readonly #choice = byId("start-assistants");
  readonly #cards: AssistantCards;
  readonly #greeting = byId("greeting");
  readonly #suggestions = byId("suggestions");
  #offered: readonly Assistant[] | null = null;
  #current: Assistant | undefined;

  constructor(assistants: Assistants, { pick, ask }: StartEvents) {
    this.#assistants = assistants;
    this.#ask = ask;
    this.#cards = new AssistantCards(this.#choice, pick);
  }

  paint(): void {
    const { offered, current } = this.#assistants;
    if (offered === this.#offered && current === this.#current) return;
    this.#offered = offered;
    this.#current = current;
    const isChoice = offered !== null && offered.length > 1;
    this.#choice.hidden = !isChoice;
    // The cards say what answers come from.
    this.#text.hidden = isChoice;
    this.#cards.show(offered ?? [], current);
    this.#greet(current);
    // Before it is known who answers, they might be about something else.
    this.#suggest(
      offered === null ? [] : current?.suggestions.length ? current.suggestions : SUGGESTIONS,
    );
  }

  #greet(current: Assistant | undefined): void {
    const { title = "", greeting = "" } = current ?? {};
    this.#greeting.hidden = greeting === "";
    byId("greeting-title").textContent = title;
    byId("greeting-text").textContent = greeting;
    const language = current ? languageOf(current) : "";
    this.#greeting.lang = language;
    this.#suggestions.lang = current?.suggestions.length ? language : "en";
  }

  #suggest(texts: readonly string[]): void {
    this.#suggestions.replaceChildren(
      ...texts.map((text) => {
        const button = make(
          "button",
          { type: "button", className: "option suggestion", dir: "auto" },
          text,
        );
        button.addEventListener("click", () => this.#ask(text));
        return make("li", {}, button);
      }),
    );
  }
}
