/** Files that are dropped: anywhere on the page, for what misses its place would be opened by the browser. */
import { byId } from "../element";
import { droppedFiles, type Found } from "./dropped-files";

/** Where they would go. */
export interface DropTarget {
  collection: string;
  readOnly: boolean;
  /** Tables go to the conversation. */
  tables: boolean;
}

export class DropZone {
  readonly #curtain = byId("drop-curtain");
  readonly #text = byId("drop-curtain-text");
  readonly #target: () => DropTarget;

  constructor(target: () => DropTarget, dropped: (found: Found) => void) {
    this.#target = target;
    // Entered and left are told of every element below, so the last word counts: over, or not any more.
    addEventListener("dragenter", (event) => this.#over(event));
    addEventListener("dragover", (event) => this.#over(event));
    addEventListener("dragleave", ({ relatedTarget }) => {
      if (relatedTarget === null) this.#show(false);
    });
    addEventListener("drop", (event) => {
      this.#show(false);
      if (!hasFiles(event) || !event.dataTransfer) return;
      event.preventDefault();
      void droppedFiles(event.dataTransfer).then(dropped);
    });
  }

  #over(event: DragEvent): void {
    if (!hasFiles(event) || !event.dataTransfer) return;
    event.preventDefault();
    const { readOnly, tables } = this.#target();
    event.dataTransfer.dropEffect = readOnly && !tables ? "none" : "copy";
    this.#show(true);
  }

  #show(over: boolean): void {
    if (this.#curtain.hidden !== over) return;
    this.#curtain.hidden = !over;
    const { collection, readOnly, tables } = this.#target();
    const documents = readOnly
      ? `“${collection}” can only be read`
      : `Drop to add to “${collection}”`;
    const text = tables ? `Drop tables to ask about them. Documents: ${documents}` : documents;
    this.#text.textContent = over ? text : "";
  }
}

const hasFiles = ({ dataTransfer }: DragEvent): boolean =>
  dataTransfer?.types.includes("Files") ?? false;
