/** What people read about the call of a tool. */
import type { ToolCall } from "@rivulet/client";
import { english, type Say } from "./say";

export const STATUS: Readonly<Record<string, string>> = {
  running: "Running",
  ok: "Done",
  error: "Failed",
  invalid: "Asked wrongly",
  timeout: "Took too long",
  cancelled: "Cancelled",
  waiting: "Waits for approval",
  approved: "Approved",
  denied: "Denied",
  superseded: "Set aside",
  expired: "Expired",
};

export function toolTitle({ title, tool }: ToolCall): string {
  return title || tool;
}

/** Whether it still waits for somebody's word. */
export function isOpen({ status, approval }: ToolCall): boolean {
  if (status !== "waiting" || approval === undefined) return false;
  // A time that cannot be read is over for the gateway alone.
  return !(Date.parse(approval.expires_at) <= Date.now());
}

/** How it stands by now: what waits is `expired` when its time is over, which no event tells. */
export function statusNow(call: ToolCall): string {
  return call.status === "waiting" && call.approval && !isOpen(call) ? "expired" : call.status;
}

/** One that is not known here is shown as it is. */
export function statusText(status: string, say: Say = english): string {
  return Object.hasOwn(STATUS, status) ? say(STATUS[status] ?? "") : status;
}

/** "Using Monthly instalment", as long as there is one at work. */
export function usingText(tools: readonly ToolCall[], say: Say = english): string {
  const [first, ...others] = tools.filter(({ status }) => status === "running");
  if (first === undefined) return say("Using a tool");
  const title = toolTitle(first);
  return others.length > 0
    ? say("Using {0} and {1} more", title, others.length)
    : say("Using {0}", title);
}

/** Who has decided, and what they said, as far as that is told. */
export function decidedText({ approval }: ToolCall, say: Say = english): string {
  return [approval?.by && say("by {0}", approval.by), approval?.comment].filter(Boolean).join(": ");
}

/** "40 %: page 2 of 5", while it is at work. */
export function progressText({ status, progress: told }: ToolCall): string {
  if (status !== "running" || told === undefined) return "";
  const share = told.progress === undefined ? "" : `${Math.round(told.progress * 100)} %`;
  return [share, told.message].filter(Boolean).join(": ");
}

/** For who does not see the card: "Monthly instalment: 16,251.22 a month." */
export function endText(call: ToolCall, say: Say = english): string {
  const { summary, approval } = call;
  const status = statusNow(call);
  if (status === "waiting") {
    const title = toolTitle(call);
    return approval?.approver === "user"
      ? say("{0}: Waits for your approval.", title)
      : say("{0}: Waits for the approval of a colleague.", title);
  }
  const words = [status !== "ok" && statusText(status, say), summary].filter(Boolean).join(": ");
  return `${toolTitle(call)}: ${words || statusText(status, say)}.`;
}

export function duration(ms: number): string {
  return ms < 1_000 ? `${Math.round(ms)} ms` : `${(ms / 1_000).toFixed(1)} s`;
}
