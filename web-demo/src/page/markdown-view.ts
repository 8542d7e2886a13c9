/**
 * The text of one answer on the screen. While it grows, only the blocks that changed are rendered
 * again, in practice the last one: long answers stay cheap, and a selection above stays selected.
 */
import { linkCitations } from "./citations";
import { copyButton } from "./copy-button";
import { make } from "./element";
import { readBlocks, renderBlock } from "./markdown";

export class MarkdownView {
  readonly root = make("div", { className: "markdown", dir: "auto" });
  #shown: string[] = [];
  #links = "";
  #sources = 0;

  show(text: string, known: ReadonlySet<number>, idOf: (n: number) => string): void {
    const { blocks, links } = readBlocks(text);
    // A link definition or a list of sources may change the meaning of any block.
    if (links !== this.#links || known.size !== this.#sources) this.#shown = [];
    this.#links = links;
    this.#sources = known.size;
    blocks.forEach((block, at) => {
      if (this.#shown[at] === block.raw) return;
      const content = renderBlock(block);
      linkCitations(content, known, idOf);
      for (const code of content.querySelectorAll("pre")) frameCode(code);
      const place = this.root.children[at] ?? this.root.appendChild(make("div"));
      place.replaceChildren(content);
    });
    while (this.root.children.length > blocks.length) this.root.lastElementChild?.remove();
    this.#shown = blocks.map(({ raw }) => raw);
  }
}

function frameCode(code: HTMLPreElement): void {
  const source = code.textContent ?? "";
  const frame = make("div", { className: "code" });
  code.replaceWith(frame);
  frame.append(
    code,
    copyButton("Copy code", () => source),
  );
  // Wide code scrolls inside its box, which a keyboard has to be able to reach.
  code.tabIndex = 0;
}
