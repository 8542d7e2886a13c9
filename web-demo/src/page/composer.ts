/** The message box with Send and Stop. */
import { liveRun, type RivuletClient } from "@rivulet/client";
import type { SendKey } from "../settings/preferences";
import { isWaiting } from "./approvals";
import { byId } from "./element";

/** From this share of the limit on, the count is worth a look. */
const NEARLY_FULL = 0.8;

export class Composer {
  readonly #client: RivuletClient;
  readonly #text = byId<HTMLTextAreaElement>("composer-text");
  readonly #send = byId<HTMLButtonElement>("send");
  readonly #stop = byId<HTMLButtonElement>("stop");
  readonly #count = byId("composer-count");
  readonly #waiting = byId("composer-waiting");
  readonly #onSent: () => void;
  readonly #sendKey: () => SendKey;
  #limit = Number.POSITIVE_INFINITY;

  /** `sendKey`: which key sends, as it is chosen by now. */
  constructor(client: RivuletClient, onSent: () => void, sendKey: () => SendKey = () => "enter") {
    this.#client = client;
    this.#onSent = onSent;
    this.#sendKey = sendKey;
    client.on("welcome", ({ limits }) => {
      this.#limit = limits?.text_chars ?? Number.POSITIVE_INFINITY;
      this.#measure();
    });
    byId("composer").addEventListener("submit", (event) => {
      event.preventDefault();
      this.#submit();
    });
    this.#text.addEventListener("input", () => {
      client.typing(this.#text.value.trim() !== "");
      this.#measure();
    });
    this.#text.addEventListener("keydown", (event) => this.#onKey(event));
    this.#stop.addEventListener("click", () => {
      client.stop();
      this.focus();
    });
    document.addEventListener("keydown", (event) => {
      // While an input method is open, Escape belongs to it.
      if (event.key === "Escape" && !event.isComposing && liveRun(client.conversation))
        client.stop();
    });
    this.#measure();
  }

  /** Shows what can be done now. */
  paint(): void {
    this.#stop.hidden = liveRun(this.#client.conversation) === null;
    this.#waiting.hidden = !isWaiting(this.#client);
    this.#send.disabled = !this.#sendable();
  }

  focus(): void {
    this.#text.focus();
  }

  /** What is being written. */
  get text(): string {
    return this.#text.value;
  }

  /** Sends a text as if it had been typed. */
  ask(text: string): void {
    // Always to be queued: whether an answer will be in the making when the gateway reads this, the page
    // cannot know. Messages that were written without a connection arrive all at once.
    this.#client.send(text, { mode: "queue" });
    this.#onSent();
  }

  /** Gives a refused text back, below what was typed meanwhile. */
  restore(text: string): void {
    const typed = this.#text.value;
    this.#text.value = typed.trim() === "" ? text : `${typed}\n${text}`;
    this.#measure();
  }

  #onKey(event: KeyboardEvent): void {
    // `isComposing`: this Enter chooses a word in an input method. 229: the same in Safari.
    const composing = event.isComposing || event.keyCode === 229;
    const isLine = this.#sendKey() === "enter" ? event.shiftKey : !event.ctrlKey && !event.metaKey;
    if (event.key !== "Enter" || isLine || composing) return;
    event.preventDefault();
    this.#submit();
  }

  #submit(): void {
    if (!this.#sendable()) return;
    const text = this.#text.value.trim();
    // Emptied first: a text that is refused at once comes back into the box.
    this.#text.value = "";
    this.ask(text);
    this.#measure();
    this.focus();
  }

  #sendable(): boolean {
    const closed = this.#client.state.name === "closed";
    return !closed && this.#text.value.trim() !== "" && this.#length() <= this.#limit;
  }

  /** In characters as people count them, near enough: not in halves of emoji. */
  #length(): number {
    return [...this.#text.value].length;
  }

  #measure(): void {
    const length = this.#length();
    const counted = length > 0 && Number.isFinite(this.#limit);
    this.#count.textContent = counted ? `${length} of ${this.#limit} characters` : "";
    this.#count.dataset.level =
      length > this.#limit ? "over" : length > this.#limit * NEARLY_FULL ? "near" : "";
    this.#text.setAttribute("aria-invalid", String(length > this.#limit));
    // As high as its content; the style sheet sets the bounds.
    this.#text.style.height = "auto";
    this.#text.style.height = `${this.#text.scrollHeight}px`;
    this.paint();
  }
}
