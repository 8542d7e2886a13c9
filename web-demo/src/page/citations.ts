/** Turns markers such as `[1]` or `[1, 3]` in a rendered answer into links to the listed sources. */

/** A backslash before it says that the bracket is meant as such. */
const MARKER = /(\\?)\[(\d{1,2}(?:\s*,\s*\d{1,2})*)\]/g;

/** Changes `root` in place. Only numbers in `known` are linked: any other bracket is just text. */
export function linkCitations(
  root: ParentNode & Node,
  known: ReadonlySet<number>,
  idOf: (n: number) => string,
): void {
  if (known.size === 0) return;
  const walker = document.createTreeWalker(root, NodeFilter.SHOW_TEXT);
  const texts: Text[] = [];
  while (walker.nextNode()) {
    const text = walker.currentNode as Text;
    // Brackets in code and formulas are their own, and a link inside a link would be invalid.
    if (!text.parentElement?.closest("code, pre, span, a")) texts.push(text);
  }
  for (const text of texts) {
    const parts = split(text.data, known, idOf);
    if (parts.length > 1) text.replaceWith(...parts);
  }
}

/** The numbers that the links in `root` lead to. */
export function citedNumbers(root: ParentNode): ReadonlySet<number> {
  return new Set(
    [...root.querySelectorAll("a.citation")].map(({ textContent }) => Number(textContent)),
  );
}

function split(
  text: string,
  known: ReadonlySet<number>,
  idOf: (n: number) => string,
): (string | HTMLElement)[] {
  const parts: (string | HTMLElement)[] = [];
  let end = 0;
  for (const match of text.matchAll(MARKER)) {
    const [, escaped, list = ""] = match;
    const numbers = list.split(",").map(Number);
    if (escaped || !numbers.every((n) => known.has(n))) continue;
    parts.push(text.slice(end, match.index), ...numbers.map((n) => citation(n, idOf(n))));
    end = match.index + match[0].length;
  }
  return [...parts, text.slice(end)];
}

function citation(n: number, id: string): HTMLElement {
  const link = document.createElement("a");
  link.className = "citation";
  link.href = `#${id}`;
  link.textContent = String(n);
  link.setAttribute("aria-label", `Source ${n}`);
  return link;
}
