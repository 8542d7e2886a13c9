/** The calls of tools in one answer. Each is begun by one event, and ended by another or with the answer. */
import type { ToolCall, ToolCallFrame, ToolResultFrame } from "./frames";

export type ToolCalls = readonly ToolCall[];

export function withCall(calls: ToolCalls, frame: ToolCallFrame): ToolCalls {
  const { type, seq, run, ...call } = frame;
  const known = calls.some((one) => one.call === call.call);
  return known ? calls : [...calls, { ...call, status: "running" }];
}

export function withResult(calls: ToolCalls, frame: ToolResultFrame): ToolCalls {
  const { type, seq, run, ...result } = frame;
  return calls.map((one) => (one.call === result.call ? { ...one, ...result } : one));
}

/** The calls of an answer that is over: nothing comes of those that have no result. */
export function settled(calls: ToolCalls): ToolCalls {
  if (calls.every(({ status }) => status !== "running")) return calls;
  return calls.map((one) => (one.status === "running" ? { ...one, status: "cancelled" } : one));
}

/** How much of the text stands for good: what a tool was called behind is not taken back. */
export function keptBy(calls: ToolCalls): number {
  return Math.max(0, ...calls.map(({ off }) => off));
}
