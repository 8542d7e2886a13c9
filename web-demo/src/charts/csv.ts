/** Tables as CSV (RFC 4180), to be read here and to be opened in spreadsheets. */
import { type Cell, cellOf, type Row } from "./spec";

export interface Table {
  readonly header: readonly string[];
  /** The first ones. */
  readonly rows: readonly (readonly string[])[];
  /** How many there are in all. */
  readonly total: number;
}

/** Reads a table and keeps its first `most` rows. Quotes that do not end, end with the text. */
export function readCsv(text: string, most: number): Table {
  const [header = [], ...rows] = recordsOf(text.replace(/^\uFEFF/, ""));
  return { header, rows: rows.slice(0, most), total: rows.length };
}

/** The columns of all rows, in the order in which they first come. */
export function columnsOf(rows: readonly Row[]): string[] {
  return [...new Set(rows.flatMap((row) => Object.keys(row)))];
}

/** `titles`: of columns that have another name for people. A number is itself; words that a spreadsheet would take for a formula have a `'` before them. */
export function toCsv(rows: readonly Row[], titles: ReadonlyMap<string, string>): string {
  const columns = columnsOf(rows);
  const lines = rows.map((row) => columns.map((name) => field(cellOf(row, name))));
  const header = columns.map((name) => field(titles.get(name) ?? name));
  return [header, ...lines].map((line) => `${line.join(",")}\r\n`).join("");
}

function field(cell: Cell): string {
  if (cell === null) return "";
  if (typeof cell !== "string") return String(cell);
  // White space before it does not keep every spreadsheet from it.
  const safe = /^(?:\s*[=+\-@＝＋－＠]|[\t\r\n])/.test(cell) ? `'${cell}` : cell;
  return /[",\r\n]/.test(safe) ? `"${safe.replaceAll('"', '""')}"` : safe;
}

function recordsOf(text: string): string[][] {
  const records: string[][] = [];
  let record: string[] = [];
  let at = 0;
  while (at < text.length) {
    const [value, end] = text[at] === '"' ? quoted(text, at + 1) : plain(text, at);
    record.push(value);
    at = end;
    if (text[at] === ",") {
      at++;
      if (at < text.length) continue;
      record.push("");
    }
    if (text[at] === "\r" && text[at + 1] === "\n") at++;
    at++;
    records.push(record);
    record = [];
  }
  return records;
}

function plain(text: string, from: number): [string, number] {
  let end = from;
  while (end < text.length && !",\r\n".includes(text.charAt(end))) end++;
  return [text.slice(from, end), end];
}

/** What stands behind the closing quote belongs to it. */
function quoted(text: string, from: number): [string, number] {
  let value = "";
  let at = from;
  while (at < text.length) {
    const quote = text.indexOf('"', at);
    if (quote < 0) return [value + text.slice(at), text.length];
    value += text.slice(at, quote);
    if (text[quote + 1] !== '"') {
      const [rest, end] = plain(text, quote + 1);
      return [value + rest, end];
    }
    value += '"';
    at = quote + 2;
  }
  return [value, at];
}
