/** The messages of a conversation. What has not changed since the last painting is not looked at. */
import {
  type Feedback,
  liveRun,
  type Message,
  type Outgoing,
  type RivuletClient,
  type SourceItem,
} from "@rivulet/client";
import { apart } from "../../../web-demo/src/page/faults";
import type { CardServices } from "../../../web-demo/src/page/tool-cards";
import { Answer, type AnswerState } from "./answer";
import { make, part } from "./parts";

export interface TranscriptEvents {
  readonly services: CardServices;
  asked(): void;
  cite(source: SourceItem, mark: HTMLElement): void;
}

/** So long answers are rendered in one painting; the rest comes in the next ones. */
const PAINTING_MS = 24;

class Question {
  readonly root = make("article", { className: "message question" });
  readonly #text = part(
    make("p", { className: "question-text", dir: "auto" }),
    "message",
    "question",
  );
  readonly #delivery = make("p", { className: "delivery" });

  constructor(label: string) {
    this.root.ariaLabel = label;
    this.root.append(this.#text, this.#delivery);
  }

  show(text: string, delivery: string): void {
    this.#text.textContent = text;
    this.#delivery.textContent = delivery;
    this.#delivery.hidden = delivery === "";
  }
}

type View = Answer | Question;

export class Transcript {
  readonly root = make("div", { className: "messages" });
  readonly #client: RivuletClient;
  readonly #events: TranscriptEvents;
  readonly #views = new Map<string, { readonly view: View; shown: readonly unknown[] }>();

  constructor(client: RivuletClient, events: TranscriptEvents) {
    this.#client = client;
    this.#events = events;
  }

  get isEmpty(): boolean {
    return this.root.childElementCount === 0;
  }

  /** Says whether something is left to be painted. */
  paint(): boolean {
    const { conversation, outgoing, state } = this.#client;
    const { messages, runs } = conversation;
    const { say } = this.#events.services;
    const asked = outgoing.flatMap(({ frame }) => (frame.type === "send" ? [frame] : []));
    const waiting = asked.filter(({ id }) => !messages.some((message) => message.id === id));
    const busy = asked.length > 0 || liveRun(conversation) !== null || state.name === "closed";
    const again = !busy && !outgoing.some(({ frame }) => frame.type === "regenerate");
    const feedback = pendingFeedback(outgoing);
    const until = performance.now() + PAINTING_MS;
    let left = false;
    this.#keepOnly(new Set([...messages, ...waiting].map(({ id }) => id)));
    messages.forEach((message, at) => {
      if (message.role !== "assistant") this.#question(at, message.id, message.text, "");
      else {
        const whole = this.#answer(at, until, {
          message,
          run: message.run === undefined ? undefined : runs.get(message.run),
          feedback: feedback.get(message.id) ?? message.feedback,
          again: again && at === messages.length - 1,
        });
        if (!whole) left = true;
      }
    });
    const delivery = state.name === "connected" ? "Sending…" : "Waiting for the connection…";
    waiting.forEach(({ id, text }, at) => {
      this.#question(messages.length + at, id, text, say(delivery));
    });
    return left;
  }

  #answer(at: number, until: number, state: AnswerState): boolean {
    const { message, run, feedback, again } = state;
    const entry = this.#entry(message.id, at, () => this.#newAnswer(message));
    const { view } = entry;
    const now = [message, run, feedback, again];
    if (!(view instanceof Answer) || same(entry.shown, now)) return true;
    entry.shown = now;
    let whole = true;
    apart(() => {
      whole = view.show(state, until);
    });
    if (!whole) entry.shown = [];
    return whole;
  }

  #question(at: number, id: string, text: string, delivery: string): void {
    const { say } = this.#events.services;
    const entry = this.#entry(id, at, () => new Question(say("You")));
    const now = [text, delivery];
    if (!(entry.view instanceof Question) || same(entry.shown, now)) return;
    entry.shown = now;
    entry.view.show(text, delivery);
  }

  #newAnswer(message: Message): Answer {
    const { id } = message;
    return new Answer(message, {
      services: this.#events.services,
      cite: this.#events.cite,
      feedback: (value, comment) => this.#client.feedback(id, value, comment),
      tryAgain: () => {
        this.#client.regenerate(id);
        this.#events.asked();
      },
    });
  }

  /** The view of a message, made if need be, at its place. */
  #entry(id: string, at: number, create: () => View) {
    const entry = this.#views.get(id) ?? { view: create(), shown: [] };
    this.#views.set(id, entry);
    const there = this.root.children[at] ?? null;
    if (there !== entry.view.root) this.root.insertBefore(entry.view.root, there);
    return entry;
  }

  #keepOnly(known: ReadonlySet<string>): void {
    for (const [id, { view }] of this.#views) {
      if (known.has(id)) continue;
      view.root.remove();
      this.#views.delete(id);
    }
  }
}

function pendingFeedback(outgoing: readonly Outgoing[]): ReadonlyMap<string, Feedback> {
  const pending = outgoing.flatMap(({ frame }) =>
    frame.type === "feedback" ? [[frame.message, frame] as const] : [],
  );
  return new Map(pending);
}

const same = (before: readonly unknown[], now: readonly unknown[]): boolean =>
  before.length === now.length && now.every((one, at) => one === before[at]);
