/** Short messages about things that went wrong, above the message box. */

import type { ErrorFrame } from "@rivulet/client";
import { sentence } from "../documents/problem";
import { byId, make } from "./element";
import { english, type Say } from "./say";
import { whenText } from "./when";

const SHOWN_MS = 10_000;
/** What holds for longer is shown for longer, up to this. */
const LONGEST_SHOWN_MS = 60_000;

export const TEXT: Readonly<Record<string, string>> = {
  busy: "An answer is still being written.",
  queue_full: "Too many questions are waiting for their answers.",
  text_too_long: "That message is too long.",
  empty_text: "That message is empty.",
  rate_limited: "Too many messages in a short time.",
  too_large: "That message is too large.",
  not_taken: "The gateway cannot take that message as it is.",
  bad_json: "The gateway cannot take that message as it is.",
  unauthenticated: "You are not signed in.",
  forbidden: "You are not allowed to do that.",
  upstream_unavailable: "No model can be reached at the moment.",
  upstream_timeout: "The model took too long.",
  upstream_rejected: "The model refused the request.",
  budget_exhausted: "The budget for answers is used up for now.",
  storage_unavailable: "The gateway cannot store messages at the moment.",
  already_decided: "This has been decided already.",
  expired: "It is too late: this has expired.",
  digest_mismatch: "What is asked for has changed. Reload the page to see it.",
  idempotency_conflict: "This message was sent before with another text.",
};

/** What to do about it, where the gateway does not say when it is over. */
export const ADVICE: Readonly<Record<string, string>> = {
  busy: "Wait for it, or stop it first.",
  queue_full: "Try again a little later.",
  budget_exhausted: "Try again later.",
};

/** In words of people, and what to do about it. */
export function errorText(
  { code, message, retry_in_ms: wait = 0 }: ErrorFrame,
  say: Say = english,
): string {
  const advice = wait > 0 ? say("Try again {0}.", whenText(wait, new Date(), say)) : ADVICE[code];
  const text = TEXT[code] === undefined ? sentence(message) : say(TEXT[code]);
  return advice ? `${text} ${say(advice)}` : text;
}

export class Notices {
  readonly #place = byId("notices");

  show(text: string): void {
    this.#add(text, SHOWN_MS);
  }

  /** Takes the place of an earlier one of the same kind: whoever tries again reads it once. */
  error(error: ErrorFrame): void {
    const { code, retry_in_ms: wait = 0 } = error;
    for (const old of this.#place.querySelectorAll<HTMLElement>(".notice"))
      if (old.dataset.code === code) old.remove();
    const shown = Math.min(Math.max(SHOWN_MS, wait), LONGEST_SHOWN_MS);
    this.#add(errorText(error), shown).dataset.code = code;
  }

  #add(text: string, shownMs: number): HTMLElement {
    const close = make("button", { type: "button", className: "copy", textContent: "Dismiss" });
    const notice = make("div", { className: "notice" }, make("p", { textContent: text }), close);
    close.addEventListener("click", () => notice.remove());
    this.#place.append(notice);
    setTimeout(() => notice.remove(), shownMs);
    return notice;
  }
}
