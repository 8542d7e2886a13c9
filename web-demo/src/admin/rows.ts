/** Rows that stay when what they show changes, so that a selection, the focus and a reader's place stay, too. */

export interface Rows<Item> {
  key(item: Item): string;
  make(item: Item): HTMLElement;
  update(row: HTMLElement, item: Item): void;
}

/** Makes the children of `place` those of `items`, in their order. */
export function show<Item>(place: HTMLElement, items: readonly Item[], rows: Rows<Item>): void {
  const old = new Map<string, HTMLElement>();
  for (const child of place.children)
    if (child instanceof HTMLElement && child.dataset.key !== undefined)
      old.set(child.dataset.key, child);
  const wanted = items.map((item) => {
    const key = rows.key(item);
    const row = old.get(key) ?? rows.make(item);
    row.dataset.key = key;
    rows.update(row, item);
    return row;
  });
  for (const child of [...place.children])
    if (!wanted.includes(child as HTMLElement)) child.remove();
  for (const [i, row] of wanted.entries())
    if (place.children[i] !== row) place.insertBefore(row, place.children[i] ?? null);
}

/** Writes only what has changed. */
export function write(element: Element | null | undefined, text: string): void {
  if (element && element.textContent !== text) element.textContent = text;
}
