/** What people read about the state and the end of an answer. */
import type { Message, RunPhase } from "../rivulet-client";

const PHASE: Readonly<Record<RunPhase, string>> = {
  queued: "In the queue",
  retrieving: "Searching the knowledge",
  waiting: "Waiting for the model",
  thinking: "Thinking",
  streaming: "Writing",
  tool: "Using a tool",
};

const NOTE: Readonly<Record<string, string>> = {
  stopped: "You stopped this answer. What was written is kept.",
  length: "The answer reached its longest allowed length.",
  filtered: "The model's content filter ended this answer.",
  incomplete: "The model broke off in the middle. The answer may lack its end.",
  error: "The model failed before it could finish.",
  interrupted: "The gateway was restarted while this was being written.",
};

export function phaseText(phase: RunPhase): string {
  return PHASE[phase] ?? "Working";
}

/** A note under an answer that did not simply end well; `null` when there is nothing to say. */
export function outcomeNote(message: Message): string | null {
  if (message.verified === false) {
    return "This text could not be checked against the gateway's. Reload to fetch it again.";
  }
  const unbegun = message.status === "stopped" && message.text === "";
  const note = unbegun ? "You stopped this answer before it began." : NOTE[message.status];
  if (note === undefined) return null;
  const error = message.outcome?.error;
  const detail = typeof error === "string" ? error : error?.message;
  return detail ? `${note} ${detail}` : note;
}

/** One line of facts: the model, how long it took, how much it wrote. */
export function outcomeFacts({ model, outcome, verified }: Message): string {
  const { timing, usage } = outcome ?? {};
  return [
    model,
    timing?.ttft_ms !== undefined && `first word after ${seconds(timing.ttft_ms)}`,
    timing?.total_ms !== undefined && `${seconds(timing.total_ms)} in all`,
    usage && `${usage.estimated ? "about " : ""}${usage.output} tokens`,
    verified && "checksum right",
  ]
    .filter((fact) => typeof fact === "string")
    .join(" · ");
}

function seconds(ms: number): string {
  return ms < 1_000 ? `${Math.round(ms)} ms` : `${(ms / 1_000).toFixed(1)} s`;
}
