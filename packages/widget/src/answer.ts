/** One answer: its text and tools, what it rests on, and what can be done with it. */
import type { Feedback, Message, Run, SourceItem } from "@rivulet/client";
import { AnswerBody } from "../../../web-demo/src/page/answer-body";
import { citedNumbers } from "../../../web-demo/src/page/citations";
import { copyButton } from "../../../web-demo/src/page/copy-button";
import { FeedbackView, type TellFeedback } from "../../../web-demo/src/page/feedback-view";
import { outcomeNote, phaseText } from "../../../web-demo/src/page/outcome";
import { textAlone } from "../../../web-demo/src/page/pieces";
import type { CardServices } from "../../../web-demo/src/page/tool-cards";
import { passage } from "./citation-card";
import { button, make, part } from "./parts";

export interface AnswerEvents {
  tryAgain(): void;
  feedback: TellFeedback;
  cite(source: SourceItem, mark: HTMLElement): void;
  services: CardServices;
}

/** What changes of an answer. */
export interface AnswerState {
  readonly message: Message;
  readonly run: Run | undefined;
  readonly feedback: Feedback | undefined;
  /** It may be asked for anew. */
  readonly again: boolean;
}

export class Answer {
  readonly root = part(make("article", { className: "message answer" }), "message", "answer");
  #message: Message;
  readonly #services: CardServices;
  readonly #body: AnswerBody;
  readonly #phase = make("p", { className: "phase" });
  readonly #note = make("p", { className: "note", hidden: true });
  readonly #list = make("ol", { className: "passages" });
  readonly #count = make("summary");
  readonly #sources = make("details", { className: "passages-fold" }, this.#count, this.#list);
  readonly #copy: HTMLElement;
  readonly #again: HTMLElement;
  readonly #feedback: FeedbackView;
  #listed: readonly SourceItem[] = [];

  constructor(message: Message, events: AnswerEvents) {
    const { services } = events;
    const { say } = services;
    this.#message = message;
    this.#services = services;
    this.#body = new AnswerBody(services);
    this.#feedback = new FeedbackView(events.feedback, say);
    this.#copy = copyButton(
      say("Copy answer"),
      () => textAlone(this.#message.text, this.#message.tools),
      say,
    );
    this.#again = button(say("Try again"), "copy", () => events.tryAgain());
    const actions = make("div", { className: "actions" });
    actions.append(this.#copy, this.#again, this.#feedback.thumbs);
    this.root.ariaLabel = say("Answer");
    this.root.append(this.#body.root, this.#phase, this.#note, this.#sources, actions);
    this.root.append(this.#feedback.root);
    this.#body.root.addEventListener("click", (event) => this.#clicked(event, events.cite));
  }

  /** Says whether all of it is there; what was not rendered before `until` comes with the next call. */
  show({ message, run, feedback, again }: AnswerState, until: number): boolean {
    const { say } = this.#services;
    this.#message = message;
    const live = run !== undefined && !run.outcome;
    this.root.dataset.status = message.status;
    this.root.toggleAttribute("data-live", live);
    const known = new Map(
      message.sources.map(({ n, title }) => [n, say("Source {0}: {1}", n, title)]),
    );
    const whole = this.#body.show(message.text, message.tools, known, String, until);
    this.#passages(message.sources);
    const waits = run?.phase === "queued" || run?.phase === "tool";
    this.#phase.hidden = !live || (this.#body.endsInText && !waits);
    this.#phase.textContent = live ? phaseText(run, say) : "";
    const note = live ? null : outcomeNote(message, say);
    this.#note.hidden = note === null;
    this.#note.textContent = note ?? "";
    this.#copy.hidden = live || message.text === "";
    this.#feedback.thumbs.hidden = live || message.text === "";
    this.#again.hidden = live || !again;
    this.#feedback.show(feedback);
    return whole;
  }

  /** The cited ones first. */
  #passages(sources: readonly SourceItem[]): void {
    const { say } = this.#services;
    const cited = citedNumbers(this.#body.root);
    const order = [...sources].sort((a, b) => Number(cited.has(b.n)) - Number(cited.has(a.n)));
    this.#sources.hidden = sources.length === 0;
    this.#count.textContent = say("Sources ({0})", sources.length);
    if (order.length === this.#listed.length && order.every((one, at) => one === this.#listed[at]))
      return;
    this.#listed = order;
    this.#list.replaceChildren(...order.map((source) => make("li", {}, ...passage(source, say))));
  }

  #clicked(event: Event, cite: AnswerEvents["cite"]): void {
    const { target } = event;
    const mark = target instanceof Element ? target.closest<HTMLElement>("a.citation") : null;
    const source = this.#message.sources.find(({ n }) => String(n) === mark?.textContent);
    if (!mark || !source) return;
    event.preventDefault();
    cite(source, mark);
  }
}
