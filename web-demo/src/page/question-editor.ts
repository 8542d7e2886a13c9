/** The box in which a message that was sent already is changed. */
import { make } from "./element";

export interface EditorEvents {
  save(text: string): void;
  cancel(): void;
  /** The text was changed. */
  input(): void;
}

const READY = "Enter sends it again; what came after it is replaced.";
const NOT_NOW = "Wait for the answer, or stop it first.";

export class QuestionEditor {
  readonly root = make("form", { className: "question-editor" });
  readonly #events: EditorEvents;
  readonly #before: string;
  readonly #text: HTMLTextAreaElement;
  readonly #hint = make("span", { className: "question-editor-hint" });
  readonly #save = make("button", { className: "button button-strong", textContent: "Send" });
  #enabled = true;

  /** `before`: the text as it was sent; `draft`: the text to begin with. */
  constructor(before: string, draft: string, events: EditorEvents) {
    this.#before = before;
    this.#events = events;
    this.#text = make("textarea", { value: draft, rows: 1, dir: "auto" });
    this.#text.setAttribute("aria-label", "Edit your message");
    const cancel = make("button", { type: "button", className: "button", textContent: "Cancel" });
    cancel.addEventListener("click", () => events.cancel());
    const buttons = make(
      "div",
      { className: "question-editor-row" },
      this.#hint,
      cancel,
      this.#save,
    );
    this.root.append(this.#text, buttons);
    this.root.addEventListener("submit", (event) => {
      event.preventDefault();
      this.#submit();
    });
    this.#text.addEventListener("input", () => {
      events.input();
      this.#measure();
    });
    this.root.addEventListener("keydown", (event) => this.#onKey(event));
    this.enable(true);
  }

  /** What was changed and not sent. */
  get draft(): string | null {
    return this.#text.value === this.#before ? null : this.#text.value;
  }

  /** To be called when it is on the page. */
  begin(): void {
    this.#measure();
    this.#text.focus();
    this.#text.setSelectionRange(this.#text.value.length, this.#text.value.length);
  }

  /** While an answer is being written nothing can be sent from here. */
  enable(enabled: boolean): void {
    this.#enabled = enabled;
    this.#hint.textContent = enabled ? READY : NOT_NOW;
    this.#save.disabled = !this.#sendable();
  }

  #sendable(): boolean {
    return this.#enabled && this.#text.value.trim() !== "";
  }

  #submit(): void {
    if (!this.#sendable()) return;
    const text = this.#text.value.trim();
    if (text === this.#before.trim()) this.#events.cancel();
    else this.#events.save(text);
  }

  #onKey(event: KeyboardEvent): void {
    // `isComposing`: the key belongs to an input method. 229: the same in Safari.
    if (event.isComposing || event.keyCode === 229) return;
    if (event.key === "Escape") {
      // It must not stop an answer as well.
      event.stopPropagation();
      this.#events.cancel();
    } else if (event.key === "Enter" && !event.shiftKey && event.target === this.#text) {
      event.preventDefault();
      this.#submit();
    }
  }

  /** As high as its content; the style sheet sets the bounds. */
  #measure(): void {
    this.#text.style.height = "auto";
    this.#text.style.height = `${this.#text.scrollHeight}px`;
    this.#save.disabled = !this.#sendable();
  }
}
