/**
 * Markdown to safe DOM.
 *
 * The text comes from a model that has read documents of strangers, so nothing in it is trusted. Two
 * layers: the renderer makes no raw HTML, no images and only plain links; the sanitiser then lets
 * through a short list of elements, whatever the renderer did.
 */
import DOMPurify from "dompurify";
import { type Links, Marked, Tokenizer } from "marked";
import { BoundedLexer } from "./bounded-lexer";
import { keepMath } from "./math";

export type { Links };

const SAFE_PROTOCOLS = new Set(["http:", "https:", "mailto:"]);

/** What can be read as a citation, with or without its brackets. */
const CITATION = /^\s*\[?\s*(\d{1,2}(?:\s*,\s*\d{1,2})*)\s*\]?\s*$/;
/** The beginning of a link definition whose label can be read as a citation: `[1]: address`. */
const CITATION_DEFINITION = /^ {0,3}\[[\s\d,]+\]:/;
/** With a line of its own below it, in UTF-16 code units. */
const LONGEST_HEADING = 1_000;
/** Where some block may begin with a link definition. */
const DEFINITION = /^[ \t>]*\[[^\]\n]+\]:/m;

const marked = new Marked(keepMath(formula), {
  gfm: true,
  tokenizer: {
    // `undefined`: no definition, so a line of text. It would turn every `[1]` into a link elsewhere.
    def: (source) => (CITATION_DEFINITION.test(source) ? undefined : false),
    // It would look for the line below a heading at the end of the text, from each line anew.
    lheading(source) {
      return Tokenizer.prototype.lheading.call(this, source.slice(0, LONGEST_HEADING));
    },
  },
  renderer: {
    html: ({ text }) => escapeHtml(text),
    link({ href, tokens }) {
      return anchor(href, this.parser.parseInline(tokens));
    },
    // An image would be fetched at once and tell its server who reads what: a link leaves the choice.
    image: ({ href, text }) => anchor(href, escapeHtml(text || "image")),
    heading({ tokens, depth }) {
      // The page's own headings end at level 3.
      const level = Math.min(6, depth + 3);
      return `<h${level}>${this.parser.parseInline(tokens)}</h${level}>`;
    },
    checkbox: ({ checked }) => (checked ? "☑ " : "☐ "),
  },
});

const ALLOWED_TAGS = [
  ...["p", "br", "hr", "strong", "em", "del", "a", "blockquote", "ul", "ol", "li", "pre", "code"],
  // Only of formulas: the text itself makes no HTML.
  "span",
  ...["h1", "h2", "h3", "h4", "h5", "h6", "table", "thead", "tbody", "tr", "th", "td"],
];

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
  const tokens = new BoundedLexer(marked.defaults, links).lex(block);
  const fragment = DOMPurify.sanitize(marked.parser(tokens), {
    ALLOWED_TAGS,
    ALLOWED_ATTR: ["href", "align", "start", "class"],
    // All others are taken for addresses, and only those of the kinds below stay.
    ADD_URI_SAFE_ATTR: ["align", "start"],
    ALLOW_DATA_ATTR: false,
    ALLOW_ARIA_ATTR: false,
    ALLOWED_URI_REGEXP: /^(?:https?|mailto):/i,
    RETURN_DOM_FRAGMENT: true,
  });
  for (const link of fragment.querySelectorAll("a")) {
    // A number stands for a source of the gateway, never for an address that the text came with.
    const numbers = CITATION.exec(link.textContent ?? "")?.[1];
    if (numbers !== undefined) {
      link.replaceWith(`[${numbers}]`);
      continue;
    }
    link.target = "_blank";
    link.rel = "noopener noreferrer nofollow";
  }
  for (const code of fragment.querySelectorAll("pre > code")) {
    const language = /^language-(.+)/.exec(code.className)?.[1] ?? "";
    code.parentElement?.setAttribute("data-language", language);
  }
  // The language of code was the only class wanted; a text must not borrow the page's own looks.
  for (const styled of fragment.querySelectorAll("[class]")) styled.removeAttribute("class");
  return fragment;
}

/** The address when it is one that may be followed; relative and active addresses are not. */
export function safeHref(href: string): string | null {
  try {
    const url = new URL(href);
    return SAFE_PROTOCOLS.has(url.protocol) ? url.href : null;
  } catch {
    return null;
  }
}

function anchor(href: string, label: string): string {
  const safe = safeHref(href);
  return safe === null ? label : `<a href="${escapeHtml(safe)}">${label}</a>`;
}

/** Breaks of lines count in a formula, and a number in brackets is no citation: see the style sheet. */
function formula(raw: string): string {
  return `<span>${escapeHtml(raw)}</span>`;
}

function escapeHtml(text: string): string {
  return text.replace(/[&<>"']/g, (char) => `&#${char.charCodeAt(0)};`);
}
