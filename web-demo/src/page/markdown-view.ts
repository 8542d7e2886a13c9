/**
 * The text of one answer on the screen, block by block. While it grows, only the blocks that changed are
 * rendered again, in practice the last one: long answers stay cheap, and a selection above stays selected.
 *
 * A block whose markup fails, or would take too long, is shown as it was written; the others are as ever.
 */
import { splitBlocks } from "./blocks";
import { TooMuchMarkup } from "./bounded-lexer";
import { type Known, linkCitations } from "./citations";
import { copyButton } from "./copy-button";
import { make } from "./element";
import { throwLater } from "./faults";
import { definedLinks, type Links, renderBlock } from "./markdown";
import { english, type Say } from "./say";

interface Block {
  readonly text: string;
  /** The targets of reference links that it defines. */
  links: Links;
  /** Its markup failed. It will not do better with more text behind it. */
  plain: boolean;
  /** Whether the screen has it as it is. */
  shown: boolean;
}

export class MarkdownView {
  readonly root = make("div", { className: "markdown", dir: "auto" });
  readonly #say: Say;
  #blocks: Block[] = [];
  #targets = "";
  #sources = 0;

  constructor(say: Say = english) {
    this.#say = say;
  }

  /**
   * Says whether everything is shown as it should be. What cannot be rendered before `until`, in the time
   * of `performance.now()`, waits for the next call; new blocks are shown as they were written until then.
   */
  show(
    text: string,
    known: Known,
    idOf: (n: number) => string,
    until = Number.POSITIVE_INFINITY,
  ): boolean {
    this.#blocks = splitBlocks(text).map((piece, at) => successor(this.#blocks[at], piece));
    const links = allLinks(this.#blocks);
    const targets = JSON.stringify(links);
    // A link definition or a list of sources may change the meaning of any block.
    const stale = targets !== this.#targets || known.size !== this.#sources;
    this.#targets = targets;
    this.#sources = known.size;
    this.#blocks.forEach((block, at) => {
      if (stale && !block.plain) block.shown = false;
      if (block.shown) return;
      const place = this.root.children[at] ?? this.root.appendChild(make("div"));
      const late = performance.now() > until;
      if (late && place.childElementCount > 0) return;
      place.replaceChildren(
        late ? asWritten(block.text) : this.#rendered(block, links, known, idOf),
      );
      block.shown = !late;
    });
    while (this.root.children.length > this.#blocks.length) this.root.lastElementChild?.remove();
    return this.#blocks.every(({ shown }) => shown);
  }

  #rendered(block: Block, links: Links, known: Known, idOf: (n: number) => string): Node {
    const content = attempt(block, () => {
      const fragment = renderBlock(block.text, links);
      linkCitations(fragment, known, idOf);
      for (const code of fragment.querySelectorAll("pre")) frameCode(code, this.#say);
      return fragment;
    });
    return content ?? asWritten(block.text);
  }
}

/** The block that now stands where `old` stood. */
function successor(old: Block | undefined, text: string): Block {
  if (old?.text === text) return old;
  const block = { text, links: {}, plain: false, shown: false };
  if (old?.plain && text.startsWith(old.text)) block.plain = true;
  else
    attempt(block, () => {
      block.links = definedLinks(text);
    });
  return block;
}

/** Of two definitions the first one counts. */
function allLinks(blocks: readonly Block[]): Links {
  return Object.assign(Object.create(null), ...blocks.map(({ links }) => links).reverse());
}

/** Whatever is thrown costs the markup of this block, and nothing else. */
function attempt<Result>(block: Block, step: () => Result): Result | null {
  if (block.plain) return null;
  try {
    return step();
  } catch (error) {
    block.plain = true;
    // A bound was meant to hold; anything else is a fault that has to be seen.
    if (!(error instanceof TooMuchMarkup)) throwLater(error);
    return null;
  }
}

function asWritten(text: string): HTMLElement {
  return make("p", { className: "as-written", textContent: text });
}

function frameCode(code: HTMLPreElement, say: Say): void {
  const source = code.textContent ?? "";
  const frame = make("div", { className: "code" });
  code.replaceWith(frame);
  frame.append(
    code,
    copyButton(say("Copy code"), () => source, say),
  );
  // Wide code scrolls inside its box, which a keyboard has to be able to reach.
  code.tabIndex = 0;
}
