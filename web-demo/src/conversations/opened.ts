/**
 * Which conversations this browser has been in. Where nobody signs in all of them belong to nobody in particular, and
 * the gateway would list those of everybody: so the page lists these. Only ids are kept, no word of what was said.
 */
import type { SessionStorageLike } from "@rivulet/client";

const KEY = "rivulet.conversations";
/** So many are kept; the ones that were begun first go first. */
export const MOST_KEPT = 100;

export class Opened {
  readonly #storage: SessionStorageLike | null;

  /** `storage`: what all tabs share; `null` where the browser has none, and nothing is kept. */
  constructor(storage: SessionStorageLike | null) {
    this.#storage = storage;
  }

  /** The newest first. Read anew each time: other tabs write, too. */
  get ids(): readonly string[] {
    try {
      const kept: unknown = JSON.parse(this.#storage?.getItem(KEY) ?? "[]");
      return Array.isArray(kept) ? kept.filter((id) => typeof id === "string") : [];
    } catch {
      // Something else stands there, or site data is blocked.
      return [];
    }
  }

  /** One that is known keeps its place. */
  add(id: string): void {
    const { ids } = this;
    if (!ids.includes(id)) this.#write([id, ...ids]);
  }

  drop(id: string): void {
    const { ids } = this;
    if (ids.includes(id)) this.#write(ids.filter((one) => one !== id));
  }

  #write(ids: readonly string[]): void {
    try {
      this.#storage?.setItem(KEY, JSON.stringify(ids.slice(0, MOST_KEPT)));
    } catch {
      // Full, or refused in a private window: the list is shorter after a reload.
    }
  }
}

/** The storage that all tabs share; `null` where the user has blocked site data. */
export function browserStorage(): SessionStorageLike | null {
  try {
    return globalThis.localStorage;
  } catch {
    return null;
  }
}
