/**
 * Markdown to safe DOM.
 *
 * The text comes from a model that has read documents of strangers, so nothing in it is trusted: what it is written in is
 * taken apart within bounds, and elements are made of its parts; see `markup.ts`.
 */
import { defaults, type Links, type MarkedOptions, Tokenizer, type Tokens } from "marked";
import { BoundedLexer } from "./bounded-lexer";
import { markup } from "./markup";
import { MATH, mark } from "./math";

export type { Links };

/** The beginning of a link definition whose label can be read as a citation: `[1]: address`. */
const CITATION_DEFINITION = /^ {0,3}\[[\s\d,]+\]:/;
/** With a line of its own below it, in UTF-16 code units. */
const LONGEST_HEADING = 1_000;
/** Where some block may begin with a link definition. */
const DEFINITION = /^[ \t>]*\[[^\]\n]+\]:/m;

class Rules extends Tokenizer {
  /** A number is no definition, but a line of text: it would turn every `[1]` into a link elsewhere. */
  override def(source: string): Tokens.Def | undefined {
    return CITATION_DEFINITION.test(source) ? undefined : super.def(source);
  }

  /** It would look for the line below a heading at the end of the text, from each line anew. */
  override lheading(source: string): Tokens.Heading | undefined {
    return super.lheading(source.slice(0, LONGEST_HEADING));
  }

  override escape(source: string): Tokens.Escape | undefined {
    return mark(source) ?? super.escape(source);
  }
}

const RULES: MarkedOptions = { ...defaults, gfm: true, tokenizer: new Rules(), extensions: MATH };

/** The targets of the reference links that a block defines; other blocks may use them. */
export function definedLinks(block: string): Links {
  if (!DEFINITION.test(block)) return {};
  return new BoundedLexer(RULES, {}).definitions(block);
}

/**
 * One block, or a few that belong together; `links` are those of the whole text. Throws `TooMuchMarkup`
 * when it would take too long.
 */
export function renderBlock(block: string, links: Links): DocumentFragment {
  return markup(new BoundedLexer(RULES, links).lex(block));
}
