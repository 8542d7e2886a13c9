/** "Under the hood": what the protocol is doing, and a way to break the connection to see it heal. */
import type { RivuletClient } from "@rivulet/client";
import { byId, make } from "./element";

export class WirePanel {
  readonly #client: RivuletClient;
  readonly #panel = byId<HTMLDetailsElement>("wire");
  readonly #facts = byId("wire-facts");
  #sockets = 0;
  #deltas = 0;
  #recovered = "–";

  constructor(client: RivuletClient) {
    this.#client = client;
    client.on("welcome", ({ recovered }) => {
      this.#sockets++;
      this.#recovered = recovered;
    });
    client.on("delta", () => {
      this.#deltas++;
    });
    byId("wire-cut").addEventListener("click", () => client.breakConnection());
    this.#panel.addEventListener("toggle", () => this.paint());
  }

  paint(): void {
    if (!this.#panel.open) return;
    const { conversation, cursor } = this.#client;
    const answer = conversation.messages.findLast(({ role }) => role === "assistant");
    const facts: [string, string][] = [
      ["Session", conversation.session ?? "–"],
      ["Cursor", cursor ?? "–"],
      ["Sockets so far", String(this.#sockets)],
      ["Last resume", this.#recovered],
      ["Deltas", String(this.#deltas)],
      ["CRC-32 of the last answer", answer?.outcome?.crc32 ?? "–"],
    ];
    this.#facts.replaceChildren(
      ...facts.flatMap(([name, value]) => [
        make("dt", { textContent: name }),
        make("dd", { textContent: value }),
      ]),
    );
  }
}
