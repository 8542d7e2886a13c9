/** What people read about the call of a tool. */
import type { ToolCall } from "@rivulet/client";

const STATUS: Readonly<Record<string, string>> = {
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
export function statusText(status: string): string {
  return Object.hasOwn(STATUS, status) ? (STATUS[status] ?? "") : status;
}

/** "Using Monthly instalment", as long as there is one at work. */
export function usingText(tools: readonly ToolCall[]): string {
  const [first, ...others] = tools.filter(({ status }) => status === "running");
  if (first === undefined) return "Using a tool";
  const more = others.length > 0 ? ` and ${others.length} more` : "";
  return `Using ${toolTitle(first)}${more}`;
}

/** Who has decided, and what they said, as far as that is told. */
export function decidedText({ approval }: ToolCall): string {
  return [approval?.by && `by ${approval.by}`, approval?.comment].filter(Boolean).join(": ");
}

/** "40 %: page 2 of 5", while it is at work. */
export function progressText({ status, progress: told }: ToolCall): string {
  if (status !== "running" || told === undefined) return "";
  const share = told.progress === undefined ? "" : `${Math.round(told.progress * 100)} %`;
  return [share, told.message].filter(Boolean).join(": ");
}

/** For who does not see the card: "Monthly instalment: 16,251.22 a month." */
export function endText(call: ToolCall): string {
  const { summary, approval } = call;
  const status = statusNow(call);
  if (status === "waiting") {
    const who = approval?.approver === "user" ? "your approval" : "the approval of a colleague";
    return `${toolTitle(call)}: Waits for ${who}.`;
  }
  const words = [status !== "ok" && statusText(status), summary].filter(Boolean).join(": ");
  return `${toolTitle(call)}: ${words || statusText(status)}.`;
}

export function duration(ms: number): string {
  return ms < 1_000 ? `${Math.round(ms)} ms` : `${(ms / 1_000).toFixed(1)} s`;
}
