/** What a user may ask of the gateway, as frames. Halves of surrogate pairs in texts become U+FFFD. */
import { type Conversation, liveRun, questionOf } from "./conversation.js";
import type { Approval, Decision, Feedback, RequestFrame, SendMode } from "./frames.js";
import { newMessageId, type Outgoing } from "./outbox.js";
import { wellFormed } from "./well-formed.js";

export interface SendOptions {
  id?: string;
  mode?: SendMode;
}

export function sending(text: string, { id = newMessageId(), mode }: SendOptions): RequestFrame {
  return { type: "send", id, text: wellFormed(text), ...(mode && { mode }) };
}

export function editing(message: string, text: string): RequestFrame {
  return { type: "edit", id: newMessageId(), message, text: wellFormed(text) };
}

export function regenerating(message: string | undefined): RequestFrame {
  return { type: "regenerate", id: newMessageId(), ...(message && { message }) };
}

export function rating(
  message: string,
  value: Feedback["value"],
  comment: string | undefined,
): RequestFrame {
  const words = comment ? { comment: wellFormed(comment) } : {};
  return { type: "feedback", id: newMessageId(), message, value, ...words };
}

export function deciding(
  { id: approval, digest }: Pick<Approval, "id" | "digest">,
  decision: Decision,
  comment: string | undefined,
): RequestFrame {
  const words = comment ? { comment: wellFormed(comment) } : {};
  return { type: "approve", id: newMessageId(), approval, digest, decision, ...words };
}

/** `asked`: the newest request for an answer that is still on its way. `null`: there is nothing to stop. */
export function stopping(
  conversation: Conversation,
  asked: Outgoing | undefined,
): RequestFrame | null {
  const id = newMessageId();
  const run = liveRun(conversation)?.id ?? asked?.run;
  if (run !== undefined) return { type: "stop", id, run };
  if (!asked) return null;
  const { frame } = asked;
  const answered = frame.type === "regenerate";
  const question = answered ? questionOf(conversation, frame.message) : frame.id;
  return question === null ? null : { type: "stop", id, for: question };
}
