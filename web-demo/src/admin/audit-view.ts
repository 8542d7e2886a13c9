/** Who did what, to what, from where: the newest first, older ones on demand. */
import { problemText } from "../documents/problem";
import { byId, make } from "../page/element";
import type { AdminApi } from "./api";
import { type Rows, show, write } from "./rows";
import type { AuditEntry } from "./wire";
import { moment } from "./words";

/** The most that are held here; whoever wants more asks the gateway by its route. */
const MOST = 2_000;

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

/** Whether an entry has all the words, anywhere. */
export function matches(entry: AuditEntry, words: string): boolean {
  const { user, action, target, address = "" } = entry;
  const text = `${user} ${action} ${target} ${address}`.toLowerCase();
  return words
    .toLowerCase()
    .split(/\s+/)
    .every((word) => text.includes(word));
}

export class AuditView {
  readonly #api: AdminApi;
  readonly #rows = byId("audit");
  readonly #table = byId("audit-table");
  readonly #note = byId("audit-note");
  readonly #more = byId<HTMLButtonElement>("audit-more");
  readonly #filter = byId<HTMLInputElement>("audit-filter");
  #entries: readonly AuditEntry[] = [];
  #older = false;

  constructor(api: AdminApi) {
    this.#api = api;
    this.#filter.addEventListener("input", () => this.#show());
    this.#more.addEventListener("click", () => void this.#loadOlder());
  }

  /** Puts what is new on top. */
  async refresh(): Promise<void> {
    const { entries, more } = await this.#api.audit();
    const last = entries.at(-1)?.number ?? 0;
    const first = this.#entries[0]?.number ?? 0;
    // A gap would look as if nothing had been in it.
    const joins = first >= last && this.#entries.length > 0;
    if (!joins) this.#older = more;
    const older = joins ? this.#entries.filter(({ number }) => number < last) : [];
    this.#entries = [...entries, ...older].slice(0, MOST);
    this.#show();
  }

  async #loadOlder(): Promise<void> {
    const before = this.#entries.at(-1)?.number;
    if (before === undefined || this.#more.disabled) return;
    this.#more.disabled = true;
    try {
      const { entries, more } = await this.#api.audit(before);
      this.#entries = [...this.#entries, ...entries].slice(0, MOST);
      this.#older = more && this.#entries.length < MOST;
      this.#show();
    } catch (error) {
      this.#note.hidden = false;
      write(this.#note, problemText(error));
    } finally {
      this.#more.disabled = false;
    }
  }

  #show(): void {
    const words = this.#filter.value.trim();
    const shown = this.#entries.filter((entry) => matches(entry, words));
    show(this.#rows, shown, ROWS);
    this.#table.hidden = shown.length === 0;
    this.#note.hidden = shown.length > 0;
    const none = this.#older ? "Nothing of it among what is loaded." : "Nothing of it.";
    write(this.#note, words === "" ? "Nothing was done yet." : none);
    this.#more.hidden = !this.#older;
  }
}
