/**
 * Tells screen readers what happened: once that an answer begins, once the finished answer. Token by
 * token would drown the listener.
 */
import type { Message, RivuletClient } from "../rivulet-client";
import { byId } from "./element";
import { outcomeNote } from "./outcome";

export class Announcer {
  readonly #region = byId("announcer");
  readonly #pending = new Set<string>();

  constructor(client: RivuletClient) {
    client.on("run.start", ({ message }) => {
      this.#pending.add(message);
      this.#say("The answer is being written.");
    });
    client.on("snapshot", ({ runs }) => {
      for (const { message } of runs) this.#pending.add(message);
    });
    // Only answers that were seen being written: a reload does not read the whole history aloud.
    client.on("change", () => {
      if (this.#pending.size === 0) return;
      for (const message of client.conversation.messages) this.#finished(message);
    });
  }

  #finished(message: Message): void {
    if (message.verified === undefined || !this.#pending.delete(message.id)) return;
    const note = outcomeNote(message);
    const count = message.sources.length;
    const sources = count > 0 ? ` ${count} ${count === 1 ? "source" : "sources"} listed.` : "";
    this.#say(`Answer: ${message.text} ${note ?? ""}${sources}`);
  }

  #say(text: string): void {
    this.#region.textContent = text;
  }
}
