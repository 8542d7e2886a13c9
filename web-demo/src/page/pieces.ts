/** Where the calls of tools stand in the text of an answer, and the text that lies between them. */
import type { ToolCall } from "@rivulet/client";

/** A part of the text, and the calls that were made at its end. */
export interface Piece {
  readonly text: string;
  readonly calls: readonly ToolCall[];
}

/** At least one; only the last one has no calls. What lies behind text that is not here yet stands at its end. */
export function piecesOf(text: string, tools: readonly ToolCall[]): Piece[] {
  const pieces: { text: string; calls: ToolCall[] }[] = [];
  let end = 0;
  for (const tool of tools) {
    const last = pieces.at(-1);
    const cut = Math.max(end, wholeAt(text, tool.off));
    if (last && cut === end) last.calls.push(tool);
    else pieces.push({ text: text.slice(end, cut), calls: [tool] });
    end = cut;
  }
  return [...pieces, { text: text.slice(end), calls: [] }];
}

/** The text by itself, as it is read on the screen: with a paragraph's end where something stood between. */
export function textAlone(text: string, tools: readonly ToolCall[]): string {
  if (tools.length === 0) return text;
  return piecesOf(text, tools)
    .map((piece) => piece.text.replace(/^(?:[ \t]*\n)+/, "").trimEnd())
    .filter((piece) => piece !== "")
    .join("\n\n");
}

/** The offset, or the next one where it would cut a surrogate pair. */
function wholeAt(text: string, off: number): number {
  const code = off > 0 ? text.codePointAt(off - 1) : undefined;
  return code !== undefined && code > 0xffff ? off + 1 : off;
}
