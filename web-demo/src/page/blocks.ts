/**
 * Cuts an answer where a blank line ends a block of Markdown. Each piece is parsed by itself: while an
 * answer grows only its last piece changes, and what goes wrong in one piece cannot touch the others.
 */

/** A line that begins an item of a list. */
const ITEM = /^ {0,3}(?:[-+*]|\d{1,9}[.)])(?:[ \t]|$)/;
/** A line that opens a block of code; behind backticks there can be none. */
const FENCE = /^([ \t]*)(`{3,}(?=[^`]*$)|~{3,})/;
const INDENTED = /^[ \t]/;
/** So far code in a list item is indented at least. */
const ITEM_INDENT = 2;

interface Fence {
  readonly mark: string;
  readonly indent: number;
  /** All of its line. */
  readonly line: string;
}

interface Scan {
  readonly pieces: string[];
  /** The code that is not closed at the end. */
  readonly open: Fence | null;
}

/**
 * The pieces of a text, without the blank lines between them. Where a line's meaning is in doubt it stays
 * with what came before: a piece may hold several blocks, but no block is ever torn apart.
 */
export function splitBlocks(text: string): string[] {
  return scan(text).pieces;
}

/**
 * What follows on `before`, as a text of its own: in code that is open there it begins with such code, so
 * that what closes it closes it.
 */
export function reopened(before: string, after: string): string {
  if (after.trim() === "") return after;
  const { open } = scan(before);
  return open === null ? after : `${open.line.trimStart()}\n${after}`;
}

function scan(text: string): Scan {
  const pieces: string[] = [];
  let lines: string[] = [];
  let fence: Fence | null = null;
  let blank = false;
  let list = false;
  for (const line of text.split(/\r\n|\r|\n/)) {
    if (fence !== null) {
      if (!leavesItem(line, fence, list)) {
        lines.push(line);
        blank = line.trim() === "";
        if (closes(line, fence)) fence = null;
        continue;
      }
      fence = null;
    }
    if (line.trim() === "") {
      blank = true;
      lines.push(line);
      continue;
    }
    const item = ITEM.test(line);
    if (blank && !INDENTED.test(line) && !(list && item)) {
      keep(pieces, lines);
      lines = [];
      list = false;
    }
    blank = false;
    list ||= item;
    fence = opened(line, list);
    lines.push(line);
  }
  keep(pieces, lines);
  return { pieces, open: fence };
}

function keep(pieces: string[], lines: readonly string[]): void {
  const first = lines.findIndex((line) => line.trim() !== "");
  if (first < 0) return;
  const last = lines.findLastIndex((line) => line.trim() !== "");
  pieces.push(lines.slice(first, last + 1).join("\n"));
}

function opened(line: string, list: boolean): Fence | null {
  const [, space = "", mark] = FENCE.exec(line) ?? [];
  // Deeper, outside of a list, it is code by its indentation.
  if (mark === undefined || (!list && space.length > 3)) return null;
  return { mark, indent: space.length, line };
}

function closes(line: string, { mark }: Fence): boolean {
  const end = line.trim();
  return end.length >= mark.length && end === mark.charAt(0).repeat(end.length);
}

/** Code in an item of a list ends, also without its fence, where the item ends. */
function leavesItem(line: string, { indent }: Fence, list: boolean): boolean {
  const space = line.length - line.trimStart().length;
  return list && line.trim() !== "" && space < Math.min(indent, ITEM_INDENT);
}
