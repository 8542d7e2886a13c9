/** One message of the user: plain text, as it was typed. */
import { make } from "./element";

export type Delivery = "sent" | "sending" | "waiting";

const DELIVERY: Readonly<Record<Delivery, string>> = {
  sent: "",
  sending: "Sending…",
  waiting: "Waiting for the connection…",
};

export class QuestionView {
  readonly root = make("article", { className: "message question" });
  readonly #text = make("p", { className: "question-text", dir: "auto" });
  readonly #delivery = make("p", { className: "delivery" });

  constructor() {
    this.root.setAttribute("aria-label", "You");
    this.root.append(this.#text, this.#delivery);
  }

  show(text: string, delivery: Delivery): void {
    this.#text.textContent = text;
    this.#delivery.textContent = DELIVERY[delivery];
    this.#delivery.hidden = delivery === "sent";
  }
}
