/** One answer of the assistant. */
import type { Message, Run } from "../rivulet-client";
import { copyButton } from "./copy-button";
import { make } from "./element";
import { MarkdownView } from "./markdown-view";
import { outcomeFacts, outcomeNote, phaseText } from "./outcome";
import { sourceId, sourcesView } from "./sources-view";

export class AnswerView {
  readonly root = make("article", { className: "message answer" });
  #message: Message;
  #sources: Message["sources"] = [];
  readonly #text = new MarkdownView();
  readonly #phase = make("p", { className: "phase" });
  readonly #note = make("p", { className: "note", hidden: true });
  readonly #sourcesPlace = make("div");
  readonly #facts = make("span", { className: "facts" });
  readonly #again = make("button", { type: "button", className: "copy", textContent: "Try again" });
  readonly #actions: HTMLElement;

  constructor(message: Message, onAgain: (message: string) => void) {
    this.#message = message;
    this.#actions = make(
      "div",
      { className: "actions", hidden: true },
      copyButton("Copy answer", () => this.#message.text),
      this.#again,
      this.#facts,
    );
    this.#again.addEventListener("click", () => onAgain(this.#message.id));
    this.root.setAttribute("aria-label", "Answer");
    this.root.append(this.#text.root, this.#phase, this.#note, this.#sourcesPlace, this.#actions);
  }

  show(message: Message, run: Run | undefined, isLast: boolean): void {
    this.#message = message;
    const live = run !== undefined && !run.outcome;
    this.root.dataset.status = message.status;
    this.root.toggleAttribute("data-live", live);
    this.#showSources(message);
    const known = new Set(message.sources.map(({ n }) => n));
    this.#text.show(message.text, known, (n) => sourceId(message.id, n));
    this.#phase.hidden = !live || message.text !== "";
    this.#phase.textContent = live ? phaseText(run.phase) : "";
    const note = live ? null : outcomeNote(message);
    this.#note.hidden = note === null;
    this.#note.textContent = note ?? "";
    this.#facts.textContent = live ? "" : outcomeFacts(message);
    this.#again.hidden = !isLast || message.status === "complete";
    this.#actions.hidden = live;
  }

  #showSources({ id, sources }: Message): void {
    if (sources === this.#sources) return;
    this.#sources = sources;
    this.#sourcesPlace.replaceChildren(...(sources.length > 0 ? [sourcesView(id, sources)] : []));
  }
}
