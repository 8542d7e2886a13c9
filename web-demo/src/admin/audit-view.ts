/** Who did what, to what, from where: the newest first, older ones on demand. */
import { problemText } from "../documents/problem";
import { byId, make } from "../page/element";
import type { AdminApi } from "./api";
import { type Rows, show, write } from "./rows";
import type { AuditEntry } from "./wire";
import { moment } from "./words";

/** The most that are held here; whoever wants more asks the gateway by its route. */
const MOST = 2_000;
/** After the last key, so that a word is not asked for letter by letter. */
const TYPING_MS = 250;

const ROWS: Rows<AuditEntry> = {
  key: ({ number }) => String(number),
  make: ({ user, action, target, address }) =>
    make(
      "tr",
      {},
      make("td", { className: "when" }),
      make("td", { textContent: user, dir: "auto" }),
      make("td", {}, make("code", { textContent: action })),
      make("td", { className: "target", textContent: target, dir: "auto" }),
      make("td", { textContent: address ?? "on the machine" }),
    ),
  update: (row, { at }) => write(row.querySelector(".when"), moment(at)),
};

export class AuditView {
  readonly #api: AdminApi;
  readonly #rows = byId("audit");
  readonly #table = byId("audit-table");
  readonly #note = byId("audit-note");
  readonly #more = byId<HTMLButtonElement>("audit-more");
  readonly #filter = byId<HTMLInputElement>("audit-filter");
  #words = "";
  #typing: ReturnType<typeof setTimeout> | undefined;
  #entries: readonly AuditEntry[] = [];
  /** Everything with the words from `#next` up to here is held. */
  #top = 0;
  /** Before this there may be more. */
  #next: number | null = null;

  constructor(api: AdminApi) {
    this.#api = api;
    this.#filter.addEventListener("input", () => {
      clearTimeout(this.#typing);
      this.#typing = setTimeout(() => this.#look(), TYPING_MS);
    });
    this.#more.addEventListener("click", () => void this.#ask(() => this.#loadOlder()));
  }

  /** Puts what is new on top. */
  async refresh(): Promise<void> {
    const words = this.#words;
    const { entries, next } = await this.#api.audit(words);
    if (words !== this.#words) return;
    const from = next ?? 0;
    // A gap would look as if nothing had been in it.
    const joins = this.#top >= from;
    const older = joins ? this.#entries.filter(({ number }) => number < from) : [];
    if (!joins || next === null) this.#next = next;
    this.#top = entries[0]?.number ?? from;
    this.#entries = [...entries, ...older].slice(0, MOST);
    this.#show();
  }

  /** For other words, when they are others. */
  #look(): void {
    const words = this.#filter.value.trim();
    if (words === this.#words) return;
    this.#words = words;
    this.#entries = [];
    this.#top = 0;
    this.#next = null;
    void this.#ask(() => this.refresh());
  }

  async #loadOlder(): Promise<void> {
    const words = this.#words;
    if (this.#next === null) return;
    const { entries, next } = await this.#api.audit(words, this.#next);
    if (words !== this.#words) return;
    this.#entries = [...this.#entries, ...entries].slice(0, MOST);
    this.#next = next;
    this.#show();
  }

  /** What somebody who looks has asked for, and may ask for again. */
  async #ask(what: () => Promise<void>): Promise<void> {
    this.#more.disabled = true;
    try {
      await what();
    } catch (error) {
      this.#note.hidden = false;
      write(this.#note, problemText(error));
    } finally {
      this.#more.disabled = false;
    }
  }

  #show(): void {
    const more = this.#next !== null && this.#entries.length < MOST;
    show(this.#rows, this.#entries, ROWS);
    this.#table.hidden = this.#entries.length === 0;
    this.#note.hidden = this.#entries.length > 0;
    const none = more ? "Nothing of it of late." : "Nothing of it.";
    write(this.#note, this.#words === "" ? "Nothing was done yet." : none);
    this.#more.hidden = !more;
  }
}
