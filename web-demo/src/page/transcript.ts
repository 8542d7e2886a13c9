/**
 * The list of messages. States never change in place, so a message that is the same object as last
 * time needs no look at all: a token costs one message, however long the conversation is.
 */
import type { Message, RivuletClient, Run } from "../rivulet-client";
import { AnswerView } from "./answer-view";
import { byId } from "./element";
import { type Delivery, QuestionView } from "./question-view";

interface Entry {
  readonly view: AnswerView | QuestionView;
  shown: readonly unknown[];
}

export class Transcript {
  readonly #client: RivuletClient;
  readonly #list = byId("messages");
  readonly #welcome = byId("welcome");
  readonly #entries = new Map<string, Entry>();

  constructor(client: RivuletClient) {
    this.#client = client;
  }

  paint(): void {
    const { conversation, outgoing, state } = this.#client;
    const { messages, runs } = conversation;
    const known = new Set(messages.map(({ id }) => id));
    const waiting = outgoing.filter(({ frame }) => !known.has(frame.id));
    messages.forEach((message, at) => {
      const run = message.run === undefined ? undefined : runs.get(message.run);
      this.#message(at, message, run);
    });
    waiting.forEach(({ frame }, at) => {
      const delivery = state.name === "connected" ? "sending" : "waiting";
      this.#question(messages.length + at, frame.id, frame.text, delivery);
      known.add(frame.id);
    });
    for (const [id, { view }] of this.#entries) {
      if (known.has(id)) continue;
      view.root.remove();
      this.#entries.delete(id);
    }
    this.#welcome.hidden = known.size > 0;
  }

  #message(at: number, message: Message, run: Run | undefined): void {
    if (message.role !== "assistant") {
      this.#question(at, message.id, message.text, "sent");
      return;
    }
    const entry = this.#entry(message.id, at, () => new AnswerView(message));
    if (!(entry.view instanceof AnswerView) || same(entry, message, run)) return;
    entry.view.show(message, run);
  }

  #question(at: number, id: string, text: string, delivery: Delivery): void {
    const entry = this.#entry(id, at, () => new QuestionView());
    if (!(entry.view instanceof QuestionView) || same(entry, text, delivery)) return;
    entry.view.show(text, delivery);
  }

  /** The view of a message, made if need be, and standing at its place in the list. */
  #entry(id: string, at: number, create: () => Entry["view"]): Entry {
    const entry = this.#entries.get(id) ?? { view: create(), shown: [] };
    this.#entries.set(id, entry);
    const there = this.#list.children[at] ?? null;
    if (there !== entry.view.root) this.#list.insertBefore(entry.view.root, there);
    return entry;
  }
}

/** Whether the entry shows just this already; remembers it if not. */
function same(entry: Entry, ...shown: readonly unknown[]): boolean {
  const unchanged =
    shown.length === entry.shown.length && shown.every((v, i) => v === entry.shown[i]);
  entry.shown = shown;
  return unchanged;
}
