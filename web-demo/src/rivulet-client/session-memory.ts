/**
 * Remembers which conversation this browser was in, across reloads.
 *
 * Only the session's id is kept. A cursor would be of no use to a fresh page: it has none of the text
 * that lies before it, so it asks for a snapshot.
 */
export type SessionStorageLike = Pick<Storage, "getItem" | "setItem" | "removeItem">;

const KEY = "rivulet.session";

export class SessionMemory {
  readonly #storage: SessionStorageLike | null;

  /** `undefined` takes the browser's `localStorage`, `null` remembers nothing. */
  constructor(storage: SessionStorageLike | null | undefined) {
    this.#storage = storage === undefined ? browserStorage() : storage;
  }

  read(): string | null {
    return this.#storage?.getItem(KEY) ?? null;
  }

  write(session: string): void {
    try {
      this.#storage?.setItem(KEY, session);
    } catch {
      // Full, or refused in a private window: the conversation works, a reload starts a new one.
    }
  }

  forget(): void {
    this.#storage?.removeItem(KEY);
  }
}

function browserStorage(): SessionStorageLike | null {
  try {
    // Merely naming it throws where the user has blocked site data.
    return globalThis.localStorage ?? null;
  } catch {
    return null;
  }
}
