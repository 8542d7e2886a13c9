/** Tells of each answer once, when it is over and its text has been checked. */
import type { Conversation, Message, RivuletClient } from "@rivulet/client";

export class Answers {
  /** Those that were seen being written; of a history that is only loaded nothing is told. */
  readonly #pending = new Set<string>();
  readonly #tell: (answer: Message) => void;

  constructor(client: RivuletClient, tell: (answer: Message) => void) {
    this.#tell = tell;
    client.on("run.start", ({ message }) => this.#pending.add(message));
    client.on("snapshot", ({ runs }) => {
      for (const { message } of runs) this.#pending.add(message);
    });
    client.on("change", () => this.#look(client.conversation));
  }

  #look({ messages, runs }: Conversation): void {
    for (const id of this.#pending) {
      const answer = messages.findLast((message) => message.id === id);
      // Its run is there until the text is known to be the gateway's. One that ended without a connection comes in a
      // snapshot, without its run; one of a conversation that was left does not come at all.
      if (answer?.run !== undefined && runs.has(answer.run)) continue;
      this.#pending.delete(id);
      if (answer) this.#tell(answer);
    }
  }
}
