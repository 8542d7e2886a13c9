/** Cuts the text of a document into what is shown of it: paragraphs, headings, and marks where a page begins. Pure. */
import type { Span } from "./supporting";

/** A page, sheet, slide or chapter that begins at an offset of the text. */
export interface PageMark {
  readonly at: number;
  readonly label: string;
}

export type TextBlock =
  | { readonly kind: "page"; readonly label: string }
  /** `level` from 1; 0 for a paragraph. Of a heading, the span is what stands behind its marks. */
  | { readonly kind: "text"; readonly level: number; readonly span: Span }
  /** The cells of each row; `named`: the first row has the names of the columns. */
  | {
      readonly kind: "table";
      readonly named: boolean;
      readonly rows: readonly (readonly Span[])[];
    };

const HEADING = /^(#{1,6})[ \t]+(?=\S)/;
const ROW = /^\|.*\|[ \t]*$/;
/** The line below the names of the columns of a table. */
const RULE = /^\|(?: *:?-+:? *\|)+ *$/;
const FENCE = /^[ \t]*(?:```|~~~)/;

/** `markdown`: whether a line of `#` is a heading. */
export function blocksOf(text: string, marks: readonly PageMark[], markdown: boolean): TextBlock[] {
  const blocks: TextBlock[] = [];
  const left = [...marks];
  for (const { level, span } of paragraphsOf(text, markdown)) {
    const add = (start: number, end: number): void => {
      const piece = trimmed(text, { start, end });
      if (piece === null) return;
      const table = markdown && level === 0 ? tableOf(text, piece) : null;
      blocks.push(table ?? { kind: "text", level, span: piece });
    };
    let start = span.start;
    while (left[0] !== undefined && left[0].at < span.end) {
      const mark = left.shift() as PageMark;
      // A page may begin in the middle of a paragraph, or of a table.
      add(start, mark.at);
      start = Math.max(start, mark.at);
      blocks.push({ kind: "page", label: mark.label });
    }
    add(start, span.end);
  }
  return blocks;
}

/** The parts of `span` that lie in none, one or several of `ranges`: each with the ranges it lies in. */
export function cut(span: Span, ranges: readonly Span[]): { span: Span; within: number[] }[] {
  const edges = new Set([span.start, span.end]);
  for (const { start, end } of ranges)
    for (const edge of [start, end]) if (edge > span.start && edge < span.end) edges.add(edge);
  const sorted = [...edges].sort((a, b) => a - b);
  return sorted.slice(0, -1).map((start, at) => {
    const end = sorted[at + 1] ?? start;
    const within = ranges.flatMap((range, n) =>
      range.start <= start && end <= range.end ? [n] : [],
    );
    return { span: { start, end }, within };
  });
}

function paragraphsOf(text: string, markdown: boolean): { level: number; span: Span }[] {
  const found: { level: number; span: Span }[] = [];
  let open: Span | null = null;
  let fenced = false;
  const close = (): void => {
    if (open) found.push({ level: 0, span: open });
    open = null;
  };
  let start = 0;
  for (const line of text.split("\n")) {
    const end = start + line.length;
    const [marks = "", signs = ""] = (markdown && !fenced && HEADING.exec(line)) || [];
    if (signs !== "") {
      close();
      found.push({ level: signs.length, span: { start: start + marks.length, end } });
    } else if (line.trim() === "" && !fenced) close();
    else open = { start: (open as Span | null)?.start ?? start, end };
    if (markdown && FENCE.test(line)) fenced = !fenced;
    start = end + 1;
  }
  close();
  return found;
}

/** A paragraph that is a table, or a part of one: then the names of its columns may stand elsewhere. */
function tableOf(text: string, { start, end }: Span): TextBlock | null {
  const lines = text.slice(start, end).split("\n");
  if (!lines.every((line) => ROW.test(line))) return null;
  const rows: Span[][] = [];
  let at = start;
  for (const line of lines) {
    if (!RULE.test(line)) rows.push(cellsOf(line, at));
    at += line.length + 1;
  }
  return rows.length === 0 ? null : { kind: "table", named: RULE.test(lines[1] ?? ""), rows };
}

function cellsOf(line: string, at: number): Span[] {
  const cells: Span[] = [];
  let from = 1;
  for (const { index } of line.matchAll(/(?<!\\)\|/g)) {
    if (index < from) continue;
    const cell = line.slice(from, index);
    const start = at + from + cell.length - cell.trimStart().length;
    cells.push({ start, end: Math.max(start, at + from + cell.trimEnd().length) });
    from = index + 1;
  }
  return cells;
}

/** Without the white space around it; `null` when there is nothing else. */
function trimmed(text: string, { start, end }: Span): Span | null {
  const piece = text.slice(start, end);
  const from = start + piece.length - piece.trimStart().length;
  const to = start + piece.trimEnd().length;
  return from < to ? { start: from, end: to } : null;
}
