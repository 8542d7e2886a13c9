/** The list of documents with what is on its way into it. */
import { MOST_SEARCHED, type Shelf } from "../../documents/shelf";
import type { Transfer, Uploads } from "../../documents/uploads";
import { isUnderWay } from "../../documents/uploads";
import type { DocumentInfo } from "../../documents/wire";
import { byId } from "../element";
import { type DocumentEvents, DocumentRow } from "./document-row";
import { TransferRow } from "./transfer-row";

/** From so many documents on, a name is faster written than looked for. */
const MANY = 8;
/** A search by name stops loading when so many were found. */
const ENOUGH_FOUND = 30;

export class ShelfView {
  readonly #shelf: Shelf;
  readonly #uploads: Uploads;
  readonly #eventsOf: (document: string) => DocumentEvents;
  readonly #rows = new Map<string, DocumentRow>();
  readonly #transfers = new Map<Transfer, TransferRow>();
  readonly #list = byId("shelf-list");
  readonly #transferList = byId("transfer-list");
  readonly #filter = byId<HTMLInputElement>("shelf-filter");
  readonly #note = byId("shelf-note");
  readonly #again = byId("shelf-again");
  readonly #more = byId("shelf-more");
  readonly #clear = byId("transfers-clear");

  constructor(shelf: Shelf, uploads: Uploads, eventsOf: (document: string) => DocumentEvents) {
    this.#shelf = shelf;
    this.#uploads = uploads;
    this.#eventsOf = eventsOf;
    this.#more.addEventListener("click", () => void shelf.loadMore());
    this.#again.addEventListener("click", () => void shelf.open(shelf.collection));
    this.#clear.addEventListener("click", () => {
      uploads.dropEnded();
      byId("side-title").focus();
    });
    this.#filter.addEventListener("input", () => {
      this.paint();
      void shelf.loadWhile(() => this.#wanted !== "" && this.#found.length < ENOUGH_FOUND);
    });
  }

  paint(): void {
    this.#paintTransfers();
    this.#paintDocuments();
    const { documents, more, loading, problem } = this.#shelf;
    this.#filter.hidden = documents.length < MANY && !more && this.#filter.value === "";
    this.#more.hidden = !more || loading || problem !== null;
    this.#again.hidden = problem === null;
    const note = this.#noteText();
    this.#note.hidden = note === "";
    if (this.#note.textContent !== note) this.#note.textContent = note;
  }

  get #wanted(): string {
    return this.#filter.value.trim().toLowerCase();
  }

  get #found(): readonly DocumentInfo[] {
    const wanted = this.#wanted;
    if (wanted === "") return this.#shelf.documents;
    return this.#shelf.documents.filter(({ title, name, key }) =>
      [title, name, key].some((text) => text.toLowerCase().includes(wanted)),
    );
  }

  #noteText(): string {
    const { documents, more, loading, problem } = this.#shelf;
    if (problem !== null) return problem;
    if (loading) return "Loading…";
    if (documents.length === 0) return "There are no documents here yet.";
    if (this.#wanted === "" || this.#found.length > 0) return "";
    const some = more && documents.length >= MOST_SEARCHED;
    return some
      ? `No such name among the newest ${documents.length} documents.`
      : "There is no document of such a name.";
  }

  #paintDocuments(): void {
    const found = this.#found;
    const ids = new Set(found.map(({ document }) => document));
    for (const [id, row] of this.#rows) {
      if (ids.has(id)) continue;
      this.#leave(row.root);
      this.#rows.delete(id);
    }
    found.forEach((document, at) => {
      const known = this.#rows.get(document.document);
      const row = known ?? new DocumentRow(document, this.#eventsOf(document.document));
      this.#rows.set(document.document, row);
      row.show(document);
      place(this.#list, row.root, at);
    });
  }

  #paintTransfers(): void {
    const { list } = this.#uploads;
    const there = new Set(list);
    for (const [transfer, row] of this.#transfers) {
      if (there.has(transfer)) continue;
      this.#leave(row.root);
      this.#transfers.delete(transfer);
    }
    list.forEach((transfer, at) => {
      const row = this.#transfers.get(transfer) ?? this.#newTransfer(transfer);
      this.#transfers.set(transfer, row);
      row.show(transfer);
      place(this.#transferList, row.root, at);
    });
    byId("transfers").hidden = list.length === 0;
    byId("transfers-title").textContent = this.#uploads.busy ? "On their way" : "Not taken";
    this.#clear.hidden = list.filter(({ state }) => !isUnderWay(state)).length < 2;
  }

  #newTransfer(transfer: Transfer): TransferRow {
    return new TransferRow(transfer, {
      retry: () => this.#uploads.retry(transfer),
      drop: () => this.#uploads.drop(transfer),
    });
  }

  /** The focus goes on to the next one, and never off the page. */
  #leave(row: HTMLElement): void {
    const focused = row.contains(document.activeElement);
    const beside = row.nextElementSibling ?? row.previousElementSibling;
    row.remove();
    if (!focused) return;
    const next = beside?.querySelector<HTMLElement>("button:not([hidden], :disabled), summary");
    (next ?? byId("side-title")).focus();
  }
}

/** Leaves an element alone that is right already: moving it takes the focus from it. */
function place(list: HTMLElement, element: HTMLElement, at: number): void {
  const there = list.children[at] ?? null;
  if (there !== element) list.insertBefore(element, there);
}
