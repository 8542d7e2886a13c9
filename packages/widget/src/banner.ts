/** What is wrong with the connection, above the conversation: only what holds for a moment. */
import type { ConnectionState, RivuletClient } from "@rivulet/client";
import type { Say } from "../../../web-demo/src/page/say";
import { button, make, part } from "./parts";

const HOLDS_MS = 1_000;

export class Banner {
  readonly root = part(make("div", { className: "banner", hidden: true }), "banner");
  readonly #client: RivuletClient;
  readonly #say: Say;
  readonly #text = make("p");
  readonly #again: HTMLElement;
  #timer: ReturnType<typeof setTimeout> | undefined;
  readonly #network = (): void => this.#look();

  constructor(client: RivuletClient, say: Say) {
    this.#client = client;
    this.#say = say;
    this.#text.setAttribute("role", "status");
    this.#again = button(say("Connect again"), "copy", () => client.connect());
    this.root.append(this.#text, this.#again);
    client.on("state", () => this.#look());
    for (const name of ["online", "offline"]) window.addEventListener(name, this.#network);
  }

  end(): void {
    clearTimeout(this.#timer);
    for (const name of ["online", "offline"]) window.removeEventListener(name, this.#network);
  }

  #look(): void {
    clearTimeout(this.#timer);
    const text = trouble(this.#client.state, navigator.onLine, this.#say);
    if (text === null) this.#show("");
    else this.#timer = setTimeout(() => this.#show(text), HOLDS_MS);
  }

  #show(text: string): void {
    const { name } = this.#client.state;
    this.root.hidden = text === "";
    this.#text.textContent = text;
    this.#again.hidden = name !== "closed" && name !== "reconnecting";
  }
}

/** `null`: nothing is wrong. */
export function trouble(state: ConnectionState, online: boolean, say: Say): string | null {
  if (state.name === "closed") return state.code === 1000 ? null : `${say(state.why)}.`;
  if (!online) return say("Offline. Messages are sent when the network is back.");
  return state.name === "reconnecting" ? say("Connection lost. Reconnecting.") : null;
}
