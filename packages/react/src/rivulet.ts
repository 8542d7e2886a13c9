/** A client as React wants to see one: a value that stays the same until something has changed, and what may be done. */
import {
  type ConnectionState,
  type Conversation,
  type Decision,
  type Feedback,
  liveRun,
  RivuletClient,
  RivuletError,
  type RivuletOptions,
  type Run,
  type SendMode,
} from "@rivulet/client";
import { type ChatStatus, type ShownMessage, shownMessages, statusOf } from "./shown.js";

/** How a conversation is at a moment. */
export interface Snapshot {
  /** Those that did not change are the same objects as before. */
  readonly messages: readonly ShownMessage[];
  readonly status: ChatStatus;
  readonly connection: ConnectionState;
  /** Why the last request was refused; gone with the next one. */
  readonly error: RivuletError | null;
  /** The text of the question that was refused, to be put back where it was written. */
  readonly refusedText: string | null;
  /** The answer that is being written. */
  readonly run: Run | null;
  /** Others in the same conversation. */
  readonly presence: Conversation["presence"];
  /** There are older messages: `loadOlder`. */
  readonly hasOlder: boolean;
  readonly session: string | null;
  readonly assistant: string | null;
}

/** The deeds never change, so they may be given to effects and parts as they are. */
export interface Deeds {
  /** Returns the id of the message. The same `id` again asks nothing again. */
  send(text: string, options?: { id?: string; mode?: SendMode }): string;
  stop(): void;
  /** Without a message the last answer. */
  regenerate(message?: string): string;
  edit(message: string, text: string): string;
  /** Says whether the call of a tool that waits is carried out; `call` as in `message.tools`. */
  approve(call: string, decision: Decision, comment?: string): void;
  feedback(message: string, value: Feedback["value"], comment?: string): void;
  /** At every change of what is being written. */
  typing(on?: boolean): void;
  loadOlder(): Promise<void>;
  newSession(assistant?: string | null): void;
  openSession(session: string): void;
  /** Connects again after the connection has ended for good. */
  reconnect(): void;
}

export interface Rivulet extends Snapshot, Deeds {
  /** For all else. */
  readonly client: RivuletClient;
}

/** What is shown where no socket can be: on a server, and in the first moment of a page that comes from there. */
const NOTHING_YET: Snapshot = {
  messages: [],
  status: "ready",
  connection: { name: "idle" },
  error: null,
  refusedText: null,
  run: null,
  presence: { viewers: 1, typing: false },
  hasOlder: false,
  session: null,
  assistant: null,
};

export class Store {
  readonly client: RivuletClient;
  readonly deeds: Deeds;
  /** Whether `client` was made here, and so is connected and closed here. */
  readonly owned: boolean;
  #snapshot: Rivulet;
  readonly #atFirst: Rivulet;
  #refused: { error: RivuletError; text: string | null } | null = null;
  #asked: string | null = null;
  readonly #listeners = new Set<() => void>();

  constructor(from: RivuletOptions | RivuletClient) {
    this.owned = !isClient(from);
    this.client = isClient(from) ? from : new RivuletClient(from);
    this.deeds = this.#made();
    this.#atFirst = { ...NOTHING_YET, ...this.deeds, client: this.client };
    this.#snapshot = this.owned ? this.#atFirst : this.#look();
  }

  readonly snapshot = (): Rivulet => this.#snapshot;

  readonly serverSnapshot = (): Rivulet => this.#atFirst;

  /** The client is listened to as long as somebody listens here, so that nothing holds on to what is not shown. */
  readonly subscribe = (listener: () => void): (() => void) => {
    if (this.#listeners.size === 0) this.#listen();
    this.#listeners.add(listener);
    return () => {
      this.#listeners.delete(listener);
      if (this.#listeners.size === 0) this.#rest();
    };
  };

  #rest: () => void = () => {};

  #listen(): void {
    const { client } = this;
    const changed = (): void => {
      this.#snapshot = this.#look();
      for (const listener of this.#listeners) listener();
    };
    const offs = [
      client.on("refused", ({ error, frame }) => {
        const text = frame.type === "send" || frame.type === "edit" ? frame.text : null;
        this.#refused = { error: new RivuletError(error), text };
        this.#asked = null;
        changed();
      }),
      client.on("change", changed),
      client.on("state", changed),
    ];
    this.#rest = () => {
      for (const off of offs) off();
    };
    // What came before is not to be missed, and is nobody's news where nothing came.
    if (client.state.name !== "idle" || client.outgoing.length > 0) this.#snapshot = this.#look();
  }

  #look(): Rivulet {
    const { conversation, outgoing, state, session, assistant } = this.client;
    const refused = this.#refused;
    return {
      messages: shownMessages(conversation, outgoing),
      status: statusOf(conversation, outgoing, this.#asked, refused !== null),
      connection: state,
      error: refused?.error ?? null,
      refusedText: refused?.text ?? null,
      run: liveRun(conversation),
      presence: conversation.presence,
      hasOlder: conversation.older,
      ...{ session, assistant },
      ...this.deeds,
      client: this.client,
    };
  }

  #made(): Deeds {
    const { client } = this;
    const ask = (request: () => string): string => {
      this.#refused = null;
      this.#asked = null;
      this.#asked = request();
      return this.#asked;
    };
    return {
      send: (text, options) => ask(() => client.send(text, options)),
      stop: () => client.stop(),
      regenerate: (message) => ask(() => client.regenerate(message)),
      edit: (message, text) => ask(() => client.edit(message, text)),
      approve: (call, decision, comment) => {
        const calls = client.conversation.messages.flatMap(({ tools }) => tools);
        const approval = calls.find((one) => one.call === call)?.approval;
        if (approval) ask(() => client.decide(approval, decision, comment));
      },
      feedback: (message, value, comment) => client.feedback(message, value, comment),
      typing: (on) => client.typing(on),
      loadOlder: () => client.loadOlder(),
      newSession: (assistant) => client.newSession(assistant),
      openSession: (session) => client.openSession(session),
      reconnect: () => client.connect(),
    };
  }
}

/** By what it can do: a page may have loaded the class twice. */
export function isClient(from: RivuletOptions | RivuletClient): from is RivuletClient {
  return "connect" in from;
}
