/**
 * Tells screen readers that an answer waits in line: where, when that begins, and once more when it is
 * next. All that lies between can be read beside the answer.
 */
import { liveRun, type RivuletClient } from "@rivulet/client";
import type { StatusVoice } from "./status-voice";

const TOPIC = "turn";

export class TurnVoice {
  readonly #voice: StatusVoice;
  /** What was given to the voice last; `null`: nothing waits. */
  #told: string | null = null;

  constructor(client: RivuletClient, voice: StatusVoice) {
    this.#voice = voice;
    client.on("change", () => {
      const run = liveRun(client.conversation);
      if (run?.phase === "queued") this.#tell(spoken(run.position), run.position === 1);
      else this.#over();
    });
  }

  #tell(text: string, next: boolean): void {
    if (text === this.#told) return;
    const heard = this.#told !== null && this.#voice.said(TOPIC) === this.#told;
    if (heard && !next) return;
    this.#told = text;
    this.#voice.say(TOPIC, text);
  }

  #over(): void {
    if (this.#told === null) return;
    this.#told = null;
    this.#voice.takeBack(TOPIC);
  }
}

function spoken(position: number | undefined): string {
  if (position === 1) return "The answer is next in line.";
  const place = position === undefined ? "" : `: ${position - 1} before it`;
  return `The answer waits for its turn${place}.`;
}
