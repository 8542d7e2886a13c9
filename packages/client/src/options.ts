/** What an application gives to the client, and what it is told. */
import type { ConnectionState, WebSocketClass } from "./connection.js";
import type { Credentials } from "./endpoint.js";
import type { ErrorFrame, RequestFrame, ServerFrame } from "./frames.js";
import type { SessionStorageLike } from "./memory.js";

export interface RivuletOptions extends Credentials {
  /** The address of the gateway, for example `location.href`. */
  url: string;
  /** The conversation to open; by default the one this browser was in last. */
  session?: string | undefined;
  /** Who is to answer in new conversations, by name; by default the one that was chosen last here. */
  assistant?: string | undefined;
  /** Where session and choice are remembered; `null`: nowhere. Default: the browser's, see `Memory`. */
  storage?: SessionStorageLike | null;
  webSocket?: WebSocketClass;
  /** Source of the jitter, from 0 up to 1. */
  random?: () => number;
}

/**
 * Every frame of the server is an event of its own name; these come on top. `error` is emitted for a
 * message, too, that this client itself had to refuse.
 */
export type RivuletEvents = {
  [Type in ServerFrame["type"]]: Extract<ServerFrame, { type: Type }>;
} & {
  /** The connection changed. */
  state: ConnectionState;
  /** The conversation or the outbox changed; read `client.conversation` and `client.outgoing`. */
  change: undefined;
  /** A request was refused: `frame` is what was asked. */
  refused: { error: ErrorFrame; frame: RequestFrame };
  /** The wanted session no longer exists; a new one is being made. `known`: it was there, and had nothing in it. */
  sessionLost: { session: string; known: boolean };
};
