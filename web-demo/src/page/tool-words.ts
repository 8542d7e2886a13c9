/** What people read about the call of a tool. */
import type { ToolCall } from "../rivulet-client";

const STATUS: Readonly<Record<string, string>> = {
  running: "Running",
  ok: "Done",
  error: "Failed",
  invalid: "Asked wrongly",
  timeout: "Took too long",
  cancelled: "Cancelled",
};

export function toolTitle({ title, tool }: ToolCall): string {
  return title || tool;
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

/** For who does not see the card: "Monthly instalment: 16,251.22 a month." */
export function endText(call: ToolCall): string {
  const { status, summary } = call;
  const words = [status !== "ok" && statusText(status), summary].filter(Boolean).join(": ");
  return `${toolTitle(call)}: ${words || statusText(status)}.`;
}

export function duration(ms: number): string {
  return ms < 1_000 ? `${Math.round(ms)} ms` : `${(ms / 1_000).toFixed(1)} s`;
}
