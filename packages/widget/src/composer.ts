/** The box for questions, with its buttons. */
import { liveRun, type RivuletClient } from "@rivulet/client";
import type { Say } from "../../../web-demo/src/page/say";
import { button, make, part } from "./parts";

export class Composer {
  readonly root = part(make("form", { className: "composer" }), "composer");
  readonly text = part(make("textarea", { rows: 1 }), "input");
  readonly #client: RivuletClient;
  readonly #ask: (text: string) => void;
  readonly #send: HTMLButtonElement;
  readonly #stop: HTMLButtonElement;
  #limit = Number.POSITIVE_INFINITY;

  constructor(client: RivuletClient, say: Say, ask: (text: string) => void) {
    this.#client = client;
    this.#ask = ask;
    this.text.placeholder = say("Ask a question");
    this.text.ariaLabel = say("Message");
    this.#send = part(make("button", { className: "button button-strong" }, say("Send")), "send");
    const stop = button(say("Stop"), "button", () => {
      client.stop();
      this.focus();
    });
    this.#stop = part(stop, "stop");
    this.root.append(this.text, this.#stop, this.#send);
    this.root.addEventListener("submit", (event) => {
      event.preventDefault();
      this.#submit();
    });
    this.text.addEventListener("keydown", (event) => {
      // `isComposing`, and 229 in Safari: this Enter chooses a word in an input method.
      const composing = event.isComposing || event.keyCode === 229;
      if (event.key !== "Enter" || event.shiftKey || composing) return;
      event.preventDefault();
      this.#submit();
    });
    this.text.addEventListener("input", () => {
      client.typing(this.text.value.trim() !== "");
      this.#grow();
    });
    client.on("welcome", ({ limits }) => {
      this.#limit = limits?.text_chars ?? Number.POSITIVE_INFINITY;
      this.paint();
    });
  }

  paint(): void {
    this.#stop.hidden = liveRun(this.#client.conversation) === null;
    this.#send.disabled = !this.#isSendable();
    this.text.ariaInvalid = String(this.#isTooLong());
  }

  focus(): void {
    this.text.focus();
  }

  /** What was being written is of somebody else. */
  clear(): void {
    this.text.value = "";
    this.#grow();
  }

  /** Gives a refused text back, below what was typed meanwhile. */
  restore(text: string): void {
    const typed = this.text.value;
    this.text.value = typed.trim() === "" ? text : `${typed}\n${text}`;
    this.#grow();
  }

  #submit(): void {
    if (!this.#isSendable()) return;
    const text = this.text.value.trim();
    // Emptied first: a text that is refused at once comes back into the box.
    this.text.value = "";
    this.#ask(text);
    this.#grow();
    this.focus();
  }

  #isSendable(): boolean {
    const closed = this.#client.state.name === "closed";
    return !closed && this.text.value.trim() !== "" && !this.#isTooLong();
  }

  /** In characters as people count them, near enough. */
  #isTooLong(): boolean {
    return [...this.text.value].length > this.#limit;
  }

  /** As high as its content; the style sheet sets the bounds. */
  #grow(): void {
    const { style } = this.text;
    style.height = "auto";
    const { scrollHeight, offsetHeight, clientHeight } = this.text;
    style.height = `${scrollHeight + offsetHeight - clientHeight}px`;
    this.paint();
  }
}
