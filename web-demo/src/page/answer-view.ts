/** One answer of the assistant. */
import type { Feedback, Message, Run, SourceItem } from "@rivulet/client";
import { AnswerBody } from "./answer-body";
import { citedNumbers, claimOf, sourceName } from "./citations";
import { copyButton } from "./copy-button";
import { make } from "./element";
import { FeedbackView, type TellFeedback } from "./feedback-view";
import { MemoryLine, type MemoryServices } from "./memory/memory-line";
import { outcomeFacts, outcomeNote, phaseText } from "./outcome";
import { textAlone } from "./pieces";
import { SourcesView, sourceId } from "./sources-view";
import type { CardServices } from "./tool-cards";

export interface AnswerEvents {
  tryAgain(): void;
  feedback: TellFeedback;
  /** For the cards of its tools. */
  services: CardServices;
  /** For what was remembered for it. */
  memory: MemoryServices;
  /** `claim`: the sentence that it is cited for, if it is cited. */
  openSource(source: SourceItem, claim: string): void;
}

export class AnswerView {
  readonly root = make("article", { className: "message answer" });
  #message: Message;
  readonly #memory: MemoryLine;
  readonly #body: AnswerBody;
  readonly #phase = make("p", { className: "phase" });
  readonly #note = make("p", { className: "note", hidden: true });
  readonly #sources: SourcesView;
  readonly #facts = make("span", { className: "facts" });
  readonly #cached = cachedMark();
  readonly #copy = copyButton("Copy answer", () =>
    textAlone(this.#message.text, this.#message.tools),
  );
  readonly #again = make("button", { type: "button", className: "copy", textContent: "Try again" });
  readonly #feedback: FeedbackView;
  readonly #actions: HTMLElement;

  constructor(message: Message, events: AnswerEvents) {
    this.#message = message;
    this.#memory = new MemoryLine(events.memory);
    this.#body = new AnswerBody(events.services);
    this.#sources = new SourcesView(message.id, (source) =>
      events.openSource(source, this.#claimOf(source)),
    );
    this.#body.root.addEventListener("click", (event) => {
      const link = event.target instanceof Element ? event.target.closest("a.citation") : null;
      const source = this.#message.sources.find(({ n }) => String(n) === link?.textContent);
      if (!link || !source) return;
      event.preventDefault();
      events.openSource(source, claimOf(link));
    });
    this.#feedback = new FeedbackView(events.feedback);
    this.#again.addEventListener("click", () => events.tryAgain());
    const buttons = [this.#copy, this.#again, this.#feedback.thumbs, this.#facts, this.#cached];
    this.#actions = make("div", { className: "actions" }, ...buttons);
    this.root.setAttribute("aria-label", "Answer");
    this.root.append(this.#memory.root, this.#body.root, this.#phase, this.#note);
    this.root.append(this.#sources.root, this.#actions, this.#feedback.root);
  }

  /**
   * `feedback`: also one that is still on its way. `again`: the answer may be asked for anew. Says whether
   * all of the text is rendered: it goes on in the next call, when there was no time before `until`.
   */
  show(
    message: Message,
    run: Run | undefined,
    feedback: Feedback | undefined,
    again: boolean,
    until: number,
  ): boolean {
    this.#message = message;
    const live = run !== undefined && !run.outcome;
    this.root.dataset.status = message.status;
    this.root.toggleAttribute("data-live", live);
    this.#memory.show(message.memory);
    const known = new Map(message.sources.map((source) => [source.n, sourceName(source)]));
    const idOf = (n: number): string => sourceId(message.id, n);
    const whole = this.#body.show(message.text, message.tools, known, idOf, until);
    this.#sources.show(message.sources, citedNumbers(this.#body.root));
    // An answer may have to wait in the middle, too, for a tool or for the model that goes on with it.
    const waits = run?.phase === "queued" || run?.phase === "tool";
    this.#phase.hidden = !live || (this.#body.endsInText && !waits);
    this.#phase.textContent = live ? phaseText(run) : "";
    const note = live ? null : outcomeNote(message);
    this.#note.hidden = note === null;
    this.#note.textContent = note ?? "";
    this.#facts.textContent = live ? "" : outcomeFacts(message);
    this.#cached.hidden = live || !message.cached;
    this.#copy.hidden = live || message.text === "";
    this.#again.hidden = live || !again;
    this.#feedback.thumbs.hidden = live || message.text === "";
    this.#feedback.show(feedback);
    return whole;
  }

  /** What a source is cited for at first. */
  #claimOf({ n }: SourceItem): string {
    const links = [...this.#body.root.querySelectorAll("a.citation")];
    const link = links.find(({ textContent }) => textContent === String(n));
    return link ? claimOf(link) : "";
  }
}

/** The title is for the mouse, the hidden words are for those who listen. */
function cachedMark(): HTMLElement {
  const title = "The same was asked before, so this answer was not written anew";
  const words = make("span", { className: "visually-hidden", textContent: `: ${title}` });
  return make("span", { className: "cached", title, hidden: true }, "from the cache", words);
}
