/**
 * Markdown to safe DOM.
 *
 * The text comes from a model that has read documents of strangers, so nothing in it is trusted: what it is written in is
 * taken apart within bounds, and elements are made of its parts; see `markup.ts`.
 */
import { type Links, Marked, Tokenizer } from "marked";
import { BoundedLexer } from "./bounded-lexer";
import { markup } from "./markup";
import { keepMath } from "./math";

export type { Links };

/** The beginning of a link definition whose label can be read as a citation: `[1]: address`. */
const CITATION_DEFINITION = /^ {0,3}\[[\s\d,]+\]:/;
/** With a line of its own below it, in UTF-16 code units. */
const LONGEST_HEADING = 1_000;
/** Where some block may begin with a link definition. */
const DEFINITION = /^[ \t>]*\[[^\]\n]+\]:/m;

const marked = new Marked(keepMath, {
  gfm: true,
  tokenizer: {
    // `undefined`: no definition, so a line of text. It would turn every `[1]` into a link elsewhere.
    def: (source) => (CITATION_DEFINITION.test(source) ? undefined : false),
    // It would look for the line below a heading at the end of the text, from each line anew.
    lheading(source) {
      return Tokenizer.prototype.lheading.call(this, source.slice(0, LONGEST_HEADING));
    },
  },
});

/** The targets of the reference links that a block defines; other blocks may use them. */
export function definedLinks(block: string): Links {
  if (!DEFINITION.test(block)) return {};
  return new BoundedLexer(marked.defaults, {}).definitions(block);
}

/**
 * One block, or a few that belong together; `links` are those of the whole text. Throws `TooMuchMarkup`
 * when it would take too long.
 */
export function renderBlock(block: string, links: Links): DocumentFragment {
  return markup(new BoundedLexer(marked.defaults, links).lex(block));
}
