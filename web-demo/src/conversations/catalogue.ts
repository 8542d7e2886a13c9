/** The list of conversations: its pages, what is looked for in it, and what becomes of its entries. Needs no page. */
import type { ConversationInfo, ConversationsApi } from "./api";
import type { Source } from "./source";

export class Catalogue {
  readonly #api: Pick<ConversationsApi, "rename">;
  readonly #changed: () => void;
  #source: Source | null = null;
  #items: readonly ConversationInfo[] = [];
  #more = false;
  #part = "";
  #loading = false;
  #problem: unknown = null;
  /** Another number for every new question: late answers to older ones are of no interest. */
  #asked = 0;

  constructor(api: Pick<ConversationsApi, "rename">, changed: () => void) {
    this.#api = api;
    this.#changed = changed;
  }

  /** The newest first. */
  get items(): readonly ConversationInfo[] {
    return this.#items;
  }

  /** Whether there are older ones. */
  get more(): boolean {
    return this.#more;
  }

  get loading(): boolean {
    return this.#loading;
  }

  /** Why the list could not be had; `null` when it could. */
  get problem(): unknown {
    return this.#problem;
  }

  /** What is looked for. */
  get part(): string {
    return this.#part;
  }

  /** Whether it is known where the list comes from. */
  get isOpen(): boolean {
    return this.#source !== null;
  }

  /** Lists from here on; `null`: there is nothing to be listed. What stood there is of somebody else. */
  from(source: Source | null): Promise<void> {
    this.#source = source;
    this.#items = [];
    this.#more = false;
    this.#part = "";
    return this.refresh();
  }

  search(part: string): Promise<void> {
    this.#part = part.trim();
    this.#items = [];
    this.#more = false;
    return this.refresh();
  }

  /** Asks for the newest again; what was loaded below them stays. */
  refresh(): Promise<void> {
    return this.#load(undefined, (found, more) => {
      const known = new Set(found.map(({ session_id: id }) => id));
      const last = found.at(-1)?.session_id;
      // By its place: this browser's are in the order in which it has been in them. Where the last one is new here, what is
      // between it and what was loaded is not known.
      const at = this.#items.findIndex(({ session_id: id }) => id === last);
      const below = more && at >= 0 ? this.#items.slice(at + 1) : [];
      const older = below.filter(({ session_id: id }) => !known.has(id));
      this.#more = more && (older.length === 0 || this.#more);
      this.#items = [...found, ...older];
    });
  }

  /** The next page, below what is there. While something is on its way it does nothing. */
  async next(): Promise<void> {
    if (!this.#more || this.#loading) return;
    await this.#load(this.#items.at(-1)?.session_id, (found, more) => {
      const known = new Set(this.#items.map(({ session_id: id }) => id));
      this.#items = [...this.#items, ...found.filter(({ session_id: id }) => !known.has(id))];
      this.#more = more;
    });
  }

  /** Rejects with a `Problem`. */
  async rename(session: string, title: string): Promise<void> {
    const { title: given } = await this.#api.rename(session, title);
    this.#items = this.#items.map((one) =>
      one.session_id === session && given !== undefined ? { ...one, title: given } : one,
    );
    this.#changed();
  }

  /** It is gone. */
  drop(session: string): void {
    this.#items = this.#items.filter(({ session_id: id }) => id !== session);
    this.#changed();
  }

  async #load(
    before: string | undefined,
    take: (found: readonly ConversationInfo[], more: boolean) => void,
  ): Promise<void> {
    const asked = ++this.#asked;
    this.#problem = null;
    this.#loading = this.#source !== null;
    this.#changed();
    if (this.#source === null) return;
    try {
      const { sessions, more } = await this.#source({ before, part: this.#part });
      if (asked !== this.#asked) return;
      take(sessions, more);
    } catch (error) {
      if (asked !== this.#asked) return;
      this.#problem = error;
    }
    this.#loading = false;
    this.#changed();
  }
}
