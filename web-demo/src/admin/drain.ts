/** The end of the gateway, asked for twice. */
import { problemText } from "../documents/problem";
import { confirm } from "../page/documents/confirmation";
import { byId } from "../page/element";
import type { AdminApi } from "./api";
import type { Stats } from "./wire";

export class Drain {
  readonly #button = byId<HTMLButtonElement>("drain");
  readonly #ask = byId("drain-ask");
  readonly #say: (text: string) => void;
  readonly #api: AdminApi;

  constructor(api: AdminApi, say: (text: string) => void) {
    this.#api = api;
    this.#say = say;
    this.#button.addEventListener("click", () => this.#question());
  }

  /** Only who administers all may, and where it must be known who that is. */
  show({ draining, gateway }: Stats, known: boolean): void {
    this.#button.hidden = gateway === null || !known;
    this.#button.disabled = draining;
    this.#button.textContent = draining ? "Draining…" : "Drain";
  }

  #question(): void {
    confirm(this.#ask, {
      question: "End this gateway?",
      consequence:
        "It takes no new work, lets answers finish, tells every page to come back later, and then its process ends. " +
        "Whatever started it decides whether another one follows.",
      yes: "Drain and end",
      no: "Let it run",
      confirmed: () => void this.#drain(),
      kept: () => this.#button.focus(),
    });
  }

  async #drain(): Promise<void> {
    this.#button.disabled = true;
    try {
      await this.#api.drain();
      this.#say("The gateway drains. Its process ends when the answers have finished.");
    } catch (error) {
      this.#button.disabled = false;
      this.#say(problemText(error));
    }
  }
}
