/** What was refused because somebody had enough, in the last while and since the start. */
import { byId, make } from "../page/element";
import { type History, KEPT_MS, limited } from "./history";
import { type Rows, show, write } from "./rows";
import type { Stats } from "./wire";
import { amount, scopeText } from "./words";

interface Scope {
  readonly name: string;
  readonly lately: number;
  readonly all: number;
}

const ROWS: Rows<Scope> = {
  key: ({ name }) => name,
  make: ({ name }) =>
    make(
      "tr",
      {},
      make("th", { scope: "row", textContent: scopeText(name) }),
      make("td", { className: "lately number" }),
      make("td", { className: "all number" }),
    ),
  update(row, { lately, all }) {
    row.classList.toggle("hot", lately > 0);
    write(row.querySelector(".lately"), amount(lately));
    write(row.querySelector(".all"), amount(all));
  },
};

export class LimitsView {
  readonly #table = byId("limits-table");
  readonly #rows = byId("limits");
  readonly #note = byId("limits-note");

  show(history: History, { gateway }: Stats): void {
    const scopes = Object.entries(gateway?.limited ?? {})
      .filter(([, all]) => all > 0)
      .map(([name, all]) => ({ name, all, lately: history.over(limited(name), KEPT_MS) ?? 0 }))
      .sort((a, b) => b.lately - a.lately || b.all - a.all);
    show(this.#rows, scopes, ROWS);
    this.#table.hidden = scopes.length === 0;
    this.#note.hidden = scopes.length > 0;
  }
}
