/** The state of the connection, in the header. */
import type { ConnectionState, RivuletClient } from "../rivulet-client";
import { byId } from "./element";

export class ConnectionPill {
  readonly #pill = byId("connection");
  readonly #label = byId("connection-label");
  readonly #countdown = byId("connection-countdown");
  readonly #retry = byId<HTMLButtonElement>("connection-retry");
  #ticking: ReturnType<typeof setInterval> | undefined;

  constructor(client: RivuletClient) {
    client.on("state", (state) => this.#show(state));
    window.addEventListener("offline", () => this.#show(client.state));
    window.addEventListener("online", () => this.#show(client.state));
    this.#retry.addEventListener("click", () => client.connect());
    this.#show(client.state);
  }

  #show(state: ConnectionState): void {
    clearInterval(this.#ticking);
    const label = labelOf(state);
    this.#pill.dataset.state = navigator.onLine ? state.name : "offline";
    this.#pill.title = "why" in state ? state.why : "";
    // Written only when it differs: the label is a live region.
    if (this.#label.textContent !== label) this.#label.textContent = label;
    this.#countdown.textContent = "";
    this.#retry.hidden = state.name !== "reconnecting" && state.name !== "closed";
    if (state.name !== "reconnecting") return;
    const tick = (): void => {
      const left = Math.max(0, Math.ceil((state.retryAt - Date.now()) / 1_000));
      this.#countdown.textContent = `in ${left} s`;
    };
    tick();
    this.#ticking = setInterval(tick, 250);
  }
}

function labelOf(state: ConnectionState): string {
  switch (state.name) {
    case "idle":
    case "connecting":
      return "Connecting";
    case "connected":
      return navigator.onLine ? "Connected" : "Offline";
    case "reconnecting":
      return navigator.onLine ? "Reconnecting" : "Offline, trying again";
    case "closed":
      return state.why;
  }
}
