/**
 * Puts requests on the socket, and finds out whose fault it was when the gateway refuses one without
 * saying which: by an error without `re`, or by closing the socket.
 *
 * Suspects are said once more, which does no harm, each between two pings. The gateway answers pings and
 * refuses frames in the order in which they come: what is refused between the two pongs was the suspect.
 */
import type { ClientFrame, ErrorFrame, RequestFrame } from "./frames.js";
import type { Outbox } from "./outbox.js";

export interface DeliveryOptions {
  readonly outbox: Outbox;
  /** Says whether the text could be handed to a socket. */
  say(text: string): boolean;
  /** A request, named by `re`, will never be taken as it is. */
  refuse(error: ErrorFrame): void;
}

interface Trial {
  readonly id: string;
  /** The first of its pongs has come. */
  begun: boolean;
}

/** The close code for a frame that is too long. */
const TOO_LONG = 1009;

const utf8 = new TextEncoder();

export class Delivery {
  readonly #options: DeliveryOptions;
  /** What was said over this socket and is not answered yet. */
  readonly #said = new Set<string>();
  /** The ids of suspects that were not tried yet. */
  readonly #suspects = new Set<string>();
  #trial: Trial | null = null;
  /** The last socket was closed over a request: all are suspects on the next one. */
  #careful = false;
  /** The longest frame that the gateway takes, in bytes; a longer one would end the connection. */
  #frameBytes = Number.POSITIVE_INFINITY;

  constructor(options: DeliveryOptions) {
    this.#options = options;
  }

  /** A new socket is open: all that was not answered is said again. */
  begin(frameBytes: number): void {
    this.#frameBytes = frameBytes;
    const unanswered = this.#options.outbox.unanswered();
    const careful = this.#careful;
    this.#careful = false;
    this.reset();
    if (careful) this.#suspect(unanswered.map(({ id }) => id));
    else for (const frame of unanswered) this.deliver(frame);
  }

  /** The socket is gone. */
  reset(): void {
    this.#said.clear();
    this.#suspects.clear();
    this.#trial = null;
  }

  /** Says a request; while others are suspected, after them. */
  deliver(frame: RequestFrame): void {
    if (this.#trial) this.#suspects.add(frame.id);
    else this.#say(frame);
  }

  /** The gateway has answered a request, by its name. */
  answered(id: string | undefined): void {
    if (id === undefined) return;
    this.#said.delete(id);
    this.#suspects.delete(id);
    if (this.#trial?.id === id) this.#next();
  }

  /** An error has come that names no request. */
  unnamed(error: ErrorFrame): void {
    if (this.#trial === null) this.#suspect(this.#said);
    else if (this.#trial.begun) this.#options.refuse({ ...error, re: this.#trial.id });
  }

  pong(t: unknown): void {
    if (this.#trial === null) return;
    if (t === before(this.#trial.id)) this.#trial.begun = true;
    if (t === after(this.#trial.id)) this.#next();
  }

  /** The socket was closed over a frame. Says whether the next one may fare better. */
  closedOver(code: number): boolean {
    const unanswered = this.#options.outbox.unanswered();
    const open = unanswered.filter(({ id }) => this.#said.has(id));
    const guilty = this.#trial?.id ?? (open.length === 1 ? open[0]?.id : undefined);
    this.#careful = open.length > 0 && unanswered.some(({ id }) => id !== guilty);
    this.reset();
    if (guilty !== undefined) {
      const error = code === TOO_LONG ? "too_large" : "not_taken";
      const message = "The gateway cannot take this message";
      this.#options.refuse({ type: "error", re: guilty, code: error, message });
    }
    return open.length > 0;
  }

  #suspect(ids: Iterable<string>): void {
    for (const id of ids) this.#suspects.add(id);
    this.#next();
  }

  /** Tries the next suspect that is still without an answer. */
  #next(): void {
    this.#trial = null;
    const frame = this.#options.outbox.unanswered().find(({ id }) => this.#suspects.has(id));
    if (frame === undefined) {
      this.#suspects.clear();
      return;
    }
    const { id } = frame;
    this.#suspects.delete(id);
    this.#trial = { id, begun: false };
    this.#ping(before(id));
    this.#say(frame);
    this.#ping(after(id));
  }

  /** Says a request, or refuses it here: a frame that is too long would cost the whole connection. */
  #say(frame: RequestFrame): void {
    const text = JSON.stringify(frame);
    if (utf8.encode(text).length > this.#frameBytes) {
      const message = `A message takes at most ${this.#frameBytes} bytes`;
      this.#options.refuse({ type: "error", re: frame.id, code: "too_large", message });
    } else if (this.#options.say(text)) this.#said.add(frame.id);
  }

  #ping(t: string): void {
    const ping: ClientFrame = { type: "ping", t };
    this.#options.say(JSON.stringify(ping));
  }
}

const before = (id: string): string => `before:${id}`;
const after = (id: string): string => `after:${id}`;
