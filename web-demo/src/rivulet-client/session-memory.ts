/**
 * Remembers which conversation this tab was in, across reloads; a new tab begins with the one that this
 * browser was in last.
 *
 * Only the session's id is kept. A cursor would be of no use to a fresh page: it has none of the text
 * that lies before it, so it asks for a snapshot.
 */
export type SessionStorageLike = Pick<Storage, "getItem" | "setItem" | "removeItem">;

const KEY = "rivulet.session";

export class SessionMemory {
  /** The tab's own before the one that all tabs share. */
  readonly #storages: readonly SessionStorageLike[];

  /** `undefined` takes the browser's `sessionStorage` and `localStorage`, `null` remembers nothing. */
  constructor(storage: SessionStorageLike | null | undefined) {
    if (storage === undefined) this.#storages = browserStorages();
    else this.#storages = storage === null ? [] : [storage];
  }

  read(): string | null {
    for (const storage of this.#storages) {
      const session = storage.getItem(KEY);
      if (session !== null) return session;
    }
    return null;
  }

  write(session: string): void {
    for (const storage of this.#storages) {
      try {
        storage.setItem(KEY, session);
      } catch {
        // Full, or refused in a private window: the conversation works, a reload starts a new one.
      }
    }
  }

  forget(): void {
    for (const storage of this.#storages) storage.removeItem(KEY);
  }
}

function browserStorages(): SessionStorageLike[] {
  const sources = [() => globalThis.sessionStorage, () => globalThis.localStorage];
  return sources.flatMap((source) => {
    try {
      // Merely naming it throws where the user has blocked site data.
      return source() ?? [];
    } catch {
      return [];
    }
  });
}
