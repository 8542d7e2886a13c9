/**
 * The list of messages. States never change in place, so a message that is the same object as last
 * time needs no look at all: a token costs one message, however long the conversation is.
 */

import {
  type Feedback,
  liveRun,
  type Message,
  type Outgoing,
  type RivuletClient,
  type Run,
  type SourceItem,
} from "@rivulet/client";
import { contentOf } from "../documents/artifacts";
import { MemoriesApi } from "../memories/api";
import { Forgetting } from "../memories/forgetting";
import { AnswerView } from "./answer-view";
import { Approvals } from "./approvals";
import { ArtifactCards } from "./artifact-cards";
import { byId } from "./element";
import { apart } from "./faults";
import type { MemoryServices } from "./memory/memory-line";
import { type Delivery, QuestionView } from "./question-view";
import { english } from "./say";
import { type CardServices, ToolCards } from "./tool-cards";

export interface TranscriptEvents {
  /** Something was asked whose answer will come at the end. */
  asked(): void;
  /** A text that was being typed has lost its place. */
  homeless(text: string): void;
  /** Changes the conversation beside all painting, and keeps in sight what is. */
  around?(change: () => void): void;
  /** A passage is to be shown where it stands, with what supports `claim`. */
  openSource(source: SourceItem, claim: string): void;
  /** Another conversation is to be shown. */
  openSession?(session: string): void;
}

/** So long answers are rendered in one painting; the rest comes in the next ones. */
const PAINTING_MS = 24;

interface Entry {
  readonly view: AnswerView | QuestionView;
  shown: readonly unknown[];
}

/** All that the view of an answer shows. */
interface Answer {
  readonly entry: Entry;
  readonly message: Message;
  readonly run: Run | undefined;
  readonly pending: Feedback | undefined;
  /** It may be asked for anew. */
  readonly again: boolean;
}

/** What was asked for and is not in the conversation yet, by the message that it is about. */
interface Pending {
  readonly edits: ReadonlyMap<string, string>;
  readonly feedback: ReadonlyMap<string, Feedback>;
  /** The first message that a pending request will replace. */
  readonly outdated: number;
}

export class Transcript {
  readonly #client: RivuletClient;
  readonly #events: TranscriptEvents;
  readonly #services: CardServices;
  readonly #memory: MemoryServices;
  readonly #list = byId("messages");
  readonly #welcome = byId("welcome");
  readonly #entries = new Map<string, Entry>();

  /** `forgetting`: what is not remembered any more; without it the answers know it alone. */
  constructor(client: RivuletClient, events: TranscriptEvents, forgetting?: Forgetting) {
    this.#client = client;
    this.#events = events;
    const { around = (change) => change() } = events;
    this.#services = {
      log: byId("log"),
      say: english,
      cards: (services) => new ToolCards(services),
      files: (services) => new ArtifactCards(services),
      decide: new Approvals(client).decide,
      content: (artifact) => contentOf(client.endpoint, artifact),
      around,
    };
    this.#memory = {
      forgetting: forgetting ?? new Forgetting(new MemoriesApi(client.endpoint)),
      conversations: {
        get current() {
          return client.session;
        },
        open: (session) => events.openSession?.(session),
      },
    };
  }

  /** Says whether something is left to be painted. A fault of one message does not reach the others. */
  paint(): boolean {
    const { conversation, outgoing, state } = this.#client;
    const { messages, runs } = conversation;
    const known = new Set(messages.map(({ id }) => id));
    const pending = pendingOf(messages, outgoing);
    const delivery = state.name === "connected" ? "sending" : "waiting";
    const asking = outgoing.some(({ frame }) => frame.type === "send");
    const idle = !asking && pending.outdated === messages.length && liveRun(conversation) === null;
    const open = idle && state.name !== "closed";
    const answers: Answer[] = [];
    messages.forEach((message, at) => {
      if (message.role === "assistant") {
        const entry = this.#entry(message.id, at, () => this.#newAnswer(message));
        const run = message.run === undefined ? undefined : runs.get(message.run);
        const again = open && at === messages.length - 1;
        answers.push({ entry, message, run, pending: pending.feedback.get(message.id), again });
      } else {
        const edit = pending.edits.get(message.id);
        const how = edit === undefined ? "sent" : delivery;
        this.#question(at, message.id, edit ?? message.text, how, open);
      }
      const outdated = at >= pending.outdated;
      this.#entries.get(message.id)?.view.root.toggleAttribute("data-outdated", outdated);
    });
    let end = messages.length;
    for (const { frame } of outgoing) {
      if (frame.type !== "send" || known.has(frame.id)) continue;
      this.#question(end++, frame.id, frame.text, delivery, false);
      known.add(frame.id);
    }
    this.#removeExcept(known);
    this.#welcome.hidden = known.size > 0;
    return this.#show(answers);
  }

  /** Opens the editor of a question with a text that could not be sent. */
  edit(message: string, text: string): void {
    this.paint();
    const view = this.#entries.get(message)?.view;
    if (!(view instanceof QuestionView) || !view.edit(text)) this.#events.homeless(text);
  }

  /** The newest first: they are what is looked at. */
  #show(answers: readonly Answer[]): boolean {
    const until = performance.now() + PAINTING_MS;
    const { revision } = this.#memory.forgetting;
    let left = false;
    for (const { entry, message, run, pending, again } of answers.toReversed()) {
      const { view } = entry;
      if (!(view instanceof AnswerView) || same(entry, message, run, pending, again, revision))
        continue;
      apart(() => {
        if (view.show(message, run, pending ?? message.feedback, again, until)) return;
        entry.shown = [];
        left = true;
      });
    }
    return left;
  }

  #question(at: number, id: string, text: string, delivery: Delivery, editable: boolean): void {
    const entry = this.#entry(id, at, () => this.#newQuestion(id));
    const { view } = entry;
    if (!(view instanceof QuestionView) || same(entry, text, delivery, editable)) return;
    apart(() => view.show(text, delivery, editable));
  }

  #newAnswer(message: Message): AnswerView {
    return new AnswerView(message, {
      tryAgain: () => {
        // The button goes away with its answer, and the focus must not go with it.
        byId("log").focus({ preventScroll: true });
        this.#client.regenerate(message.id);
        this.#events.asked();
      },
      feedback: (value, comment) => this.#client.feedback(message.id, value, comment),
      services: this.#services,
      memory: this.#memory,
      openSource: (source, claim) => this.#events.openSource(source, claim),
    });
  }

  #newQuestion(id: string): QuestionView {
    return new QuestionView({
      edited: (text) => {
        this.#client.edit(id, text);
        this.#events.asked();
      },
      typing: (on) => this.#client.typing(on),
    });
  }

  /** The view of a message, made if need be, and standing at its place in the list. */
  #entry(id: string, at: number, create: () => Entry["view"]): Entry {
    const entry = this.#entries.get(id) ?? { view: create(), shown: [] };
    this.#entries.set(id, entry);
    const there = this.#list.children[at] ?? null;
    if (there !== entry.view.root) this.#list.insertBefore(entry.view.root, there);
    return entry;
  }

  #removeExcept(known: ReadonlySet<string>): void {
    for (const [id, { view }] of this.#entries) {
      if (known.has(id)) continue;
      const focused = view.root.contains(document.activeElement);
      view.root.remove();
      this.#entries.delete(id);
      if (focused) byId("log").focus({ preventScroll: true });
      if (view instanceof QuestionView && view.draft !== null) this.#events.homeless(view.draft);
    }
  }
}

function pendingOf(messages: readonly Message[], outgoing: readonly Outgoing[]): Pending {
  const edits = new Map<string, string>();
  const feedback = new Map<string, Feedback>();
  let outdated = messages.length;
  const replaced = (id: string | undefined, spared: number): void => {
    const at = messages.findIndex((message) => message.id === id);
    if (at >= 0) outdated = Math.min(outdated, at + spared);
  };
  for (const { frame } of outgoing) {
    if (frame.type === "feedback") feedback.set(frame.message, frame);
    else if (frame.type === "regenerate") replaced(frame.message ?? messages.at(-1)?.id, 0);
    else if (frame.type === "edit") {
      edits.set(frame.message, frame.text);
      // The question itself stays where it is, with its new text.
      replaced(frame.message, 1);
    }
  }
  return { edits, feedback, outdated };
}

/** Whether the entry shows just this already; remembers it if not. */
function same(entry: Entry, ...shown: readonly unknown[]): boolean {
  const unchanged =
    shown.length === entry.shown.length && shown.every((v, i) => v === entry.shown[i]);
  entry.shown = shown;
  return unchanged;
}
