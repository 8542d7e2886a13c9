/**
 * One lasting connection made of many sockets: it dials, notices when a socket is dead, waits as the
 * server and the rules of politeness ask, and dials again. It knows nothing of what is being said.
 */
import { Backoff } from "./backoff.js";
import { afterClose, closeMeaning, GONE } from "./close-codes.js";
import { type Dial, NotSignedIn } from "./endpoint.js";
import { Watchdog } from "./watchdog.js";

export type ConnectionState =
  | { name: "idle" }
  | { name: "connecting" }
  /** `leaving`: the server has announced that it will go away. */
  | { name: "connected"; leaving: boolean }
  /** `announced`: the server has said when to come back; otherwise the network broke. */
  | { name: "reconnecting"; attempt: number; retryAt: number; announced: boolean; why: string }
  | { name: "closed"; code: number; why: string };

/** The part of a WebSocket in use: browsers, workers, Node from 22 on and the `ws` package have it. */
export interface WebSocketLike {
  readonly readyState: number;
  onopen: ((event: never) => void) | null;
  onmessage: ((event: never) => void) | null;
  onerror: ((event: never) => void) | null;
  onclose: ((event: never) => void) | null;
  send(text: string): void;
  close(): void;
}

export type WebSocketClass = new (url: string, protocols: string[]) => WebSocketLike;

export interface ConnectionOptions {
  /** Asked before each attempt. `ended`: the code that ended the last socket, 0 before there was one. */
  dial(ended: number): Promise<Dial>;
  onText(text: string): void;
  onState(state: ConnectionState): void;
  /** An upgrade was refused or failed. `true` dials again at once, a code closes for good. */
  onRefused(): Promise<boolean | number>;
  /** There is nothing where it was dialled. `true` dials again at once. */
  onGone(): boolean;
  /** The socket was closed over a frame that was sent. Says whether the next one may fare better. */
  onFrameRefused(code: number): boolean;
  random?: () => number;
  webSocket?: WebSocketClass;
}

/** The close codes of a token that is not good, and of one that is over. */
const UNAUTHENTICATED = 4001;
const EXPIRED = 4204;
const CONNECT_LIMIT_MS = 15_000;
const PROBE_LIMIT_MS = 3_000;
/** The share by which a silence may outlast the promised heartbeat. */
const PATIENCE = 1.4;

export class Connection {
  #state: ConnectionState = { name: "idle" };
  #socket: WebSocketLike | null = null;
  /** Counts attempts, so that whatever belongs to an older one can be told and dropped. */
  #generation = 0;
  #connectedAt = 0;
  /** The code that ended the last socket. */
  #ended = 0;
  /** How long after its close the server wants to be left alone, in milliseconds. */
  #announced = 0;
  /** Until then the server has asked not to be called. */
  #notBefore = 0;
  #retry: ReturnType<typeof setTimeout> | undefined;
  #leave: ReturnType<typeof setTimeout> | undefined;
  readonly #options: ConnectionOptions;
  readonly #backoff: Backoff;
  readonly #watchdog = new Watchdog(() => this.lose(closeMeaning(4201)));

  constructor(options: ConnectionOptions) {
    this.#options = options;
    this.#backoff = new Backoff(options.random);
  }

  get state(): ConnectionState {
    return this.#state;
  }

  /** Leaves the present socket, if there is one, and dials at once. */
  replace(): void {
    this.#drop();
    this.#announced = 0;
    void this.#open();
  }

  /** Takes the socket for dead, and comes back by the usual rules. */
  lose(why: string): void {
    this.#drop();
    this.#wait(true, why);
  }

  close(why = "Closed"): void {
    this.#drop();
    this.#enter({ name: "closed", code: 1000, why });
  }

  /** Says whether the text could be handed to an open socket. */
  send(text: string): boolean {
    if (this.#socket?.readyState !== 1) return false;
    this.#socket.send(text);
    return true;
  }

  /** The server has greeted: now the connection counts, and its heartbeat is known. */
  welcomed(heartbeatSeconds: number): void {
    this.#connectedAt = Date.now();
    this.#ended = 0;
    this.#watchdog.watch(heartbeatSeconds * 1_000 * PATIENCE);
    this.#enter({ name: "connected", leaving: this.#announced > 0 });
  }

  /** Cuts a waiting time short, except one that the server has asked for, or checks the socket. */
  probe(): void {
    // Connecting without a socket: a token or the reason of a refusal is awaited, maybe on a network
    // that is gone.
    const waiting =
      (this.#state.name === "reconnecting" && Date.now() >= this.#notBefore) ||
      (this.#state.name === "connecting" && this.#socket === null);
    if (waiting) this.replace();
    else this.check();
  }

  /** Asks a possibly dead socket for a sign of life. */
  check(): void {
    if (this.#state.name === "connected" && this.send('{"type":"ping"}')) {
      this.#watchdog.expectAnswer(PROBE_LIMIT_MS, () => this.lose(closeMeaning(4201)));
    }
  }

  /**
   * The server will go away, and wants to be called again `delay` after its close. It closes when it has
   * nothing to finish; should it not, this side leaves, unless `busy` says that an answer is coming in.
   */
  goAway(delay: number, busy: () => boolean): void {
    this.#announced = Math.max(1, delay);
    clearTimeout(this.#leave);
    this.#leave = setTimeout(() => busy() || this.replace(), delay);
    if (this.#state.name === "connected") this.#enter({ name: "connected", leaving: true });
  }

  async #open(): Promise<void> {
    const generation = ++this.#generation;
    this.#enter({ name: "connecting" });
    try {
      const { url, protocols, greeting } = await this.#options.dial(this.#ended);
      if (generation !== this.#generation) return;
      const socket = new (this.#options.webSocket ?? globalSocket())(url, protocols);
      this.#listen(socket, generation, greeting);
    } catch (error) {
      if (generation !== this.#generation) return;
      if (error instanceof NotSignedIn)
        this.#end(this.#ended === EXPIRED ? EXPIRED : UNAUTHENTICATED);
      // No ticket or token could be had, or the address is no address.
      else this.#wait(true, String(error));
    }
  }

  #listen(socket: WebSocketLike, generation: number, greeting: string | undefined): void {
    let opened = false;
    this.#socket = socket;
    this.#watchdog.watch(CONNECT_LIMIT_MS);
    socket.onopen = () => {
      opened = true;
      if (greeting !== undefined) socket.send(greeting);
    };
    socket.onmessage = ({ data }: { data: unknown }) => {
      if (generation !== this.#generation) return;
      this.#watchdog.heard();
      this.#options.onText(String(data));
    };
    // Without a listener Node would throw; a close always follows and says as much.
    socket.onerror = () => {};
    socket.onclose = ({ code, reason }: { code: number; reason: string }) => {
      if (generation !== this.#generation) return;
      this.#drop();
      if (opened) this.#closed(code, reason);
      else void this.#refused();
    };
  }

  #closed(code: number, reason: string): void {
    this.#ended = code;
    const generation = this.#generation;
    if (code === GONE && this.#options.onGone()) {
      if (generation === this.#generation) void this.#open();
      return;
    }
    const why = closeMeaning(code, reason);
    const next = afterClose(code);
    const over =
      next === "without-it"
        ? !this.#options.onFrameRefused(code)
        : next === "stop" || next === "terminal";
    if (over) this.#enter({ name: "closed", code, why });
    else this.#wait(next !== "backoff", why);
  }

  async #refused(): Promise<void> {
    const generation = this.#generation;
    const verdict = await this.#options.onRefused();
    if (generation !== this.#generation) return;
    if (verdict === true) void this.#open();
    else if (verdict === false) this.#wait(true, "The gateway does not answer");
    else this.#end(verdict);
  }

  #end(code: number): void {
    this.#enter({ name: "closed", code, why: closeMeaning(code) });
  }

  #wait(soon: boolean, why: string): void {
    if (this.#connectedAt > 0) this.#backoff.connectionLasted(Date.now() - this.#connectedAt);
    this.#connectedAt = 0;
    const attempt = this.#backoff.attempt + 1;
    const announced = this.#announced > 0;
    const delay = Math.max(this.#backoff.next(soon), this.#announced);
    const retryAt = Date.now() + delay;
    this.#notBefore = announced ? retryAt : 0;
    this.#announced = 0;
    this.#retry = setTimeout(() => void this.#open(), delay);
    this.#enter({ name: "reconnecting", attempt, retryAt, announced, why });
  }

  #enter(state: ConnectionState): void {
    this.#state = state;
    this.#options.onState(state);
  }

  /** Lets go of socket and timers; what an old socket still says is no longer heard. */
  #drop(): void {
    this.#generation++;
    this.#watchdog.stop();
    clearTimeout(this.#retry);
    clearTimeout(this.#leave);
    this.#socket?.close();
    this.#socket = null;
  }
}

function globalSocket(): WebSocketClass {
  const { WebSocket } = globalThis;
  // Node 20 has none.
  if (typeof WebSocket !== "function")
    throw new Error("No WebSocket here: give one as `webSocket`");
  return WebSocket;
}
