/**
 * LaTeX in Markdown. It is not typeset here, but it stays as it was written: no backslash is lost, and
 * no underscore or asterisk of a formula is taken for markup.
 */
import type { MarkedOptions, TokenizerThis, Tokens } from "marked";

/** Nobody writes a longer formula, and looking for the end of each must not take for ever. */
const LONGEST = 2_000;
const body = `[\\s\\S]{1,${LONGEST}}?`;

/** Between single dollars: on one line, no space inside of them, no letter or digit behind them. */
const DOLLARS = String.raw`\$(?:\\.|[^$\\\n\x60\s])(?:(?:\\.|[^$\\\n\x60])*?(?:\\.|[^$\\\n\x60\s]))?\$(?![\w$])`;
const FORMULA = [
  String.raw`\\\(${body}\\\)`,
  String.raw`\\\[${body}\\\]`,
  String.raw`\$\$${body}\$\$`,
  String.raw`\\begin\{(?<name>[a-zA-Z]+\*?)\}${body}\\end\{\k<name>\}`,
  DOLLARS,
].join("|");

const HERE = new RegExp(`^(?:${FORMULA})`);
/** Code first: what stands in it is no formula. */
const CODE = String.raw`(?<code>\x60+)[\s\S]*?\k<code>(?!\x60)`;
const CODE_OR_FORMULA = new RegExp(`${CODE}|${FORMULA}`, "g");
/** Behind a letter or a digit, a dollar is a currency. */
const MAY_BEGIN = /\\[([]|\\begin\{|\$\$|(?:^|[^\w$\\])\$(?![\s$])/;
const BLOCK_BEGINS = /^ {0,3}(\$\$|\\\[|\\begin\{([a-zA-Z]+\*?)\})/;
/** Two dollars in the middle of a line may as well end a formula, the other marks only begin one. */
const BLOCK_MAY_BEGIN = /\n {0,3}(?:\$\$|\\\[|\\begin\{)|(?:\\\[|\\begin\{[a-zA-Z]+\*?\})[ \t]*\n/g;
const BLANK_LINE = /\n[ \t]*(?:\n|$)/;

export const MATH: NonNullable<MarkedOptions["extensions"]> = {
  renderers: {},
  childTokens: {},
  inline: [(source) => token("math", HERE.exec(source)?.[0])],
  startInline: [(source) => source.search(MAY_BEGIN)],
  block: [(source) => token("mathBlock", block(source))],
  startBlock: [
    // Only paragraphs at the top are cut there.
    function start(this: TokenizerThis, source) {
      return this.lexer.state.top ? blockWithin(source) : -1;
    },
  ],
};

/** The mark of a formula: Markdown would take the backslash away, also while the other end has not arrived yet. */
export function mark(source: string): Tokens.Escape | undefined {
  const raw = /^\\[()[\]]/.exec(source)?.[0];
  return raw === undefined ? undefined : { type: "escape", raw, text: raw };
}

function token(type: string, raw: string | undefined): Tokens.Generic | undefined {
  return raw === undefined ? undefined : { type, raw };
}

/**
 * A formula on lines of its own. One whose opening mark ends its line goes on to the end of its paragraph at
 * most: it may be on its way still, and its signs must not become the points of a list.
 */
function block(source: string): string | undefined {
  const [opening, mark, name] = BLOCK_BEGINS.exec(source) ?? [];
  if (opening === undefined) return undefined;
  const within = source.slice(0, LONGEST);
  const blank = within.slice(opening.length).search(BLANK_LINE);
  const paragraph = blank < 0 ? within : within.slice(0, opening.length + blank + 1);
  const closing = mark === "$$" ? "$$" : mark === "\\[" ? "\\]" : `\\end{${name}}`;
  const alone = /^[ \t]*(?:\n|$)/.test(paragraph.slice(opening.length));
  const at = paragraph.indexOf(closing, opening.length);
  if (at < 0) return alone ? paragraph : undefined;
  const end = at + closing.length;
  const rest = /^[ \t]*[.,;:]?[ \t]*(?:\n|$)/.exec(paragraph.slice(end))?.[0];
  if (rest !== undefined) return paragraph.slice(0, end + rest.length);
  return alone ? paragraph.slice(0, end) : undefined;
}

/** Where a formula interrupts a paragraph; -1 when none does. */
function blockWithin(source: string): number {
  const blank = source.search(BLANK_LINE);
  const paragraph = blank < 0 ? source : source.slice(0, blank + 1);
  for (const { 0: found, index } of paragraph.matchAll(BLOCK_MAY_BEGIN)) {
    const at = found.startsWith("\n") ? index + 1 : index;
    if (block(paragraph.slice(at, at + LONGEST)) !== undefined) return at;
  }
  return -1;
}

/**
 * `masked` is `source` with letters in the place of what can be no mark of emphasis; so it is with what lies
 * in formulas, too.
 */
export function maskMath(source: string, masked: string): string {
  let result = "";
  let end = 0;
  for (const { 0: found, groups, index } of source.matchAll(CODE_OR_FORMULA)) {
    if (groups?.code !== undefined) continue;
    result += masked.slice(end, index) + "a".repeat(found.length);
    end = index + found.length;
  }
  return result + masked.slice(end);
}
