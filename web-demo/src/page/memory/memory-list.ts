/** A list of memories that keeps its rows: what is being written in one stays when others come and go. */
import type { MemoryItem } from "@rivulet/client";
import { MemoryRow, type MemoryRowEvents } from "./memory-row";

export class MemoryList {
  readonly #root: HTMLElement;
  readonly #eventsOf: (item: MemoryItem) => MemoryRowEvents;
  readonly #rows = new Map<string, MemoryRow>();
  /** Where the focus goes when the list has nothing more to offer it. */
  readonly #refuge: HTMLElement;

  constructor(
    root: HTMLElement,
    refuge: HTMLElement,
    eventsOf: (item: MemoryItem) => MemoryRowEvents,
  ) {
    this.#root = root;
    this.#refuge = refuge;
    this.#eventsOf = eventsOf;
  }

  show(items: readonly MemoryItem[]): void {
    const at = [...this.#root.children].findIndex((row) => row.contains(document.activeElement));
    const known = new Set(items.map(({ id }) => id));
    for (const [id, row] of this.#rows) {
      if (known.has(id)) continue;
      row.root.remove();
      this.#rows.delete(id);
    }
    items.forEach((item, place) => {
      const row = this.#rows.get(item.id) ?? new MemoryRow(item, this.#eventsOf(item));
      this.#rows.set(item.id, row);
      const there = this.#root.children[place] ?? null;
      if (there !== row.root) this.#root.insertBefore(row.root, there);
      row.show(item);
    });
    if (at >= 0 && !this.#root.contains(document.activeElement)) this.#focus(at, items);
  }

  /** On the one that has moved up to the place of the one that is gone. */
  #focus(at: number, items: readonly MemoryItem[]): void {
    const next = items[Math.min(at, items.length - 1)];
    const row = next && this.#rows.get(next.id);
    if (row) row.focus();
    else this.#refuge.focus();
  }
}
