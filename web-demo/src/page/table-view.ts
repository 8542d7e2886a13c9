/** A table of words and numbers, as far as it is of use on a screen. */
import { make } from "./element";
import { english, type Say } from "./say";

/** Of the rows that are shown; files have all of them. */
export const MOST_ROWS = 200;
const MOST_COLUMNS = 40;
/** In UTF-16 code units. */
const CELL = 300;

/** `rows`: the first of `total`. */
export function tableView(
  label: string,
  header: readonly string[],
  rows: readonly (readonly string[])[],
  total: number,
  say: Say = english,
): HTMLElement {
  const columns = header.slice(0, MOST_COLUMNS);
  const shown = rows.slice(0, MOST_ROWS);
  const head = columns.map((name) => make("th", { scope: "col" }, words(name)));
  const body = shown.map((row) => make("tr", {}, ...columns.map((_, at) => cell(row[at] ?? ""))));
  const table = make(
    "table",
    { className: "value-rows" },
    make("thead", {}, make("tr", {}, ...head)),
    make("tbody", {}, ...body),
  );
  const rest = [
    total > shown.length && say("{0} more rows", total - shown.length),
    header.length > columns.length && say("{0} more columns", header.length - columns.length),
  ].filter((one) => typeof one === "string");
  const view = make("div", { className: "value", tabIndex: 0 }, table);
  if (rest.length > 0) view.append(make("p", { dir: "auto" }, `… ${rest.join(", ")}`));
  view.setAttribute("role", "group");
  view.setAttribute("aria-label", label);
  return view;
}

function cell(text: string): HTMLElement {
  const isNumber = /^[+-]?\d[\d.,]*(?:[eE][+-]?\d+)?\s*%?$/.test(text);
  return make("td", { className: isNumber ? "number" : "" }, words(text));
}

function words(text: string): HTMLElement {
  const long = text.length > CELL;
  return make("span", { dir: "auto", textContent: long ? `${text.slice(0, CELL)}…` : text });
}
