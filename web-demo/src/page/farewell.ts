/** Deletes the conversation, after a question; what was said in it may be to be forgotten as well. */

import type { Assistant, RivuletClient } from "@rivulet/client";
import { Problem, problemText } from "../documents/problem";
import type { MemoriesApi } from "../memories/api";
import { byId } from "./element";

export interface FarewellParts {
  readonly api: MemoriesApi;
  /** Who answers, as far as that is known. */
  current(): Assistant | undefined;
  /** It is gone. */
  deleted(session: string): void;
}

/** A conversation that is to be deleted. */
export interface Leaving {
  readonly session: string;
  /** What it is called, where that is not in sight. */
  readonly title?: string;
  /** Whether who answers in it remembers what is said. */
  readonly remembers: boolean;
}

export class Farewell {
  readonly #client: RivuletClient;
  readonly #parts: FarewellParts;
  readonly #opener = byId("delete-conversation");
  readonly #dialog = byId<HTMLDialogElement>("farewell");
  readonly #facts = byId<HTMLInputElement>("farewell-facts");
  readonly #problem = byId("farewell-problem");
  readonly #yes = byId<HTMLButtonElement>("farewell-yes");
  #leaving: string | null = null;

  constructor(client: RivuletClient, parts: FarewellParts) {
    this.#client = client;
    this.#parts = parts;
    this.#opener.addEventListener("click", () => this.#askHere());
    byId("farewell-no").addEventListener("click", () => this.#dialog.close());
    this.#yes.addEventListener("click", () => void this.#delete());
    // Escape closes it, and must not stop an answer as well.
    this.#dialog.addEventListener("keydown", (event) => event.stopPropagation());
  }

  paint(): void {
    const { session, conversation } = this.#client;
    this.#opener.hidden = session === null || conversation.messages.length === 0;
  }

  /** Asks whether a conversation is to be deleted, and does so. */
  ask({ session, title, remembers }: Leaving): void {
    this.#leaving = session;
    byId("farewell-text").textContent =
      title === undefined ? "This cannot be undone." : `“${title}”. This cannot be undone.`;
    byId("farewell-memory").hidden = !remembers;
    this.#facts.checked = false;
    this.#problem.hidden = true;
    this.#dialog.showModal();
    byId("farewell-no").focus();
  }

  #askHere(): void {
    const { session } = this.#client;
    if (session !== null) this.ask({ session, remembers: this.#parts.current()?.memory === true });
  }

  async #delete(): Promise<void> {
    const session = this.#leaving;
    if (session === null || this.#yes.ariaBusy === "true") return;
    const facts = this.#facts.checked;
    this.#yes.ariaBusy = "true";
    this.#problem.hidden = true;
    try {
      await this.#parts.api.deleteSession(session, facts);
      this.#done(session);
    } catch (error) {
      // It was deleted elsewhere; with what was said in it, that cannot be known.
      if (error instanceof Problem && error.code === "not_found" && !facts) this.#done(session);
      else this.#tell(problemText(error));
    } finally {
      this.#yes.ariaBusy = null;
    }
  }

  #done(session: string): void {
    this.#dialog.close();
    this.#parts.deleted(session);
  }

  #tell(problem: string): void {
    this.#problem.textContent = problem;
    this.#problem.hidden = false;
  }
}
