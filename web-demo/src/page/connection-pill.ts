/** The state of the connection, in the header. */
import type { ConnectionState, RivuletClient } from "@rivulet/client";
import { byId } from "./element";
import type { StatusVoice } from "./status-voice";

export type Kind =
  | "connecting"
  | "live"
  | "resumed"
  | "leaving"
  | "reconnecting"
  | "offline"
  | "ended";

/** What the connection looks like to its user. */
export interface Look {
  readonly kind: Kind;
  readonly label: string;
  /** Behind the label; changes too often to be read aloud. */
  readonly detail: string;
}

export interface Circumstances {
  /** Whether the browser has a network. */
  online: boolean;
  /** Whether this conversation was connected before. */
  again: boolean;
  /** Whether it came back only a moment ago. */
  resumed: boolean;
  now: number;
}

/** So long it says "Resumed". */
const RESUMED_MS = 5_000;
const TICK_MS = 250;
const TOPIC = "connection";
const BACK = "Connected again. Nothing was lost.";

export function lookOf(state: ConnectionState, at: Circumstances): Look {
  const { name } = state;
  if (name === "closed") {
    return { kind: "ended", label: state.code === 1000 ? "Ended" : state.why, detail: "" };
  }
  if (!at.online) return { kind: "offline", label: "Offline", detail: "" };
  if (name === "connected") {
    if (state.leaving) return { kind: "leaving", label: "Going away", detail: "" };
    return at.resumed
      ? { kind: "resumed", label: "Resumed", detail: "" }
      : { kind: "live", label: "Live", detail: "" };
  }
  if (name === "reconnecting") {
    const left = Math.max(0, Math.ceil((state.retryAt - at.now) / 1_000));
    return { kind: "reconnecting", label: "Reconnecting", detail: `in ${left} s` };
  }
  return at.again
    ? { kind: "reconnecting", label: "Reconnecting", detail: "now" }
    : { kind: "connecting", label: "Connecting", detail: "" };
}

/** What is read aloud; nothing where nothing is wrong. */
function spoken({ kind, label }: Look): string | null {
  switch (kind) {
    case "reconnecting":
      return "Connection lost. Reconnecting.";
    case "offline":
      return "Offline. Messages are sent when the network is back.";
    case "leaving":
      return "The gateway is going away. The page connects again by itself.";
    case "ended":
      return `${label}.`;
    default:
      return null;
  }
}

export class ConnectionPill {
  readonly #client: RivuletClient;
  readonly #voice: StatusVoice;
  readonly #pill = byId("connection");
  readonly #label = byId("connection-label");
  readonly #detail = byId("connection-detail");
  readonly #retry = byId<HTMLButtonElement>("connection-retry");
  /** The session that was connected last. */
  #session: string | null = null;
  #connected = false;
  #resumedUntil = 0;
  #shown: Kind | null = null;
  #ticking: ReturnType<typeof setInterval> | undefined;

  constructor(client: RivuletClient, voice: StatusVoice) {
    this.#client = client;
    this.#voice = voice;
    client.on("state", (state) => this.#entered(state));
    window.addEventListener("offline", () => this.#show());
    window.addEventListener("online", () => this.#show());
    this.#retry.addEventListener("click", () => client.connect());
    this.#show();
  }

  #entered({ name }: ConnectionState): void {
    const { session } = this.#client;
    if (name === "connected") {
      const back = !this.#connected && session === this.#session;
      if (back) this.#resumedUntil = Date.now() + RESUMED_MS;
      else if (!this.#connected) this.#resumedUntil = 0;
      this.#session = session;
    }
    this.#connected = name === "connected";
    this.#show();
  }

  #show(): void {
    const { state, session } = this.#client;
    const now = Date.now();
    const again = session !== null && session === this.#session;
    const resumed = now < this.#resumedUntil;
    const look = lookOf(state, { online: navigator.onLine, again, resumed, now });
    this.#pill.dataset.state = look.kind;
    this.#pill.title = reason(state);
    this.#label.textContent = look.label;
    this.#detail.textContent = look.detail;
    this.#retry.hidden = state.name !== "reconnecting" && state.name !== "closed";
    if (look.kind !== this.#shown) this.#speak(look);
    this.#shown = look.kind;
    clearInterval(this.#ticking);
    // Only a countdown and the end of "Resumed" change by themselves.
    if (look.detail !== "" || resumed) this.#ticking = setInterval(() => this.#show(), TICK_MS);
  }

  #speak(look: Look): void {
    const text = spoken(look);
    const said = this.#voice.said(TOPIC);
    if (text !== null) this.#voice.say(TOPIC, text);
    // Trouble that was over before it was told needs no all-clear.
    else if (look.kind === "resumed" && said !== undefined && said !== BACK)
      this.#voice.say(TOPIC, BACK);
    else this.#voice.takeBack(TOPIC);
  }
}

function reason(state: ConnectionState): string {
  if (state.name === "reconnecting") return `${state.why} (attempt ${state.attempt})`;
  return state.name === "closed" ? state.why : "";
}
