/** A file on its way to the gateway. */
import { isUnderWay, type Transfer, type TransferState } from "../../documents/uploads";
import { transferText } from "../../documents/words";
import { make } from "../element";

export interface TransferEvents {
  retry(): void;
  drop(): void;
}

export class TransferRow {
  readonly root = make("li", { className: "document" });
  readonly #text = make("p", { className: "document-facts" });
  readonly #bar = make("progress", { className: "document-progress" });
  readonly #retry = make("button", { type: "button", className: "copy", textContent: "Try again" });
  #shown: TransferState | null = null;
  readonly #drop = make("button", { type: "button", className: "copy" });

  constructor(transfer: Transfer, events: TransferEvents) {
    const { name, file } = transfer;
    this.#bar.max = Math.max(1, file.size);
    this.#bar.setAttribute("aria-label", `Sending ${name}`);
    const id = `file-${transfer.id}`;
    for (const button of [this.#retry, this.#drop]) button.setAttribute("aria-describedby", id);
    this.#retry.addEventListener("click", () => events.retry());
    this.#drop.addEventListener("click", () => events.drop());
    const title = make("span", { id, className: "document-name", textContent: name, dir: "auto" });
    const actions = make("span", { className: "document-actions" }, this.#retry, this.#drop);
    this.root.append(
      make("div", { className: "document-head" }, title, actions),
      this.#text,
      this.#bar,
    );
  }

  show({ state, file }: Transfer): void {
    if (state === this.#shown) return;
    this.#shown = state;
    this.root.dataset.mood = state.name === "failed" ? "bad" : "work";
    this.#text.textContent = transferText(state, file.size);
    this.#bar.hidden = state.name !== "sending";
    if (state.name === "sending") this.#bar.value = state.sent;
    this.#retry.hidden = !(state.name === "failed" && state.mendable);
    this.#drop.textContent = isUnderWay(state) ? "Cancel" : "Dismiss";
  }
}
