/**
 * Requests on their way. Each keeps its id until the server has answered it, so that sending it again
 * after a reconnect cannot do the same thing twice.
 */
import type { AckFrame, RequestFrame, ServerFrame } from "./frames.js";

export interface Outgoing {
  readonly frame: RequestFrame;
  readonly acked: boolean;
  /** The run that the acknowledgement named. */
  readonly run?: string;
}

export class Outbox {
  readonly #waiting = new Map<string, Outgoing>();

  /** A later word on the same thing takes the place of an earlier one that still waits. */
  add(frame: RequestFrame): void {
    for (const { frame: old } of this.list()) if (revises(frame, old)) this.remove(old.id);
    this.#waiting.set(frame.id, { frame, acked: false });
  }

  /**
   * Gives what was acknowledged. What becomes a message stays listed, for display, until it shows up in
   * the conversation; a repeated one has shown up already, or was replaced since.
   */
  ack(ack: AckFrame): RequestFrame | null {
    const id = ack.re ?? ack.message ?? "";
    const entry = this.#waiting.get(id);
    if (!entry) return null;
    const { frame } = entry;
    const { run, duplicate } = ack;
    if (!asks(frame) || duplicate) this.remove(id);
    else this.#waiting.set(id, { frame, acked: true, ...(run !== undefined && { run }) });
    return frame;
  }

  /** The request that was refused, or is in the conversation now. */
  remove(id: string): RequestFrame | null {
    const frame = this.#waiting.get(id)?.frame ?? null;
    this.#waiting.delete(id);
    return frame;
  }

  /** Removes what shows up in the conversation with this frame. */
  seen(frame: ServerFrame): void {
    if (frame.type === "message") this.remove(frame.message.id);
    if (frame.type === "run.start") this.remove(frame.message);
    if (frame.type !== "snapshot") return;
    for (const { id } of frame.messages) this.remove(id);
    for (const { message } of frame.runs) this.remove(message);
    // It has every acknowledged message, except those that were replaced meanwhile.
    for (const { frame, acked } of this.list()) if (acked) this.remove(frame.id);
  }

  /** The session has lost what it had acknowledged: all of it is to be said again. */
  forgetAcks(): void {
    for (const { frame, acked } of this.list())
      if (acked) this.#waiting.set(frame.id, { frame, acked: false });
  }

  unanswered(): RequestFrame[] {
    return this.list().flatMap(({ acked, frame }) => (acked ? [] : [frame]));
  }

  /** The newest request for an answer. */
  question(): Outgoing | undefined {
    return this.list().findLast(({ frame }) => asks(frame));
  }

  list(): Outgoing[] {
    return [...this.#waiting.values()];
  }

  clear(): void {
    this.#waiting.clear();
  }
}

/** Whether an answer will be written because of this. */
function asks({ type }: RequestFrame): boolean {
  return type === "send" || type === "edit" || type === "regenerate";
}

function revises(frame: RequestFrame, old: RequestFrame): boolean {
  if (frame.type === "feedback") return old.type === "feedback" && old.message === frame.message;
  if (frame.type === "approve") return old.type === "approve" && old.approval === frame.approval;
  if (frame.type !== "stop" || old.type !== "stop") return false;
  return old.run === frame.run && old.for === frame.for;
}

/**
 * A new message id. Not `crypto.randomUUID`: that exists on https pages only, and a gateway under
 * trial is often opened by its address in the local network.
 */
export function newMessageId(): string {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  return `m_${Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("")}`;
}
