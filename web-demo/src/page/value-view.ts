/**
 * Any JSON for people: what has names as a table, everything else as text. It comes from models and from other
 * systems, so it is only ever text, and there is a bound to how much of it is shown.
 */
import { make } from "./element";
import { english, type Say } from "./say";

/** Of a table, and of all tables within one value together. */
const MOST_ROWS = 50;
const MOST_COLUMNS = 12;
const MOST_CELLS = 1_000;
/** In UTF-16 code units: of a cell, and of a text by itself. */
const CELL = 300;
const TEXT = 4_000;
/** Tables within tables; what lies deeper is written as JSON. */
const DEEPEST = 1;

type Names = Readonly<Record<string, unknown>>;

/** `label`: what it is, for who cannot see where it stands. */
export function valueView(value: unknown, label: string, say: Say = english): HTMLElement {
  const root = make("div", { className: "value", tabIndex: 0 }, new Drawing(say).draw(value, 0));
  root.setAttribute("role", "group");
  root.setAttribute("aria-label", label);
  return root;
}

class Drawing {
  readonly #say: Say;
  #cells = MOST_CELLS;

  constructor(say: Say) {
    this.#say = say;
  }

  draw(value: unknown, depth: number): HTMLElement {
    if (depth <= DEEPEST) {
      if (isRows(value)) return this.#rows(value, depth);
      if (isNames(value) && Object.keys(value).length > 0) return this.#names(value, depth);
    }
    const most = depth === 0 ? TEXT : CELL;
    if (typeof value !== "object" || value === null) return this.#words(String(value), most);
    const text = cut(json(value, depth === 0), most, this.#say);
    return make("pre", { dir: "ltr", textContent: text });
  }

  /** A name and its value in each row. */
  #names(value: Names, depth: number): HTMLElement {
    const body = make("tbody");
    const names = Object.keys(value);
    const shown = this.#take(names, 2);
    for (const name of shown)
      body.append(make("tr", {}, this.#named(name, "row"), this.#cell(value[name], depth)));
    return this.#withRest(make("table", {}, body), names.length - shown.length);
  }

  /** Things of one kind, one in each row, below their names. */
  #rows(value: readonly Names[], depth: number): HTMLElement {
    const names = [...new Set(value.flatMap((row) => Object.keys(row)))];
    const columns = names.slice(0, MOST_COLUMNS);
    const head = make("tr", {}, ...columns.map((name) => this.#named(name, "col")));
    const hidden = names.length - columns.length;
    if (hidden > 0) head.append(this.#named(this.#say("… {0} more", hidden), "col"));
    const body = make("tbody");
    const shown = this.#take(value, columns.length);
    for (const row of shown) {
      const own = (name: string): unknown => (Object.hasOwn(row, name) ? row[name] : undefined);
      body.append(make("tr", {}, ...columns.map((name) => this.#cell(own(name), depth))));
    }
    const table = make("table", { className: "value-rows" }, make("thead", {}, head), body);
    return this.#withRest(table, value.length - shown.length);
  }

  #cell(value: unknown, depth: number): HTMLElement {
    if (value === undefined) return make("td");
    const cell = make("td", {}, this.draw(value, depth + 1));
    if (typeof value === "number") cell.className = "number";
    return cell;
  }

  /** As many rows of so many cells as there is room for. */
  #take<Row>(rows: readonly Row[], cells: number): readonly Row[] {
    const shown = rows.slice(0, Math.min(MOST_ROWS, Math.floor(this.#cells / cells)));
    this.#cells -= shown.length * cells;
    return shown;
  }

  #named(name: string, scope: "row" | "col"): HTMLElement {
    return make("th", { scope }, this.#words(name, CELL));
  }

  #words(text: string, most: number): HTMLElement {
    return make("span", { dir: "auto", textContent: cut(text, most, this.#say) });
  }

  #withRest(table: HTMLElement, more: number): HTMLElement {
    if (more === 0) return table;
    return make("div", {}, table, make("p", { dir: "auto" }, this.#say("… {0} more", more)));
  }
}

function isNames(value: unknown): value is Names {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function isRows(value: unknown): value is readonly Names[] {
  if (!Array.isArray(value) || value.length === 0) return false;
  return value.every((row) => isNames(row) && Object.keys(row).length > 0);
}

function json(value: unknown, indented: boolean): string {
  try {
    return JSON.stringify(value, null, indented ? 2 : undefined);
  } catch {
    // What is nested too deep exhausts the stack.
    return "…";
  }
}

function cut(text: string, most: number, say: Say): string {
  if (text.length <= most) return text;
  return say("{0}… {1} characters more", text.slice(0, most), text.length - most);
}
