/**
 * What an answer says, from its beginning to its end: text, and a card for each tool that was called, where
 * it was called. Without calls it is one text.
 */
import type { ToolCall } from "@rivulet/client";
import { reopened } from "./blocks";
import type { Known } from "./citations";
import { make } from "./element";
import { MarkdownView } from "./markdown-view";
import { piecesOf } from "./pieces";
import type { CardServices, Cards } from "./tool-cards";

interface Part {
  readonly text: MarkdownView;
  readonly cards: Cards;
}

export class AnswerBody {
  readonly root = make("div", { className: "answer-body" });
  readonly #parts: Part[] = [];
  readonly #services: CardServices;
  #endsInText = false;

  constructor(services: CardServices) {
    this.#services = services;
  }

  /** Whether there is text behind the last card. */
  get endsInText(): boolean {
    return this.#endsInText;
  }

  /** See `MarkdownView.show`. */
  show(
    text: string,
    tools: readonly ToolCall[],
    known: Known,
    idOf: (n: number) => string,
    until: number,
  ): boolean {
    const pieces = piecesOf(text, tools);
    let whole = true;
    let before = "";
    pieces.forEach((piece, at) => {
      const { text, cards } = this.#part(at);
      before = at === 0 ? piece.text : reopened(before, piece.text);
      if (!text.show(before, known, idOf, until)) whole = false;
      cards.show(piece.calls);
      if (piece.calls.length === 0) cards.root.remove();
      else if (text.root.nextElementSibling !== cards.root) text.root.after(cards.root);
    });
    for (const { text, cards } of this.#parts.splice(pieces.length)) {
      text.root.remove();
      cards.root.remove();
    }
    this.root.hidden = text === "" && tools.length === 0;
    this.#endsInText = pieces.at(-1)?.text.trim() !== "";
    return whole;
  }

  #part(at: number): Part {
    const known = this.#parts[at];
    if (known) return known;
    const part = {
      text: new MarkdownView(this.#services.say),
      cards: this.#services.cards(this.#services),
    };
    this.#parts.push(part);
    this.root.append(part.text.root);
    return part;
  }
}
