/** Short messages about things that went wrong, above the message box. */
import type { ErrorFrame } from "../rivulet-client";
import { byId, make } from "./element";

const SHOWN_MS = 10_000;

const TEXT: Readonly<Record<string, string>> = {
  busy: "An answer is still being written. Wait for it, or stop it first.",
  queue_full: "Too many messages are waiting. Wait for an answer first.",
  text_too_long: "That message is too long.",
  empty_text: "That message is empty.",
  rate_limited: "Too many messages in a short time.",
  too_large: "That message is too large.",
  unauthenticated: "You are not signed in.",
  forbidden: "You are not allowed to do that.",
  upstream_unavailable: "No model can be reached at the moment.",
  upstream_timeout: "The model took too long.",
  upstream_rejected: "The model refused the request.",
  budget_exhausted: "The budget for today is used up.",
  storage_unavailable: "The gateway cannot store messages at the moment.",
  idempotency_conflict: "This message was sent before with another text.",
};

export class Notices {
  readonly #place = byId("notices");

  show(text: string): void {
    const close = make("button", { type: "button", className: "copy", textContent: "Dismiss" });
    const notice = make("div", { className: "notice" }, make("p", { textContent: text }), close);
    close.addEventListener("click", () => notice.remove());
    this.#place.append(notice);
    setTimeout(() => notice.remove(), SHOWN_MS);
  }

  error(error: ErrorFrame): void {
    const text = TEXT[error.code] ?? error.message;
    const wait = error.retry_in_ms;
    this.show(wait ? `${text} Try again in ${Math.ceil(wait / 1_000)} s.` : text);
  }
}
