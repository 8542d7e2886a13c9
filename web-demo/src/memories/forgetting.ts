/**
 * What is not remembered any more, as far as this browser has seen it go: what lies open in other places, and in other
 * tabs, shows it no longer. No texts in here, only ids.
 */
import { isUnknownRoute, Problem } from "../documents/problem";
import type { MemoriesApi } from "./api";

/** `undone`: as if it had never been noted. */
export type Fate = "undone" | "forgotten";

/** A line to the other tabs; a `BroadcastChannel` is one. */
export interface Tabs {
  postMessage(message: unknown): void;
  onmessage: ((event: MessageEvent) => void) | null;
}

/** So many are kept; of older ones it is not known any more. */
const MOST_KEPT = 2_000;

export class Forgetting {
  readonly #api: Pick<MemoriesApi, "undo" | "forget">;
  readonly #tabs: Tabs | null;
  readonly #fates = new Map<string, Fate>();
  readonly #listeners: (() => void)[] = [];
  #revision = 0;

  /** `tabs`: where there is such a thing. */
  constructor(api: Pick<MemoriesApi, "undo" | "forget">, tabs: Tabs | null = null) {
    this.#api = api;
    this.#tabs = tabs;
    if (tabs) tabs.onmessage = ({ data }) => this.#heard(data);
  }

  /** Another number whenever something is gone. */
  get revision(): number {
    return this.#revision;
  }

  /** `listener`: something is gone, or is otherwise than it was, here or in another tab. */
  watch(listener: () => void): void {
    this.#listeners.push(listener);
  }

  fate(id: string): Fate | undefined {
    return this.#fates.get(id);
  }

  /** Rejects with a `Problem` when it may be remembered still. */
  async undo(id: string): Promise<void> {
    await this.#goneWith(() => this.#api.undo(id));
    this.tell([id], "undone");
  }

  /** Rejects with a `Problem` when it may be remembered still. */
  async forget(id: string): Promise<void> {
    await this.#goneWith(() => this.#api.forget(id));
    this.tell([id]);
  }

  /** These are gone; without any, something has changed. */
  tell(ids: readonly string[], fate: Fate = "forgotten"): void {
    this.#note(ids, fate);
    this.#tabs?.postMessage({ ids, fate });
  }

  async #goneWith(step: () => Promise<void>): Promise<void> {
    try {
      await step();
    } catch (error) {
      // Somebody else was faster.
      const isGone = error instanceof Problem && error.code === "not_found";
      if (!isGone || isUnknownRoute(error)) throw error;
    }
  }

  #heard(message: unknown): void {
    if (typeof message !== "object" || message === null) return;
    const { ids, fate } = message as { ids?: unknown; fate?: unknown };
    if (!Array.isArray(ids)) return;
    const known = ids.filter((id) => typeof id === "string");
    this.#note(known, fate === "undone" ? "undone" : "forgotten");
  }

  #note(ids: readonly string[], fate: Fate): void {
    for (const id of ids) this.#fates.set(id, fate);
    for (const id of this.#fates.keys()) {
      if (this.#fates.size <= MOST_KEPT) break;
      this.#fates.delete(id);
    }
    this.#revision++;
    for (const listener of this.#listeners) listener();
  }
}
