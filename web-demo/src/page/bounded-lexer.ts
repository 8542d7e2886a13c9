/**
 * Marked's lexer with bounds. What is nested too deep would exhaust the stack, in the parser or in the
 * browser; and some marks, densely set, take a time that grows with the square of the text.
 */
import { Hooks, Lexer, type Links, type MarkedOptions, type Token, type TokensList } from "marked";
import { maskMath } from "./math";

/** In UTF-16 code units. */
const LONGEST = 131_072;
const MOST_LINES = 5_000;
/** Quotes and lists within each other, and emphasis and links within each other. */
const DEEPEST = 16;
/** Punctuation times length of a stretch of inline text: each may be looked for another end of. */
const INLINE_WORK = 32_000_000;
/** What a block may consist of: paragraphs, items, cells, links and pieces of text. */
const MOST = 10_000;

/** A line on which as many quotes and lists begin. */
const TOO_DEEP = new RegExp(`^(?:[ \\t]*(?:>|(?:[-+*]|\\d{1,9}[.)])(?=[ \\t]))){${DEEPEST}}`, "m");
const MARK = /[!-/:-@[-`{-~]/g;

/** The markup of a block would take too long. A lexer that has thrown this is of no more use. */
export class TooMuchMarkup extends Error {
  override readonly name = "TooMuchMarkup";
}

export class BoundedLexer extends Lexer {
  #depth = 0;
  #made = 0;
  #source = "";

  /** `links`: the targets of reference links that were defined elsewhere in the text. */
  constructor(options: MarkedOptions, links: Links) {
    super({ ...options });
    this.tokens.links = Object.assign(Object.create(null), links);
    const hooks = new Hooks();
    hooks.emStrongMask = (masked) => maskMath(this.#source, masked);
    this.options.hooks = hooks;
  }

  override lex(source: string): TokensList {
    check(source);
    return super.lex(source);
  }

  /** The link definitions of a text, without a look at what stands within its lines. */
  definitions(source: string): Links {
    check(source);
    this.blockTokens(source, this.tokens);
    return this.tokens.links;
  }

  override blockTokens(source: string, tokens?: Token[], clipped?: boolean): Token[];
  override blockTokens(source: string, tokens?: TokensList, clipped?: boolean): TokensList;
  override blockTokens(source: string, tokens: Token[] = [], clipped = false): Token[] {
    return this.#counted(() => super.blockTokens(source, tokens, clipped));
  }

  override inlineTokens(source: string, tokens: Token[] = []): Token[] {
    const marks = source.match(MARK)?.length ?? 0;
    if (marks * source.length > INLINE_WORK) throw new TooMuchMarkup("too many marks");
    this.#source = source;
    return this.#counted(() => super.inlineTokens(source, tokens));
  }

  #counted(step: () => Token[]): Token[] {
    if (this.#depth === DEEPEST) throw new TooMuchMarkup("too deep");
    this.#depth++;
    const made = step();
    this.#depth--;
    // One more for the item or cell that they are in.
    this.#made += made.length + 1;
    if (this.#made > MOST) throw new TooMuchMarkup("too many parts");
    return made;
  }
}

/** What the parser would find out as well, but late. */
function check(source: string): void {
  if (source.length > LONGEST) throw new TooMuchMarkup("too long");
  if (source.split("\n", MOST_LINES + 1).length > MOST_LINES)
    throw new TooMuchMarkup("too many lines");
  if (TOO_DEEP.test(source)) throw new TooMuchMarkup("too deep");
}
