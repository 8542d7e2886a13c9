/** Takes what somebody decides to the gateway, and a refusal back to the card that it came from. */
import type { Approval, Decision, ErrorFrame, RivuletClient } from "@rivulet/client";
import { isOpen } from "./tool-words";

export type Decide = (
  approval: Approval,
  decision: Decision,
  refused: (error: ErrorFrame) => void,
) => void;

export class Approvals {
  readonly #client: RivuletClient;
  /** Whom to tell that a decision was refused, by the approval. */
  readonly #waiting = new Map<string, (error: ErrorFrame) => void>();

  constructor(client: RivuletClient) {
    this.#client = client;
    client.on("refused", ({ error, frame }) => {
      if (frame.type === "approve") this.#take(frame.approval)?.(error);
    });
    client.on("approval.resolved", ({ approval }) => this.#take(approval));
  }

  readonly decide: Decide = (approval, decision, refused) => {
    this.#waiting.set(approval.id, refused);
    this.#client.decide(approval, decision);
  };

  #take(approval: string): ((error: ErrorFrame) => void) | undefined {
    const refused = this.#waiting.get(approval);
    this.#waiting.delete(approval);
    return refused;
  }
}

/** Whether something at the end of the conversation waits for a word: to go on writing is one, too. */
export function isWaiting({ conversation }: RivuletClient): boolean {
  return conversation.messages.at(-1)?.tools.some((call) => isOpen(call)) ?? false;
}
