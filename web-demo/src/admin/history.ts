/** What was seen of the gateway in the last while, and what it comes to. Pure: times are given. */
import type { Stats } from "./wire";

/** So long something is kept. */
export const KEPT_MS = 15 * 60_000;
const LEAST_SPAN_MS = 60_000;
/** The most that is kept, however often it is looked. */
const MOST = 1_000;

export interface Point {
  readonly at: number;
  readonly value: number;
}

interface Sample {
  readonly at: number;
  readonly stats: Stats;
}

/** How a number is read from what was seen: of one moment, or of what came in between two. */
export type Reading = (now: Sample, before: Sample) => number | null;

export class History {
  #samples: Sample[] = [];

  add(stats: Stats, at: number): void {
    const last = this.#samples.at(-1);
    // Another process counts anew, and other numbers are no continuation of these.
    if (last && (last.stats.tenant !== stats.tenant || upFor(stats) < upFor(last.stats)))
      this.#samples = [];
    this.#samples.push({ at, stats });
    const oldest = at - KEPT_MS;
    this.#samples = this.#samples.filter((sample) => sample.at >= oldest).slice(-MOST);
  }

  /** What a reading says, from the oldest to the newest. */
  series(reading: Reading): Point[] {
    const points: Point[] = [];
    for (let i = 1; i < this.#samples.length; i++) {
      const [before, now] = [this.#samples[i - 1], this.#samples[i]];
      if (before === undefined || now === undefined) continue;
      const value = reading(now, before);
      if (value !== null) points.push({ at: now.at, value });
    }
    return points;
  }

  /** How far back it goes; a little further in the beginning, so that a line has room to grow. */
  span(now: number): number {
    const first = this.#samples[0]?.at ?? now;
    return Math.min(Math.max(now - first, LEAST_SPAN_MS), KEPT_MS);
  }

  /** The same over all that was seen within `ms` of the newest; `null` when that says nothing. */
  over(reading: Reading, ms: number): number | null {
    const now = this.#samples.at(-1);
    if (now === undefined) return null;
    const before = this.#samples.find(({ at }) => at >= now.at - ms);
    return before === undefined || before === now ? null : reading(now, before);
  }
}

const upFor = (stats: Stats): number => stats.gateway?.up_s ?? 0;

/** Pieces of text per second. */
export const tokensPerSecond: Reading = (now, before) => {
  const [to, from] = [now.stats.gateway, before.stats.gateway];
  const seconds = (now.at - before.at) / 1_000;
  if (!to || !from || seconds <= 0) return null;
  return Math.max(0, to.tokens - from.tokens) / seconds;
};

/** Milliseconds from a run's start to its first text, of those that had it in between. */
export const firstToken: Reading = (now, before) => {
  const [to, from] = [now.stats.gateway?.first_token, before.stats.gateway?.first_token];
  if (!to || !from || to.count <= from.count) return null;
  return ((to.sum_s - from.sum_s) / (to.count - from.count)) * 1_000;
};

/** Answers that are written or wait. */
export const answers: Reading = ({ stats }) => stats.gateway?.runs.active ?? stats.sessions.busy;

export const sessions: Reading = ({ stats }) => stats.sessions.in_memory;

export const viewers: Reading = ({ stats }) => stats.sessions.viewers;

/** What was refused in between, of one kind. */
export const limited =
  (scope: string): Reading =>
  (now, before) => {
    const [to, from] = [now.stats.gateway?.limited, before.stats.gateway?.limited];
    return to && from ? Math.max(0, (to[scope] ?? 0) - (from[scope] ?? 0)) : null;
  };
