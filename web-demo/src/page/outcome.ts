/** What people read about the state and the end of an answer. */
import type { Message, Run, RunPhase } from "@rivulet/client";
import { english, type Say } from "./say";
import { duration, usingText } from "./tool-words";

export const PHASE: Readonly<Record<Exclude<RunPhase, "tool">, string>> = {
  queued: "Waiting for its turn",
  retrieving: "Searching the knowledge",
  waiting: "Waiting for the model",
  thinking: "Thinking",
  streaming: "Writing",
};

export const NOTE: Readonly<Record<string, string>> = {
  stopped: "You stopped this answer. What was written is kept.",
  length: "The answer reached its longest allowed length.",
  filtered: "The model's content filter ended this answer.",
  incomplete: "The model broke off in the middle. The answer may lack its end.",
  error: "The model failed before it could finish.",
  interrupted: "The gateway was restarted while this was being written.",
};

export const STOPPED_BEFORE = "You stopped this answer before it began.";
export const SPENT_BEFORE =
  "What is left of the budget is not enough for this answer. Try again later.";
export const SPENT_WITHIN =
  "The budget for answers was used up here. What was written is kept; its end is missing.";

export function phaseText({ phase, position, tools }: Run, say: Say = english): string {
  if (phase === "tool") return usingText(tools, say);
  const text = say(PHASE[phase] ?? "Working");
  if (phase !== "queued" || position === undefined) return text;
  return position > 1 ? say("{0}: {1} before this one", text, position - 1) : say("Next in line");
}

/** A note under an answer that did not simply end well; `null` when there is nothing to say. */
export function outcomeNote(message: Message, say: Say = english): string | null {
  if (message.verified === false) {
    return say("This text could not be checked against the gateway's. Reload to fetch it again.");
  }
  const error = message.outcome?.error;
  const detail = typeof error === "string" ? error : error?.message;
  const spent = typeof error === "object" && error.code === "budget_exhausted";
  const unbegun = message.text === "" && message.tools.length === 0;
  if (spent) return say(unbegun ? SPENT_BEFORE : SPENT_WITHIN);
  const note = message.status === "stopped" && unbegun ? STOPPED_BEFORE : NOTE[message.status];
  if (note === undefined) return null;
  return detail ? `${say(note)} ${detail}` : say(note);
}

/** One line of facts: the model, how long it took, how much it wrote. */
export function outcomeFacts({ model, outcome, verified }: Message): string {
  const { timing, usage } = outcome ?? {};
  return [
    model,
    timing?.ttft_ms !== undefined && `first word after ${duration(timing.ttft_ms)}`,
    timing?.total_ms !== undefined && `${duration(timing.total_ms)} in all`,
    usage && `${usage.estimated ? "about " : ""}${usage.output} tokens`,
    verified && "checksum right",
  ]
    .filter((fact) => typeof fact === "string")
    .join(" · ");
}
