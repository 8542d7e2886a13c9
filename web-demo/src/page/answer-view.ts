/** One answer of the assistant. */
import type { Message, Run } from "../rivulet-client";
import { citedNumbers } from "./citations";
import { copyButton } from "./copy-button";
import { make } from "./element";
import { MarkdownView } from "./markdown-view";
import { outcomeFacts, outcomeNote, phaseText } from "./outcome";
import { SourcesView, sourceId } from "./sources-view";

export class AnswerView {
  readonly root = make("article", { className: "message answer" });
  #message: Message;
  readonly #text = new MarkdownView();
  readonly #phase = make("p", { className: "phase" });
  readonly #note = make("p", { className: "note", hidden: true });
  readonly #sources: SourcesView;
  readonly #facts = make("span", { className: "facts" });
  readonly #copy = copyButton("Copy answer", () => this.#message.text);
  readonly #actions: HTMLElement;

  constructor(message: Message) {
    this.#message = message;
    this.#sources = new SourcesView(message.id);
    this.#actions = make("div", { className: "actions", hidden: true }, this.#copy, this.#facts);
    this.root.setAttribute("aria-label", "Answer");
    this.root.append(this.#text.root, this.#phase, this.#note, this.#sources.root, this.#actions);
  }

  show(message: Message, run: Run | undefined): void {
    this.#message = message;
    const live = run !== undefined && !run.outcome;
    this.root.dataset.status = message.status;
    this.root.toggleAttribute("data-live", live);
    const known = new Set(message.sources.map(({ n }) => n));
    this.#text.show(message.text, known, (n) => sourceId(message.id, n));
    this.#sources.show(message.sources, citedNumbers(message.text));
    this.#phase.hidden = !live || message.text !== "";
    this.#phase.textContent = live ? phaseText(run.phase) : "";
    const note = live ? null : outcomeNote(message);
    this.#note.hidden = note === null;
    this.#note.textContent = note ?? "";
    this.#facts.textContent = live ? "" : outcomeFacts(message);
    this.#copy.hidden = message.text === "";
    this.#actions.hidden = live;
  }
}
