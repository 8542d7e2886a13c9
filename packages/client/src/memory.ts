/**
 * Remembers which conversation this tab was in, and who was chosen to answer, across reloads; a new tab
 * begins with those of this browser that were last.
 *
 * Of a session only the id is kept. A cursor would be of no use to a fresh page: it has none of the text
 * that lies before it, so it asks for a snapshot.
 */
export interface SessionStorageLike {
  getItem(key: string): string | null;
  setItem(key: string, value: string): void;
  removeItem(key: string): void;
}

/** What is remembered: the id of a session, the name of an assistant. */
export type Remembered = "session" | "assistant";

export class Memory {
  readonly #key: string;
  /** The tab's own before the one that all tabs share. */
  readonly #storages: readonly SessionStorageLike[];

  /** `undefined` takes the browser's `sessionStorage` and `localStorage`, `null` remembers nothing. */
  constructor(storage: SessionStorageLike | null | undefined, what: Remembered) {
    this.#key = `rivulet.${what}`;
    if (storage === undefined) this.#storages = browserStorages();
    else this.#storages = storage === null ? [] : [storage];
  }

  read(): string | null {
    for (const storage of this.#storages) {
      const value = storage.getItem(this.#key);
      if (value !== null) return value;
    }
    return null;
  }

  write(value: string): void {
    for (const storage of this.#storages) {
      try {
        storage.setItem(this.#key, value);
      } catch {
        // Full, or refused in a private window: the conversation works, a reload begins as the first visit did.
      }
    }
  }

  forget(): void {
    for (const storage of this.#storages) storage.removeItem(this.#key);
  }
}

function browserStorages(): SessionStorageLike[] {
  // Node.js has storages, too: one for the whole process, so one for all whom it serves.
  if (typeof document === "undefined") return [];
  const sources = [() => globalThis.sessionStorage, () => globalThis.localStorage];
  return sources.flatMap((source) => {
    try {
      // Merely naming it throws where the user has blocked site data.
      const storage = source();
      return typeof storage?.getItem === "function" ? storage : [];
    } catch {
      return [];
    }
  });
}
