/** What people read about conversations. */
import { dayText } from "../memories/words";
import type { ConversationInfo } from "./api";

/** The gateway takes no longer title; `index.html` has the same. */
export const LONGEST_TITLE = 200;

export function titleOf({ title }: Pick<ConversationInfo, "title">): string {
  return title ?? "Untitled";
}

/** When something was said in it last: the time of today, the day of before. */
export function lastSaid({ updated_at: at }: ConversationInfo, now = new Date()): string {
  const date = new Date(at);
  if (Number.isNaN(date.getTime())) return "";
  return date.toDateString() === now.toDateString()
    ? date.toLocaleTimeString([], { hour: "2-digit", minute: "2-digit" })
    : dayText(at, now);
}
