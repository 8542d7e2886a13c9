/** What the reader thinks of an answer: a thumb, and a few words for whoever wants to. */
import type { Feedback } from "@rivulet/client";
import { icon, make } from "./element";
import { english, type Say } from "./say";

export type TellFeedback = (value: Feedback["value"], comment?: string) => void;

const COMMENT_CHARS = 1_000;
const THUMB =
  "M7 10v10H4V10h3Zm0 0 4-7c1.6 0 2.6 1.2 2.3 2.8L12.8 9H18a2 2 0 0 1 2 2.4l-1.2 7A2 2 0 0 1 16.8 20H7";

export class FeedbackView {
  /** The thumbs, for the row of buttons. */
  readonly thumbs = make("span", { className: "thumbs" });
  /** Below that row: the words. */
  readonly root = make("div", { className: "feedback", hidden: true });
  readonly #tell: TellFeedback;
  readonly #good: HTMLButtonElement;
  readonly #bad: HTMLButtonElement;
  readonly #comment = make("input", {
    type: "text",
    maxLength: COMMENT_CHARS,
    autocomplete: "off",
  });
  readonly #form: HTMLFormElement;
  readonly #words = make("p", { className: "feedback-words", dir: "auto", hidden: true });
  #feedback: Feedback | undefined;

  constructor(tell: TellFeedback, say: Say = english) {
    this.#tell = tell;
    this.#good = thumb(say("Good answer"), "thumb");
    this.#bad = thumb(say("Bad answer"), "thumb thumb-down");
    this.#comment.placeholder = say("Say more, if you like");
    this.#comment.setAttribute("aria-label", say("Comment on this answer"));
    const send = make("button", { className: "button", textContent: say("Add comment") });
    this.#form = make("form", { className: "feedback-form", hidden: true }, this.#comment, send);
    this.#form.addEventListener("submit", (event) => {
      event.preventDefault();
      this.#submit();
    });
    this.#form.addEventListener("keydown", (event) => {
      if (event.key !== "Escape" || event.isComposing) return;
      // It must not stop an answer as well.
      event.stopPropagation();
      this.#fold();
    });
    this.#good.addEventListener("click", () => this.#pressed(1));
    this.#bad.addEventListener("click", () => this.#pressed(-1));
    this.thumbs.append(this.#good, this.#bad);
    this.root.append(this.#words, this.#form);
  }

  show(feedback: Feedback | undefined): void {
    this.#feedback = feedback;
    this.#good.setAttribute("aria-pressed", String(feedback?.value === 1));
    this.#bad.setAttribute("aria-pressed", String(feedback?.value === -1));
    this.#words.textContent = feedback?.comment ?? "";
    this.#arrange();
  }

  /** The thumb that is pressed already opens and closes the box for words. */
  #pressed(value: Feedback["value"]): void {
    const again = this.#feedback?.value === value;
    this.#form.hidden = again && !this.#form.hidden;
    if (!again) this.#tell(value, this.#feedback?.comment);
    this.#comment.value = this.#feedback?.comment ?? "";
    this.#arrange();
  }

  #submit(): void {
    const value = this.#feedback?.value;
    if (value === undefined) return;
    this.#tell(value, this.#comment.value.trim() || undefined);
    this.#fold();
  }

  #fold(): void {
    this.#form.hidden = true;
    this.#arrange();
    (this.#feedback?.value === -1 ? this.#bad : this.#good).focus();
  }

  #arrange(): void {
    this.#words.hidden = !this.#form.hidden || this.#words.textContent === "";
    this.root.hidden = this.#words.hidden && this.#form.hidden;
  }
}

function thumb(label: string, className: string): HTMLButtonElement {
  const button = make("button", { type: "button", className, title: label }, icon(THUMB));
  button.setAttribute("aria-label", label);
  return button;
}
