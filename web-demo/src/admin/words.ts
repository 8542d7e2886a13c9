/** Numbers and states as people read them. Pure. */
import type { Phase, Target } from "./wire";

const UNITS: readonly [number, string][] = [
  [86_400, "d"],
  [3_600, "h"],
  [60, "min"],
  [1, "s"],
];

/** Two units at most: "3 h 12 min". */
export function duration(seconds: number): string {
  const whole = Math.max(0, Math.floor(seconds));
  const first = UNITS.findIndex(([unit]) => whole >= unit);
  if (first < 0) return "0 s";
  const parts: string[] = [];
  let rest = whole;
  for (const [unit, name] of UNITS.slice(first, first + 2)) {
    const count = Math.floor(rest / unit);
    if (count > 0) parts.push(`${count} ${name}`);
    rest %= unit;
  }
  return parts.join(" ");
}

/** As exact as one can take in at a glance. */
export function amount(value: number): string {
  if (value >= 10_000) return new Intl.NumberFormat("en", { notation: "compact" }).format(value);
  if (value >= 100 || Number.isInteger(value)) return Math.round(value).toLocaleString("en");
  return value.toFixed(1);
}

/** Of milliseconds. */
export function wait(ms: number): { number: string; unit: string } {
  if (ms >= 1_000) return { number: (ms / 1_000).toFixed(ms >= 10_000 ? 0 : 2), unit: "s" };
  return { number: ms >= 10 ? ms.toFixed(0) : ms.toFixed(1), unit: "ms" };
}

export function count(number: number, one: string, many = `${one}s`): string {
  return `${amount(number)} ${number === 1 ? one : many}`;
}

const PHASE: Readonly<Record<Phase, string>> = {
  queued: "Waits in line",
  retrieving: "Searching",
  waiting: "Model asked",
  thinking: "Thinking",
  streaming: "Writing",
  tool: "Using a tool",
};

export const phaseText = (phase: Phase): string => PHASE[phase] ?? phase;

export type Mood = "good" | "warn" | "bad" | "calm";

/** Whether a server is asked, and why not. */
export function targetState({ breaker, open_for_ms, failures }: Target): {
  text: string;
  mood: Mood;
} {
  if (breaker === "open") {
    const left = open_for_ms === null ? "" : ` for ${duration(Math.ceil(open_for_ms / 1_000))}`;
    return { text: `Left alone${left}`, mood: "bad" };
  }
  if (breaker === "probing") return { text: "Being tried", mood: "warn" };
  if (failures > 0) return { text: `${count(failures, "failed run")} in a row`, mood: "warn" };
  return { text: "In use", mood: "good" };
}

const SCOPES: Readonly<Record<string, string>> = {
  connections: "Connections, in all",
  connections_per_ip: "Connections of one address",
  sessions: "Conversations in memory",
};

/** What was full, as the metrics call it. */
export function scopeText(scope: string): string {
  const words = scope.replaceAll("_", " ");
  return SCOPES[scope] ?? words.charAt(0).toUpperCase() + words.slice(1);
}

/** A moment, as short as it is clear: the time of today, else with its day. */
export function moment(at: string, now = new Date()): string {
  const then = new Date(at);
  const time = then.toLocaleTimeString([], {
    hour: "2-digit",
    minute: "2-digit",
    second: "2-digit",
  });
  if (then.toDateString() === now.toDateString()) return time;
  return `${then.toLocaleDateString([], { month: "short", day: "numeric" })}, ${time}`;
}
