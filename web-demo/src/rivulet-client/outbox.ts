/**
 * Messages on their way. Each keeps its id until the server has stored it, so that sending it again
 * after a reconnect cannot make a second one.
 */
import type { AckFrame, SendFrame } from "./frames";

export interface Outgoing {
  readonly frame: SendFrame;
  readonly acked: boolean;
}

export class Outbox {
  readonly #waiting = new Map<string, Outgoing>();

  add(frame: SendFrame): void {
    this.#waiting.set(frame.id, { frame, acked: false });
  }

  /** Acknowledged messages stay listed, for display, until they show up in the conversation. */
  ack(frame: AckFrame): void {
    const id = frame.re ?? frame.message ?? "";
    const entry = this.#waiting.get(id);
    if (entry) this.#waiting.set(id, { ...entry, acked: true });
  }

  /** The message that was refused, or is in the conversation now. */
  remove(id: string): SendFrame | null {
    const frame = this.#waiting.get(id)?.frame ?? null;
    this.#waiting.delete(id);
    return frame;
  }

  unacked(): SendFrame[] {
    return this.list().flatMap(({ acked, frame }) => (acked ? [] : [frame]));
  }

  list(): Outgoing[] {
    return [...this.#waiting.values()];
  }

  clear(): void {
    this.#waiting.clear();
  }
}

/**
 * A new message id. Not `crypto.randomUUID`: that exists on https pages only, and a gateway under
 * trial is often opened by its address in the local network.
 */
export function newMessageId(): string {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  return `m_${Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("")}`;
}
