/**
 * The client of a Rivulet gateway: one conversation over whatever sockets it takes.
 *
 * It joins parts that know nothing of each other: the connection (sockets), the conversation (pure
 * state), the outbox with its delivery (requests on their way) and the memory (which session this is).
 */
import { AssistantChoice } from "./assistant-choice.js";
import { GONE, goneError, TOKEN_EXPIRED } from "./close-codes.js";
import { Connection, type ConnectionState } from "./connection.js";
import {
  applyFrame,
  type Conversation,
  cursorOf,
  EMPTY_CONVERSATION,
  liveRun,
  withFeedback,
  withOlder,
  withoutPresence,
} from "./conversation.js";
import { Delivery } from "./delivery.js";
import { Emitter } from "./emitter.js";
import { CODE_OF_FATE, Endpoint } from "./endpoint.js";
import type {
  AckFrame,
  Approval,
  ClientFrame,
  Decision,
  ErrorFrame,
  Feedback,
  RequestFrame,
  ServerFrame,
} from "./frames.js";
import { readFrame } from "./frames.js";
import { Memory } from "./memory.js";
import type { RivuletEvents, RivuletOptions } from "./options.js";
import { newMessageId, Outbox, type Outgoing } from "./outbox.js";
import { pageIsHidden, watchPage } from "./page-signals.js";
import {
  deciding,
  editing,
  rating,
  regenerating,
  type SendOptions,
  sending,
  stopping,
} from "./requests.js";
import { TypingSignal } from "./typing-signal.js";

const DEFAULT_HEARTBEAT_S = 25;
/** After the first refused upgrade, so many go by before the gateway is asked for the reason again. */
const REFUSALS_PER_QUESTION = 4;

export class RivuletClient {
  #conversation = EMPTY_CONVERSATION;
  #session: string | null;
  /** Whether this session has greeted us once. */
  #known = false;
  /** Whether the new session that is asked for, or was, is one of which nothing is remembered. */
  #temporary = false;
  /** The message whose predecessors are on their way. */
  #loadingBefore: string | null = null;
  /** Upgrades that were refused since the last welcome. */
  #refusals = 0;
  #forgetPage: () => void = () => {};
  /** For requests of the application beside the conversation, in the same name. */
  readonly endpoint: Endpoint;
  readonly #memory: Memory;
  readonly #choice: AssistantChoice;
  readonly #connection: Connection;
  readonly #outbox = new Outbox();
  readonly #delivery = new Delivery({
    outbox: this.#outbox,
    say: (text) => this.#connection.send(text),
    refuse: (error) => this.#giveBack(error),
  });
  readonly #typing = new TypingSignal((on) => this.#say({ type: "typing", on }));
  readonly #events = new Emitter<RivuletEvents>();

  constructor(options: RivuletOptions) {
    const { url, session, assistant, storage, token, ticket, webSocket, random } = options;
    this.endpoint = new Endpoint(url, { token, ticket });
    this.#memory = new Memory(storage, "session");
    this.#choice = new AssistantChoice(this.endpoint, new Memory(storage, "assistant"), assistant);
    this.#session = session ?? this.#memory.read();
    this.#connection = new Connection({
      dial: (ended) => {
        const to = { session: this.#session, cursor: this.cursor, assistant: this.#choice.name };
        return this.endpoint.dial({ ...to, temporary: this.#temporary }, ended === TOKEN_EXPIRED);
      },
      onText: (text) => this.#receive(text),
      onState: (state) => this.#connectionChanged(state),
      onRefused: () => this.#refused(),
      onGone: () => this.#startOver(),
      onFrameRefused: (code) => this.#delivery.closedOver(code),
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

  /** Who answers here, or is asked to; `null`: whoever the gateway thinks fit, or it is not known yet. */
  get assistant(): string | null {
    return this.#session === null ? this.#choice.name : this.#conversation.assistant;
  }

  /** Whether nothing of this conversation is remembered; of one that was opened only when the gateway says it. */
  get temporary(): boolean {
    return this.#conversation.temporary ?? this.#temporary;
  }

  get state(): ConnectionState {
    return this.#connection.state;
  }

  /** Own requests that were not answered yet, and own messages that are not in the conversation yet. */
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
      onOffline: () => this.#connection.check(),
      onHidden: (hidden) => {
        if (hidden) this.#typing.rest();
        this.#say({ type: "view", hidden });
      },
    });
    this.#connection.replace();
  }

  /**
   * Sends a message and returns its id. Like all requests it goes out as soon as there is a socket, and
   * again over further sockets until the server has answered it.
   */
  send(text: string, options: SendOptions = {}): string {
    return this.#ask(sending(text, options));
  }

  /** Puts `text` in the place of an own message and all that came after it; returns its new id. */
  edit(message: string, text: string): string {
    return this.#ask(editing(message, text));
  }

  /** Has an answer written anew, by default the last one; returns the id of the new answer. */
  regenerate(message?: string): string {
    return this.#ask(regenerating(message));
  }

  /** Tells what the user thinks of an answer; a later word replaces an earlier one. */
  feedback(message: string, value: Feedback["value"], comment?: string): void {
    this.#ask(rating(message, value, comment));
  }

  /** Says whether a call that waits is to be carried out; returns the id of this request. */
  decide(approval: Pick<Approval, "id" | "digest">, decision: Decision, comment?: string): string {
    return this.#ask(deciding(approval, decision, comment));
  }

  /** Stops the answer that is being written, or the one that is about to be. */
  stop(): void {
    const frame = stopping(this.#conversation, this.#outbox.question());
    if (frame !== null) this.#ask(frame);
  }

  /**
   * To be called whenever the text that is being written changes: the others see that somebody writes. They are told
   * at most every few seconds, and that it is over after a pause, with `false`, or when the message is sent.
   */
  typing(on = true): void {
    if (on) this.#typing.key();
    else this.#typing.rest();
  }

  /** Gives the live socket a fresh token. Without this the gateway ends it in time, and it resumes. */
  async renewToken(): Promise<void> {
    const token = await this.endpoint.token(true);
    if (token !== null) this.#say({ type: "auth", id: newMessageId(), token });
  }

  /** Puts the next older messages before those that are here. Asked again meanwhile, or without any, it does nothing. */
  async loadOlder(): Promise<void> {
    const { session, older, messages } = this.#conversation;
    const first = messages[0]?.id;
    if (session === null || first === undefined || !older) return;
    if (this.#loadingBefore === first) return;
    this.#loadingBefore = first;
    try {
      const page = await this.endpoint.messagesBefore(session, first);
      this.#conversation = withOlder(this.#conversation, session, first, page);
      this.#changed();
    } finally {
      if (this.#loadingBefore === first) this.#loadingBefore = null;
    }
  }

  /**
   * Begins an empty conversation; nothing is deleted. `assistant` is who answers in it and in later ones, by default the
   * last choice; `null` leaves it to the gateway. `temporary`: what is said in this one is not remembered.
   */
  newSession(assistant?: string | null, { temporary = false } = {}): void {
    if (assistant !== undefined) this.#choice.choose(assistant);
    this.#moveTo(null, temporary);
  }

  /** Leaves this conversation for another one that there is. */
  openSession(session: string): void {
    this.#moveTo(session);
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
    this.#outbox.seen(frame);
    switch (frame.type) {
      case "welcome":
        this.#session = frame.session;
        this.#known = true;
        this.#refusals = 0;
        this.#remember();
        this.#connection.welcomed(frame.heartbeat_s ?? DEFAULT_HEARTBEAT_S);
        // A new socket is taken to be looked at until it is told otherwise.
        if (pageIsHidden()) this.#say({ type: "view", hidden: true });
        // A session that is new now has nothing of what it may have acknowledged before.
        if (frame.recovered === "new") this.#outbox.forgetAcks();
        this.#delivery.begin(frame.limits?.frame_bytes ?? Number.POSITIVE_INFINITY);
        break;
      case "pong":
        this.#delivery.pong(frame.t);
        break;
      case "ping":
        this.#say({ type: "pong", ...(frame.t !== undefined && { t: frame.t }) });
        break;
      case "ack":
        this.#acknowledged(frame);
        break;
      case "message":
      case "snapshot":
        this.#remember();
        break;
      case "error":
        if (this.#isForNextGateway(frame)) break;
        if (frame.re === undefined) this.#delivery.unnamed(frame);
        else this.#refusal(frame);
        break;
      case "goaway":
        this.#connection.goAway(frame.retry_in_ms ?? 0, () => liveRun(this.#conversation) !== null);
        break;
    }
  }

  #ask(frame: RequestFrame): string {
    if (frame.type === "send" || frame.type === "edit") this.#typing.rest();
    this.#outbox.add(frame);
    if (this.state.name === "connected") this.#delivery.deliver(frame);
    this.#changed();
    return frame.id;
  }

  #acknowledged(ack: AckFrame): void {
    const frame = this.#outbox.ack(ack);
    this.#delivery.answered(ack.re);
    if (frame?.type !== "feedback") return;
    const { message, value, comment } = frame;
    const feedback = { value, ...(comment !== undefined && { comment }) };
    this.#conversation = withFeedback(this.#conversation, message, feedback);
  }

  /**
   * A gateway that ends takes no more requests: they are sent again, with their ids, to the next one.
   * A refusal that names its time holds there, too.
   */
  #isForNextGateway({ retryable = false, retry_in_ms }: ErrorFrame): boolean {
    const leaving = this.state.name === "connected" && this.state.leaving;
    return leaving && retryable && retry_in_ms === undefined;
  }

  #refusal(error: ErrorFrame): void {
    const frame = error.re === undefined ? null : this.#outbox.remove(error.re);
    if (!frame) return;
    this.#delivery.answered(frame.id);
    this.#events.emit("refused", { error, frame });
  }

  /** A refusal that the gateway has not put into words. */
  #giveBack(error: ErrorFrame): void {
    this.#refusal(error);
    this.#events.emit("error", error);
    this.#changed();
  }

  #connectionChanged(state: ConnectionState): void {
    if (state.name !== "connected") {
      this.#delivery.reset();
      this.#typing.forget();
      this.#conversation = withoutPresence(this.#conversation);
    }
    this.#events.emit("state", state);
    if (state.name === "closed" && state.code === GONE) void this.#gone(state);
  }

  /** The same as a refused upgrade, only found out a moment later. */
  async #gone(state: ConnectionState): Promise<void> {
    const again = this.#session === null && (await this.#choice.another());
    if (this.state !== state) return;
    if (again) this.#connection.replace();
    // What was not answered never will be.
    else for (const { frame } of this.#outbox.list()) this.#giveBack(goneError(frame.id));
  }

  async #refused(): Promise<boolean | number> {
    const session = this.#session;
    if (this.#refusals++ % REFUSALS_PER_QUESTION !== 0) return false;
    if (session === null) return this.#choice.another();
    const fate = await this.endpoint.fate(session);
    if (fate === "gone" && this.#startOver()) return true;
    return CODE_OF_FATE[fate] ?? false;
  }

  /** Drops a session that turned out to be gone, unless something was said in it. */
  #startOver(): boolean {
    const [session, known] = [this.#session, this.#known];
    const used =
      this.#conversation.messages.length > 0 || this.#outbox.list().some(({ acked }) => acked);
    if (session === null || used) return false;
    this.#leaveSession();
    this.#events.emit("sessionLost", { session, known });
    return true;
  }

  /** A session in which nothing was said is not kept by the gateway either. */
  #remember(): void {
    const { session, messages } = this.#conversation;
    if (session !== null && messages.length > 0) this.#memory.write(session);
  }

  #moveTo(session: string | null, temporary = false): void {
    this.#temporary = temporary;
    this.#outbox.clear();
    this.#leaveSession(session);
    this.connect();
  }

  #leaveSession(next: string | null = null): void {
    this.#memory.forget();
    this.#session = next;
    this.#known = false;
    this.#refusals = 0;
    this.#conversation = EMPTY_CONVERSATION;
    this.#changed();
  }

  #say(frame: ClientFrame): boolean {
    return this.#connection.send(JSON.stringify(frame));
  }

  #changed(): void {
    this.#events.emit("change", undefined);
  }
}
