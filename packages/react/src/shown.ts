/** What a view shows of a conversation and of what is on its way to it. Pure. */
import { type Conversation, liveRun, type Message, type Outgoing } from "@rivulet/client";

/** As the gateway has it, or a question that it has not yet: its `status` is `sending`. */
export type ShownMessage = Message;

/**
 * `submitted`: something was asked, nothing of the answer is there; `streaming`: it is being written; `error`: the last request
 * was refused.
 */
export type ChatStatus = "ready" | "submitted" | "streaming" | "error";

/** The requests that an answer comes of. */
const ASKS: ReadonlySet<string> = new Set(["send", "edit", "regenerate"]);

/** Frames do not change, so what is shown of one stays the same object. */
const underWay = new WeakMap<Outgoing["frame"], ShownMessage>();

/** The messages with what will be among them; an edit, and an answer written anew, hide what they replace. */
export function shownMessages(
  conversation: Conversation,
  outgoing: readonly Outgoing[],
): readonly ShownMessage[] {
  let messages = conversation.messages;
  for (const { frame } of outgoing) {
    // Asked again under its id: it is there already.
    if (messages.some(({ id }) => id === frame.id)) continue;
    if (frame.type === "edit") messages = upTo(messages, frame.message);
    if (frame.type === "regenerate")
      messages = upTo(messages, frame.message ?? lastAnswer(messages));
    if (frame.type === "edit" || frame.type === "send") messages = [...messages, question(frame)];
  }
  return messages;
}

/** `own`: the question that was asked here last; it is there a moment before the run that answers it. */
export function statusOf(
  conversation: Conversation,
  outgoing: readonly Outgoing[],
  own: string | null,
  failed: boolean,
): ChatStatus {
  const run = liveRun(conversation);
  if (run?.held.text) return "streaming";
  const asked = outgoing.some(({ frame }) => ASKS.has(frame.type));
  const last = conversation.messages.at(-1);
  const waits = last !== undefined && last.role === "user" && last.id === own;
  if (run || asked || waits) return "submitted";
  return failed ? "error" : "ready";
}

function question(frame: Extract<Outgoing["frame"], { type: "send" | "edit" }>): ShownMessage {
  const { id, text } = frame;
  const known = underWay.get(frame);
  if (known) return known;
  const shown: ShownMessage = { id, role: "user", text, status: "sending", sources: [], tools: [] };
  underWay.set(frame, shown);
  return shown;
}

function upTo(messages: readonly Message[], id: string | undefined): readonly Message[] {
  const at = messages.findIndex((message) => message.id === id);
  return at < 0 ? messages : messages.slice(0, at);
}

function lastAnswer(messages: readonly Message[]): string | undefined {
  return messages.findLast(({ role }) => role === "assistant")?.id;
}
