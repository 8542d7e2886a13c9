/**
 * The client of a Rivulet gateway: one conversation over whatever sockets it takes.
 *
 * It joins four parts that know nothing of each other: the connection (sockets), the conversation
 * (pure state), the outbox (messages on their way) and the memory (which session this browser is in).
 */
import { Connection, type ConnectionState, type WebSocketClass } from "./connection";
import {
  applyFrame,
  type Conversation,
  cursorOf,
  EMPTY_CONVERSATION,
  liveRun,
  withOlder,
} from "./conversation";
import { Emitter } from "./emitter";
import { Endpoint, type TokenSource } from "./endpoint";
import type { ClientFrame, ErrorFrame, SendFrame, SendMode, ServerFrame } from "./frames";
import { readFrame } from "./frames";
import { newMessageId, Outbox, type Outgoing } from "./outbox";
import { pageIsHidden, watchPage } from "./page-signals";
import { SessionMemory, type SessionStorageLike } from "./session-memory";

export interface RivuletOptions {
  /** The address of the gateway, for example `location.href`. */
  url: string;
  /** The conversation to open; by default the one this browser was in last. */
  session?: string | undefined;
  /** Where the session's id is remembered; `null`: nowhere. Default: the browser's, see `SessionMemory`. */
  storage?: SessionStorageLike | null;
  token?: TokenSource;
  webSocket?: WebSocketClass;
  /** Source of the jitter, from 0 up to 1. */
  random?: () => number;
}

/**
 * Every frame of the server is an event of its own name; these come on top. `error` is emitted for a
 * message, too, that this client itself had to refuse.
 */
export type RivuletEvents = {
  [Type in ServerFrame["type"]]: Extract<ServerFrame, { type: Type }>;
} & {
  /** The connection changed. */
  state: ConnectionState;
  /** The conversation or the outbox changed; read `client.conversation` and `client.outgoing`. */
  change: undefined;
  /** A message was refused: `text` is what its sender wrote. */
  refused: { error: ErrorFrame; text: string };
  /** The wanted session no longer exists; a new one is being made. */
  sessionLost: { session: string };
};

const DEFAULT_HEARTBEAT_S = 25;
/** After the first refused upgrade, so many go by before the gateway is asked for the reason again. */
const REFUSALS_PER_QUESTION = 4;

const utf8 = new TextEncoder();

export class RivuletClient {
  #conversation = EMPTY_CONVERSATION;
  #session: string | null;
  /** Whether this session has greeted us once: from then on there is something to lose. */
  #known = false;
  /** A stop that was asked for while there was no socket. */
  #stopWanted: string | null = null;
  /** The message whose predecessors are on their way. */
  #loadingBefore: string | null = null;
  /** Whether the gateway at the other end is about to go away. */
  #leaving = false;
  /** Upgrades that were refused since the last welcome. */
  #refusals = 0;
  /** The longest frame that the gateway takes, in bytes; a longer one would end the connection. */
  #frameBytes = Number.POSITIVE_INFINITY;
  #forgetPage: () => void = () => {};
  readonly #endpoint: Endpoint;
  readonly #memory: SessionMemory;
  readonly #connection: Connection;
  readonly #outbox = new Outbox();
  readonly #events = new Emitter<RivuletEvents>();

  constructor({ url, session, storage, token, webSocket, random }: RivuletOptions) {
    this.#endpoint = new Endpoint(url, token);
    this.#memory = new SessionMemory(storage);
    this.#session = session ?? this.#memory.read();
    this.#connection = new Connection({
      dial: () => this.#endpoint.dial(this.#session, cursorOf(this.#conversation)),
      onText: (text) => this.#receive(text),
      onState: (state) => this.#connectionChanged(state),
      onRefused: () => this.#refused(),
      ...(webSocket && { webSocket }),
      ...(random && { random }),
    });
  }

  get conversation(): Conversation {
    return this.#conversation;
  }

  get session(): string | null {
    return this.#session;
  }

  get state(): ConnectionState {
    return this.#connection.state;
  }

  /** Own messages that are not in the conversation yet. */
  get outgoing(): Outgoing[] {
    return this.#outbox.list();
  }

  /** Where a new socket would continue; for display. */
  get cursor(): string | null {
    return cursorOf(this.#conversation);
  }

  readonly on: Emitter<RivuletEvents>["on"] = (name, listener) => this.#events.on(name, listener);

  /** Connects, or connects anew; the conversation goes on where it was. */
  connect(): void {
    this.#forgetPage();
    this.#forgetPage = watchPage({
      onReturn: () => this.#connection.probe(),
      onHidden: (hidden) => this.#say({ type: "view", hidden }),
    });
    this.#connection.replace();
  }

  /** Sends a message and returns its id. Not connected, it goes out as soon as there is a socket. */
  send(text: string, { id = newMessageId(), mode }: { id?: string; mode?: SendMode } = {}): string {
    const frame = { type: "send" as const, id, text, ...(mode && { mode }) };
    this.#outbox.add(frame);
    if (this.state.name === "connected") this.#deliver(frame);
    this.#changed();
    return id;
  }

  /** Stops the answer that is being written, or the one that is about to be. */
  stop(): void {
    const run = liveRun(this.#conversation);
    const unanswered = this.#outbox.list().at(-1)?.frame.id;
    if (run) {
      this.#stopWanted = run.id;
      if (this.state.name === "connected") this.#say({ type: "stop", run: run.id });
    } else if (unanswered) this.#say({ type: "stop", for: unanswered });
  }

  /**
   * Puts the next older messages before those in the conversation. Asked again before they are here,
   * it does nothing; without older messages too.
   */
  async loadOlder(): Promise<void> {
    const { session, older, messages } = this.#conversation;
    const first = messages[0]?.id;
    if (session === null || first === undefined || !older) return;
    if (this.#loadingBefore === first) return;
    this.#loadingBefore = first;
    try {
      const page = await this.#endpoint.messagesBefore(session, first);
      this.#conversation = withOlder(this.#conversation, session, first, page);
      this.#changed();
    } finally {
      if (this.#loadingBefore === first) this.#loadingBefore = null;
    }
  }

  /** Leaves this conversation and begins an empty one. Nothing is deleted on the server. */
  newSession(): void {
    this.#outbox.clear();
    this.#leaveSession();
    this.connect();
  }

  /** Breaks the connection as a failing network would: to see, or to test, that it heals. */
  breakConnection(): void {
    this.#connection.lose("Cut on purpose");
  }

  /** Closes for good; `connect` would open again. */
  close(): void {
    this.#forgetPage();
    this.#connection.close();
  }

  #receive(text: string): void {
    const frame = readFrame(text);
    if (!frame) return;
    const before = this.#conversation;
    const { state, replies } = applyFrame(before, frame);
    this.#conversation = state;
    this.#react(frame);
    for (const reply of replies) this.#say(reply);
    this.#events.emit(frame.type, frame as never);
    if (state !== before || frame.type === "ack" || frame.type === "error") this.#changed();
  }

  /** What concerns the socket and the outbox rather than the conversation. */
  #react(frame: ServerFrame): void {
    switch (frame.type) {
      case "welcome":
        this.#session = frame.session;
        this.#known = true;
        this.#refusals = 0;
        this.#leaving = false;
        this.#frameBytes = frame.limits?.frame_bytes ?? Number.POSITIVE_INFINITY;
        this.#memory.write(frame.session);
        this.#connection.welcomed(frame.heartbeat_s ?? DEFAULT_HEARTBEAT_S);
        // A new socket is taken to be looked at until it is told otherwise.
        if (pageIsHidden()) this.#say({ type: "view", hidden: true });
        for (const unsent of this.#outbox.unacked()) this.#deliver(unsent);
        if (this.#stopWanted) this.#say({ type: "stop", run: this.#stopWanted });
        break;
      case "ping":
        this.#say({ type: "pong", ...(frame.t !== undefined && { t: frame.t }) });
        break;
      case "ack":
        this.#outbox.ack(frame);
        break;
      case "message":
        this.#outbox.remove(frame.message.id);
        break;
      case "snapshot":
        for (const { id } of frame.messages) this.#outbox.remove(id);
        break;
      case "run.done":
        if (frame.run === this.#stopWanted) this.#stopWanted = null;
        break;
      case "error":
        // A gateway that ends takes no more messages: they are sent again, with their ids, to the next one.
        if (this.#leaving && frame.retryable) break;
        this.#refusal(frame);
        break;
      case "goaway":
        this.#leaving = true;
        this.#connection.goAway(frame.retry_in_ms ?? 0, () => liveRun(this.#conversation) !== null);
        break;
    }
  }

  /** Sends a message, or refuses it here: a frame that is too long would cost the whole connection. */
  #deliver(frame: SendFrame): void {
    const text = JSON.stringify(frame);
    if (utf8.encode(text).length <= this.#frameBytes) {
      this.#connection.send(text);
      return;
    }
    const message = `A message takes at most ${this.#frameBytes} bytes`;
    const error: ErrorFrame = { type: "error", re: frame.id, code: "too_large", message };
    this.#refusal(error);
    this.#events.emit("error", error);
  }

  #refusal(error: ErrorFrame): void {
    const refused = error.re === undefined ? null : this.#outbox.remove(error.re);
    if (refused) this.#events.emit("refused", { error, text: refused.text });
    // The run was over before the stop arrived: that is what was wanted.
    if (error.code === "run_not_active" || error.code === "not_found") this.#stopWanted = null;
  }

  #connectionChanged(state: ConnectionState): void {
    this.#events.emit("state", state);
    // The same as a refused upgrade to a session that is gone, only found out a moment later.
    if (state.name === "closed" && state.code === 4004 && this.#startOver()) {
      this.#connection.replace();
    }
  }

  async #refused(): Promise<boolean | number> {
    const session = this.#session;
    if (session === null || this.#refusals++ % REFUSALS_PER_QUESTION !== 0) return false;
    const fate = await this.#endpoint.fate(session);
    if (fate === "forbidden") return 4003;
    if (fate !== "gone") return false;
    return this.#startOver() || 4004;
  }

  /** Drops a session that turned out to be gone, unless its messages are on the screen. */
  #startOver(): boolean {
    const session = this.#session;
    if (session === null || this.#known) return false;
    this.#leaveSession();
    this.#events.emit("sessionLost", { session });
    return true;
  }

  #leaveSession(): void {
    this.#memory.forget();
    this.#session = null;
    this.#known = false;
    this.#stopWanted = null;
    this.#refusals = 0;
    this.#conversation = EMPTY_CONVERSATION;
    this.#changed();
  }

  #say(frame: ClientFrame): void {
    this.#connection.send(JSON.stringify(frame));
  }

  #changed(): void {
    this.#events.emit("change", undefined);
  }
}
