/** What people read about memories. */

import type { AnswerMemory, MemoryItem } from "@rivulet/client";
import { isUnknownRoute, Problem, problemText } from "../documents/problem";
import { counted } from "../documents/words";

/** Names of buttons that are heard alone say of what, and not at length. */
const LONGEST_NAME = 60;
/** The gateway takes no more of a fact; `index.html` has the same. */
export const LONGEST_FACT = 300;

/** A day as it is said: with its year only when that is another one. */
export function dayText(moment: string, now = new Date()): string {
  const date = new Date(moment);
  if (Number.isNaN(date.getTime())) return "";
  const year = date.getFullYear() === now.getFullYear() ? {} : { year: "numeric" as const };
  return date.toLocaleDateString([], { day: "numeric", month: "short", ...year });
}

/** How it came to be remembered. */
export function originText({ kind, origin, session, said_at }: MemoryItem): string {
  const day = dayText(said_at);
  if (kind === "episode") return `you asked on ${day}`;
  if (session === undefined) return `you wrote it down on ${day}`;
  return origin === "explicit" ? `you asked to remember it on ${day}` : `you said on ${day}`;
}

export function recalledText(count: number): string {
  return `Remembered ${counted(count, "thing")}`;
}

/** What is said of it once. */
export function spoken({ noted = [], recalled = [], unavailable }: AnswerMemory): string {
  return [
    noted.length > 0 && `Noted: ${noted.map(({ text }) => text).join("; ")}.`,
    recalled.length > 0 && `${recalledText(recalled.length)}.`,
    unavailable && UNAVAILABLE,
  ]
    .filter((part) => typeof part === "string")
    .join(" ");
}

export const UNAVAILABLE = "Memory is not available at the moment.";

const WORDS: Readonly<Record<string, string>> = {
  sensitive:
    "This looks like a number of a card or an account, or like a secret. Such is not kept.",
  memory_off: "It is switched off: nothing new is remembered.",
  full: "There is no more room. Forget something first.",
};

export function memoryProblem(error: unknown): string {
  if (!(error instanceof Problem)) return problemText(error);
  return isUnknownRoute(error)
    ? "This gateway remembers nothing."
    : (WORDS[error.code] ?? problemText(error));
}

export function shortName(text: string): string {
  const characters = [...text];
  return characters.length <= LONGEST_NAME
    ? text
    : `${characters.slice(0, LONGEST_NAME - 1).join("")}…`;
}
