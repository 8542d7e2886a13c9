/** When something may be tried again, as people say it: no more exact than is of use to them. */
import { english, type Say } from "./say";

const SECOND_MS = 1_000;
const MINUTE_MS = 60 * SECOND_MS;
const HOUR_MS = 60 * MINUTE_MS;
const DAY_MS = 24 * HOUR_MS;

/** Up to here minutes are said, then hours. */
const MINUTES = 90;

/** `wait` milliseconds from `now`: "in 3 minutes", "tomorrow at 01:00". */
export function whenText(wait: number, now = new Date(), say: Say = english): string {
  if (wait <= 10 * SECOND_MS) return say("in a few seconds");
  const minutes = Math.ceil(wait / MINUTE_MS);
  if (minutes === 1) return say("in a minute");
  if (minutes <= MINUTES) return say("in {0} minutes", minutes);
  // The way here took a moment: midnight must not become a minute before it.
  const then = new Date(Math.round((now.getTime() + wait) / MINUTE_MS) * MINUTE_MS);
  const time = then.toLocaleTimeString([], { hour: "2-digit", minute: "2-digit" });
  const days = daysBetween(now, then);
  if (days === 0) return say("in about {0} hours, at {1}", Math.round(wait / HOUR_MS), time);
  return days === 1 ? say("tomorrow at {0}", time) : say("in {0} days", Math.ceil(wait / DAY_MS));
}

/** Midnights that lie between two moments, where the reader is. */
function daysBetween(from: Date, to: Date): number {
  const day = (date: Date) => Date.UTC(date.getFullYear(), date.getMonth(), date.getDate());
  return (day(to) - day(from)) / DAY_MS;
}
