/**
 * The calls of tools in one answer. Each is begun by one event, and ended by another or with the answer; those that
 * wait for an approval outlive it.
 */
import type {
  ApprovalRequestFrame,
  ApprovalResolvedFrame,
  ToolCall,
  ToolCallFrame,
  ToolProgressFrame,
  ToolResultFrame,
} from "./frames.js";

export type ToolCalls = readonly ToolCall[];

export function withCall(calls: ToolCalls, frame: ToolCallFrame): ToolCalls {
  const { type, seq, run, ...call } = frame;
  const known = calls.some((one) => one.call === call.call);
  return known ? calls : [...calls, { ...call, status: "running" }];
}

export function withResult(calls: ToolCalls, frame: ToolResultFrame): ToolCalls {
  const { type, seq, run, ...result } = frame;
  return calls.map((one) => (one.call === result.call ? ended(one, result) : one));
}

function ended({ progress, ...call }: ToolCall, result: Partial<ToolCall>): ToolCall {
  return { ...call, ...result };
}

export function withRequest(calls: ToolCalls, { call, approval }: ApprovalRequestFrame): ToolCalls {
  return calls.map((one) => (one.call === call ? { ...one, status: "waiting", approval } : one));
}

export function withProgress(calls: ToolCalls, frame: ToolProgressFrame): ToolCalls {
  const { type, run, call, ...progress } = frame;
  const moves = (one: ToolCall) => one.call === call && one.status === "running";
  return calls.map((one) => (moves(one) ? { ...one, progress } : one));
}

/** The same calls when none of them has waited for it. */
export function withDecision(
  calls: ToolCalls,
  { call, approval: id, decision, by, comment }: ApprovalResolvedFrame,
): ToolCalls {
  if (!calls.some((one) => one.call === call && one.status === "waiting")) return calls;
  const words = { ...(by !== undefined && { by }), ...(comment !== undefined && { comment }) };
  return calls.map((one) => {
    if (one.call !== call || one.approval?.id !== id) return one;
    return { ...one, status: decision, approval: { ...one.approval, ...words } };
  });
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
