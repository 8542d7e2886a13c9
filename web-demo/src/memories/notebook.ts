/** What one assistant remembers of who asks, as far as it is loaded: facts and episodes, the newest first. */
import type { MemoryItem, MemoryKind } from "@rivulet/client";
import type { MemoriesApi } from "./api";

interface Part {
  readonly items: readonly MemoryItem[];
  /** There are older ones than those. */
  readonly more: boolean;
}

const NOTHING: Part = { items: [], more: false };
const KINDS: readonly MemoryKind[] = ["fact", "episode"];

export class Notebook {
  readonly #api: MemoriesApi;
  readonly #changed: () => void;
  #assistant: string | null = null;
  readonly #parts = new Map<MemoryKind, Part>();
  #enabled: boolean | null = null;
  #loading = false;
  #problem: unknown = null;
  /** Counts what was asked for as a whole, so that only the newest answers count. */
  #asked = 0;

  constructor(api: MemoriesApi, changed: () => void) {
    this.#api = api;
    this.#changed = changed;
  }

  /** Whose it is; `null`: nobody's, it is closed. */
  get assistant(): string | null {
    return this.#assistant;
  }

  /** Whether the user wants to be remembered; `null` while it is not known. */
  get enabled(): boolean | null {
    return this.#enabled;
  }

  get loading(): boolean {
    return this.#loading;
  }

  /** Why it could not be had. */
  get problem(): unknown {
    return this.#problem;
  }

  part(kind: MemoryKind): Part {
    return this.#parts.get(kind) ?? NOTHING;
  }

  /** Nothing of it stays. */
  close(): void {
    this.#begin(null);
    this.#changed();
  }

  /** Loads both kinds, as far as they were loaded of this assistant: what is gone is seen no more. Never rejects. */
  async open(assistant: string): Promise<void> {
    if (assistant !== this.#assistant) this.#begin(assistant);
    await this.#load(async () => {
      const counts = KINDS.map((kind) => this.part(kind).items.length);
      const lists = KINDS.map((kind, at) => this.#newest(assistant, kind, counts[at] ?? 0));
      const loaded = await Promise.all(lists);
      return () => {
        loaded.forEach(({ enabled, ...part }, at) => {
          this.#enabled = enabled;
          this.#parts.set(KINDS[at] ?? "fact", part);
        });
      };
    });
  }

  /** Adds the next page of a kind. Never rejects. */
  async more(kind: MemoryKind): Promise<void> {
    const assistant = this.#assistant;
    const before = this.part(kind).items.at(-1)?.id;
    if (assistant === null || before === undefined || this.#loading) return;
    await this.#load(async () => {
      const page = await this.#api.list({ assistant, kind, before });
      return () => {
        const { items } = this.part(kind);
        const known = new Set(items.map(({ id }) => id));
        const fresh = page.memories.filter(({ id }) => !known.has(id));
        this.#parts.set(kind, { items: [...items, ...fresh], more: page.more });
      };
    });
  }

  /** What follows rejects with a `Problem`. */
  async add(text: string): Promise<void> {
    const assistant = this.#assistant;
    if (assistant === null) return;
    await this.#api.add(assistant, text);
    // It may have ended others.
    if (assistant === this.#assistant) await this.open(assistant);
  }

  async edit(id: string, text: string): Promise<void> {
    const changed = await this.#api.edit(id, text);
    const { items, more } = this.part("fact");
    const edited = items.map((item) => (item.id === id ? changed : item));
    this.#parts.set("fact", { items: edited, more });
    this.#changed();
  }

  /** Gives the ids of those that were loaded. */
  async forgetAll(): Promise<string[]> {
    const assistant = this.#assistant;
    if (assistant === null) return [];
    const gone = KINDS.flatMap((kind) => this.part(kind).items.map(({ id }) => id));
    await this.#api.forgetAll(assistant);
    if (assistant === this.#assistant) this.#parts.clear();
    this.#changed();
    return gone;
  }

  async enable(enabled: boolean): Promise<void> {
    try {
      await this.#api.enable(enabled);
      this.#enabled = enabled;
    } finally {
      this.#changed();
    }
  }

  /** Those that `isGone` says so of are not there any more. */
  drop(isGone: (id: string) => boolean): void {
    for (const kind of KINDS) {
      const { items, more } = this.part(kind);
      this.#parts.set(kind, { items: items.filter(({ id }) => !isGone(id)), more });
    }
    this.#changed();
  }

  /** At least so many of a kind, if there are. */
  async #newest(
    assistant: string,
    kind: MemoryKind,
    least: number,
  ): Promise<Part & { enabled: boolean }> {
    const items: MemoryItem[] = [];
    for (;;) {
      const before = items.at(-1)?.id;
      const { memories, more, enabled } = await this.#api.list({ assistant, kind, before });
      items.push(...memories);
      if (!more || memories.length === 0 || items.length >= least) return { items, more, enabled };
    }
  }

  #begin(assistant: string | null): void {
    this.#asked++;
    this.#assistant = assistant;
    this.#parts.clear();
    this.#enabled = this.#problem = null;
    this.#loading = false;
  }

  async #load(fetch: () => Promise<() => void>): Promise<void> {
    const asked = ++this.#asked;
    this.#loading = true;
    this.#problem = null;
    this.#changed();
    try {
      const take = await fetch();
      if (asked === this.#asked) take();
    } catch (error) {
      if (asked === this.#asked) this.#problem = error;
    } finally {
      if (asked === this.#asked) {
        this.#loading = false;
        this.#changed();
      }
    }
  }
}
