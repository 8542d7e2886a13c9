/**
 * Tells screen readers about connection and company, in few words: what holds for a second, and the same
 * thing only once in a while. What is over before that was no news.
 */
import { byId } from "./element";

const HOLDS_MS = 1_000;
const AGAIN_MS = 30_000;

export class StatusVoice {
  readonly #region = byId("status");
  readonly #pending = new Map<string, ReturnType<typeof setTimeout>>();
  readonly #said = new Map<string, { text: string; at: number }>();

  /** Says `text` about `topic` unless something else is to be said, or taken back, within a second. */
  say(topic: string, text: string): void {
    this.takeBack(topic);
    this.#pending.set(
      topic,
      setTimeout(() => this.#speak(topic, text), HOLDS_MS),
    );
  }

  /** What was not said yet stays unsaid. */
  takeBack(topic: string): void {
    clearTimeout(this.#pending.get(topic));
    this.#pending.delete(topic);
  }

  /** The last thing that was said about `topic`. */
  said(topic: string): string | undefined {
    return this.#said.get(topic)?.text;
  }

  #speak(topic: string, text: string): void {
    this.#pending.delete(topic);
    const last = this.#said.get(topic);
    if (last?.text === text && Date.now() - last.at < AGAIN_MS) return;
    this.#said.set(topic, { text, at: Date.now() });
    this.#region.textContent = text;
  }
}
