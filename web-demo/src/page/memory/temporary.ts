/** Conversations of which nothing is remembered: how one begins, and that one is one. */

import type { Assistant, RivuletClient } from "@rivulet/client";
import type { MemoriesApi } from "../../memories/api";
import { byId } from "../element";

export class Temporary {
  readonly #client: RivuletClient;
  readonly #current: () => Assistant | undefined;
  readonly #api: MemoriesApi;
  readonly #changed: () => void;
  readonly #choice = byId("temporary-choice");
  readonly #box = byId<HTMLInputElement>("temporary");
  readonly #badge = byId("temporary-badge");
  /** The conversation that it is known of, or was asked of, and what was said. */
  #asked: { session: string; temporary: boolean } | null = null;

  /** `begin`: an empty conversation, of which nothing is remembered or else what is said. */
  constructor(
    client: RivuletClient,
    current: () => Assistant | undefined,
    api: MemoriesApi,
    { begin, changed }: { begin(temporary: boolean): void; changed(): void },
  ) {
    this.#client = client;
    this.#current = current;
    this.#api = api;
    this.#changed = changed;
    // What was begun here is known.
    client.on("welcome", ({ session, recovered }) => {
      if (recovered === "new") this.#asked = { session, temporary: client.temporary };
    });
    this.#box.addEventListener("change", () => begin(this.#box.checked));
  }

  get is(): boolean {
    const { session, temporary } = this.#client;
    return temporary || (this.#asked?.session === session && this.#asked.temporary);
  }

  paint(): void {
    const remembers = this.#current()?.memory === true;
    this.#choice.hidden = !remembers;
    this.#box.checked = this.is;
    this.#badge.hidden = !remembers || !this.is;
    if (remembers) void this.#ask();
  }

  /** Of one that was there before this page, where the gateway has not said it in its welcome. */
  async #ask(): Promise<void> {
    const { session, conversation, temporary } = this.#client;
    if (session === null || temporary || conversation.temporary !== null) return;
    if (conversation.messages.length === 0 || this.#asked?.session === session) return;
    this.#asked = { session, temporary: false };
    try {
      const known = { session, temporary: await this.#api.isTemporary(session) };
      if (this.#client.session !== session) return;
      this.#asked = known;
      this.#changed();
    } catch {
      // It is not known, and nothing is said of it.
    }
  }
}
