/** Tells screen readers how a load of documents fares: when it begins and when it is over, not in between. */
import { counted } from "../../documents/words";
import type { StatusVoice } from "../status-voice";

const TOPIC = "documents";

export class DocumentsVoice {
  readonly #voice: StatusVoice;
  #ready = 0;
  #failed = 0;
  #under = false;

  constructor(voice: StatusVoice) {
    this.#voice = voice;
  }

  sending(count: number): void {
    this.#under = true;
    this.#voice.say(TOPIC, `Sending ${counted(count, "document")}.`);
  }

  /** One is over. */
  ended(well: boolean): void {
    if (well) this.#ready++;
    else this.#failed++;
  }

  /** Nothing is left to be done. */
  calm(): void {
    if (!this.#under) return;
    this.#under = false;
    const ready = this.#ready > 0 && `${counted(this.#ready, "document")} ready`;
    const failed = this.#failed > 0 && `${this.#failed} not taken`;
    const words = [ready, failed].filter(Boolean).join(", ");
    this.#ready = this.#failed = 0;
    if (words !== "") this.#voice.say(TOPIC, `${words}.`);
  }

  said(words: string): void {
    this.#voice.say(TOPIC, words);
  }
}
