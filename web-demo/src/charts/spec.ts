/**
 * Reads a chart: a small part of Vega-Lite that has data, marks and channels, and nothing that computes, fetches or
 * links. Whatever else stands in it, the whole of it is refused, for half of a chart would say something else.
 */

/** Of rows; and of series, more than which nobody tells apart. */
const MOST_ROWS = 2_000;
const MOST_SERIES = 12;
const MOST_LAYERS = 8;
const MOST_COLUMNS = 40;
/** In UTF-16 code units, of names and words in the data. */
const LONGEST = 500;
/** No sum or difference of such numbers overflows. */
const LARGEST = 1e100;
/** Years that are written with four digits. */
const FIRST_MS = Date.UTC(1000, 0);
const LAST_MS = Date.UTC(9999, 11, 31);

const MARKS = ["line", "bar", "area", "point"] as const;
const KINDS = ["temporal", "ordinal", "quantitative"] as const;

export type Mark = (typeof MARKS)[number];
export type Kind = (typeof KINDS)[number];
export type Cell = string | number | boolean | null;
export type Row = Readonly<Record<string, Cell>>;

export interface Point {
  /** Where in `Chart.xs`. */
  readonly x: number;
  /** `null`: there is a gap. */
  readonly y: number | null;
  /** The other end, of a band or a bar. */
  readonly y2: number | null;
}

export interface Series {
  readonly name: string;
  readonly mark: Mark;
  /** It has two ends. */
  readonly band: boolean;
  /** Which of the colours; several series may have the same. */
  readonly colour: number;
  /** In the order of `x`. */
  readonly points: readonly Point[];
}

export interface Chart {
  readonly title: string | null;
  readonly kind: Kind;
  readonly field: string;
  /** All places on the axis, each once: categories as they come, the others ascending, times in ms. */
  readonly xs: readonly (number | string)[];
  readonly series: readonly Series[];
  /** What fields are called for people, where that is another name. */
  readonly titles: ReadonlyMap<string, string>;
  readonly rows: readonly Row[];
}

/** The reason is a sentence for people, without its full stop. */
export class NotDrawable extends Error {}

export function readChart(json: string): Chart {
  let spec: unknown;
  try {
    spec = JSON.parse(json);
  } catch {
    throw new NotDrawable("It is not JSON");
  }
  const top = names(spec, "the chart", ["$schema", "title", "data", "layer"]);
  if (top.$schema !== undefined) text(top.$schema, "$schema");
  const title = top.title === undefined ? null : text(top.title, "title");
  const rows = rowsOf(names(top.data, "data", ["values"]).values);
  const layers = list(top.layer, "layer", MOST_LAYERS).map(layerOf);
  const [first] = layers;
  if (first === undefined) throw new NotDrawable("It has no layer");
  const { field, kind } = first.x;
  if (layers.some(({ x }) => x.kind !== kind))
    throw new NotDrawable("Its layers have several axes");
  const xs = placesOf(rows, layers, kind);
  const at = new Map(xs.map((x, index) => [x, index]));
  const colours = new Map<string, number>();
  const series = layers.flatMap((layer) => seriesOf(layer, rows, at, colours));
  if (series.length > MOST_SERIES) throw new NotDrawable("It has too many series");
  if (!series.some(({ points }) => points.some(({ y }) => y !== null)))
    throw new NotDrawable("There is nothing in it");
  const titles = new Map(layers.flatMap(({ titles }) => titles));
  return { title, kind, field, xs, series, titles, rows };
}

interface Layer {
  readonly mark: Mark;
  readonly x: { readonly field: string; readonly kind: Kind };
  readonly y: string;
  readonly y2: string | null;
  readonly titles: readonly (readonly [field: string, title: string])[];
  readonly colour: { readonly field: string } | { readonly value: string } | null;
}

function layerOf(layer: unknown): Layer {
  const { mark, encoding } = names(layer, "a layer", ["mark", "encoding"]);
  const channels = names(encoding, "encoding", ["x", "y", "y2", "color"]);
  const x = names(channels.x, "x", ["field", "type", "title"]);
  const y = names(channels.y, "y", ["field", "type", "title"]);
  oneOf(y.type, ["quantitative"] as const, "the type of y");
  return {
    mark: oneOf(mark, MARKS, "the mark"),
    x: { field: text(x.field, "x"), kind: oneOf(x.type, KINDS, "the type of x") },
    y: text(y.field, "y"),
    titles: [x, y].flatMap(({ field, title }) =>
      title === undefined ? [] : [[text(field, "field"), text(title, "title")] as const],
    ),
    y2: channels.y2 === undefined ? null : text(names(channels.y2, "y2", ["field"]).field, "y2"),
    colour: channels.color === undefined ? null : colourOf(channels.color),
  };
}

/** A colour by value only says what belongs together: which one it is, the theme decides. */
function colourOf(color: unknown): Layer["colour"] {
  const { field, value } = names(color, "color", ["field", "value"]);
  if ((field === undefined) === (value === undefined))
    throw new NotDrawable("It has a color that is not known here");
  return field === undefined ? { value: text(value, "color") } : { field: text(field, "color") };
}

function rowsOf(values: unknown): Row[] {
  return list(values, "values", MOST_ROWS).map((row) => {
    const cells = Object.entries(names(row, "values", null));
    if (cells.length > MOST_COLUMNS) throw new NotDrawable("It has too many columns");
    for (const [name, cell] of cells) {
      text(name, "values");
      if (typeof cell === "string") text(cell, "values");
      else if (typeof cell === "number") numeric(cell);
      else if (cell !== null && typeof cell !== "boolean")
        throw new NotDrawable("It has values within values");
    }
    return row as Row;
  });
}

function placesOf(rows: readonly Row[], layers: readonly Layer[], kind: Kind) {
  const fields = [...new Set(layers.map(({ x }) => x.field))];
  const all = fields.flatMap((field) => rows.map((row) => place(row, field, kind)));
  const places = [...new Set(all)].filter((one) => one !== null);
  return kind === "ordinal" ? places : places.sort((a, b) => Number(a) - Number(b));
}

/** `null`: the row has none, and is left out. */
function place(row: Row, field: string, kind: Kind): number | string | null {
  const cell = cellOf(row, field);
  if (cell === null) return null;
  if (kind === "ordinal") return String(cell);
  if (kind === "quantitative") return number(cell);
  const ms = typeof cell === "number" ? cell : Date.parse(String(cell));
  if (!(ms >= FIRST_MS && ms <= LAST_MS))
    throw new NotDrawable("It has a time that cannot be read");
  return ms;
}

function seriesOf(
  { mark, x, y, y2, titles, colour }: Layer,
  rows: readonly Row[],
  at: ReadonlyMap<number | string, number>,
  colours: Map<string, number>,
): Series[] {
  const found = new Map<string, Point[]>();
  const measured = titles.findLast(([field]) => field === y)?.[1] ?? y;
  const by = colour && "field" in colour ? colour.field : null;
  for (const row of rows) {
    const where = place(row, x.field, x.kind);
    const name =
      by === null
        ? y2 === null
          ? measured
          : `${measured} – ${y2}`
        : String(cellOf(row, by) ?? "–");
    const points = found.get(name) ?? [];
    found.set(name, points);
    const index = where === null ? undefined : at.get(where);
    if (index === undefined) continue;
    const ends = [y, y2].map((field) => (field === null ? null : number(cellOf(row, field))));
    const [end = null, other = null] = ends;
    const gap = end === null || (y2 !== null && other === null);
    points.push({ x: index, y: gap ? null : end, y2: gap ? null : other });
  }
  return [...found].map(([name, points]) => {
    const key = colour && "value" in colour ? `value ${colour.value}` : `name ${name}`;
    const number = colours.get(key) ?? colours.size;
    colours.set(key, number);
    const sorted = points.sort((a, b) => a.x - b.x);
    return { name, mark, band: y2 !== null, colour: number, points: sorted };
  });
}

/** What the row has of its own in that column. */
export function cellOf(row: Row, field: string): Cell {
  return Object.hasOwn(row, field) ? (row[field] ?? null) : null;
}

function number(cell: Cell): number | null {
  if (cell === null) return null;
  if (typeof cell !== "number") throw new NotDrawable("It has words where numbers should be");
  return cell;
}

function numeric(value: number): void {
  if (!(Math.abs(value) <= LARGEST)) throw new NotDrawable("It has a number that is too large");
}

/** An object with no other names than these. */
function names(
  value: unknown,
  what: string,
  allowed: readonly string[] | null,
): Readonly<Record<string, unknown>> {
  if (typeof value !== "object" || value === null || Array.isArray(value))
    throw new NotDrawable(`It has no ${what} as it should be`);
  const other = allowed && Object.keys(value).find((name) => !allowed.includes(name));
  if (other) throw new NotDrawable(`It has “${other.slice(0, 40)}” in ${what}`);
  return value as Readonly<Record<string, unknown>>;
}

function list(value: unknown, what: string, most: number): unknown[] {
  if (!Array.isArray(value)) throw new NotDrawable(`It has no ${what} as it should be`);
  if (value.length > most) throw new NotDrawable(`It has too much in ${what}`);
  return value;
}

function text(value: unknown, what: string): string {
  if (typeof value !== "string" || value.length > LONGEST)
    throw new NotDrawable(`It has no ${what} as it should be`);
  return value;
}

function oneOf<One extends string>(value: unknown, all: readonly One[], what: string): One {
  const found = all.find((one) => one === value);
  if (found === undefined) throw new NotDrawable(`It has something else as ${what}`);
  return found;
}
