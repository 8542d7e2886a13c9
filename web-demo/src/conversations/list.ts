/** The list of conversations as it is shown: found, opened, named, deleted, begun. */
import { problemText } from "../documents/problem";
import { counted } from "../documents/words";
import { byId } from "../page/element";
import type { ConversationInfo } from "./api";
import type { Catalogue } from "./catalogue";
import { Row } from "./row";

/** Nobody means every letter of what is being typed. */
const TYPING_MS = 250;
/** So near to the end of the list the next page is asked for. */
const NEAR_END_PX = 200;

export interface ListEvents {
  /** The one that is open. */
  current(): string | null;
  address(session: string): string;
  open(session: string): void;
  begin(): void;
  /** Asks first. */
  remove(conversation: ConversationInfo): void;
  /** To be told to those who do not see it. */
  say(text: string): void;
  /** Why there is no list; `null` when there can be one. */
  note(): string | null;
}

export class ConversationList {
  readonly #catalogue: Catalogue;
  readonly #events: ListEvents;
  readonly #scroll = byId("conversations-scroll");
  readonly #list = byId("conversations-list");
  readonly #find = byId<HTMLInputElement>("conversations-find");
  readonly #note = byId("conversations-note");
  readonly #problem = byId("conversations-problem");
  readonly #again = byId("conversations-again");
  readonly #more = byId("conversations-more");
  readonly #rows = new Map<string, Row>();
  #typing: ReturnType<typeof setTimeout> | undefined;

  constructor(catalogue: Catalogue, events: ListEvents) {
    this.#catalogue = catalogue;
    this.#events = events;
    byId("conversations-new").addEventListener("click", () => events.begin());
    this.#again.addEventListener("click", () => void catalogue.refresh());
    this.#more.addEventListener("click", () => void this.#next());
    this.#scroll.addEventListener("scroll", () => {
      const { scrollHeight, scrollTop, clientHeight } = this.#scroll;
      // What failed is tried again by the button: scrolling on must not ask without end.
      const goesOn = catalogue.problem === null && !catalogue.loading;
      if (goesOn && scrollHeight - scrollTop - clientHeight < NEAR_END_PX) void catalogue.next();
    });
    this.#find.addEventListener("input", () => {
      clearTimeout(this.#typing);
      this.#typing = setTimeout(() => void this.#search(), TYPING_MS);
    });
  }

  paint(): void {
    const { items, more, loading, problem, part } = this.#catalogue;
    const current = this.#events.current();
    const known = new Set(items.map(({ session_id: id }) => id));
    for (const [id, row] of this.#rows) {
      if (known.has(id)) continue;
      row.root.remove();
      this.#rows.delete(id);
    }
    items.forEach((info, at) => {
      const row = this.#row(info);
      row.show(info, info.session_id === current);
      const there = this.#list.children[at] ?? null;
      if (there !== row.root) this.#list.insertBefore(row.root, there);
    });
    this.#more.hidden = !more;
    this.#scroll.ariaBusy = String(loading);
    const none =
      part === "" ? "Conversations will stand here." : `None has “${part}” in its title.`;
    const isEmpty = items.length === 0 && !loading && problem === null;
    const note = this.#events.note() ?? (isEmpty ? none : "");
    this.#note.textContent = note;
    this.#note.hidden = note === "";
    const words = problem === null ? "" : problemText(problem);
    if (this.#problem.textContent !== words) this.#problem.textContent = words;
    this.#problem.hidden = words === "";
    this.#again.hidden = words === "";
  }

  /** Nothing is looked for any more. */
  clear(): void {
    clearTimeout(this.#typing);
    this.#find.value = "";
  }

  /** The focus was on an entry that is going: it goes to the next one, or to the heading. */
  focusAfter(session: string): void {
    const { items } = this.#catalogue;
    const at = items.findIndex(({ session_id: id }) => id === session);
    const next = items[at + 1] ?? items[at - 1];
    const row = next && this.#rows.get(next.session_id);
    if (row) row.focus();
    else byId("conversations-title").focus();
  }

  #row(info: ConversationInfo): Row {
    const { session_id: id } = info;
    const there = this.#rows.get(id);
    if (there) return there;
    const row = new Row({
      address: this.#events.address(id),
      open: () => this.#events.open(id),
      rename: async (title) => {
        await this.#catalogue.rename(id, title);
        this.#events.say("Renamed.");
      },
      remove: () => this.#events.remove(this.#now(id) ?? info),
    });
    this.#rows.set(id, row);
    return row;
  }

  /** As it is called by now. */
  #now(id: string): ConversationInfo | undefined {
    return this.#catalogue.items.find(({ session_id }) => session_id === id);
  }

  async #search(): Promise<void> {
    const part = this.#find.value.trim();
    if (part === this.#catalogue.part) return;
    await this.#catalogue.search(part);
    const { items, more, problem, part: now } = this.#catalogue;
    if (now !== part || part === "" || problem !== null) return;
    this.#events.say(`${more ? "At least " : ""}${counted(items.length, "conversation")} found.`);
  }

  /** The focus goes on to the first of those that come. */
  async #next(): Promise<void> {
    const before = this.#catalogue.items.length;
    await this.#catalogue.next();
    const first = this.#catalogue.items[before];
    if (first && document.activeElement !== this.#find) this.#rows.get(first.session_id)?.focus();
  }
}
