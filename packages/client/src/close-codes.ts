/** What the number a socket was closed with asks of the client. One table, so that it can be tested. */
import type { ErrorFrame } from "./frames.js";

/** Asks for a new token. */
export const TOKEN_EXPIRED = 4204;
/** Of a session that is not there, or somebody else's, and of an assistant like that. */
export const GONE = 4004;

export type AfterClose =
  /** The conversation is over; nothing went wrong. */
  | "stop"
  /** Reconnecting would fail the same way: tell the user instead. */
  | "terminal"
  /** A frame of this side could not be taken: terminal, unless it is known what to leave out. */
  | "without-it"
  /** The server announced the moment with `goaway`. */
  | "as-announced"
  /** Come back within a second and resume. */
  | "soon"
  /** The server has too much to do: stay away for a while. */
  | "backoff";

const EXACT: Readonly<Record<number, AfterClose>> = {
  1000: "stop",
  1001: "as-announced",
  1002: "terminal",
  1003: "terminal",
  1007: "without-it",
  1009: "without-it",
  // 1005 and 1006 are made by the browser: no close frame came, the network is gone.
  1005: "soon",
  1006: "soon",
  1012: "soon",
  1013: "backoff",
};

export function afterClose(code: number): AfterClose {
  const exact = EXACT[code];
  if (exact) return exact;
  if (code >= 4000 && code < 4100) return "terminal";
  if (code >= 4200 && code < 4300) return "soon";
  // 41xx, and every code that nobody has given a meaning yet.
  return "backoff";
}

const MEANING: Readonly<Record<number, string>> = {
  1000: "The server ended the connection",
  1001: "The server is going away",
  1002: "Protocol error",
  1003: "The server does not take this kind of frame",
  1006: "Connection lost",
  1007: "Invalid text encoding",
  1009: "Frame too large",
  1012: "The server is restarting",
  1013: "The server is overloaded",
  4001: "Not signed in",
  4003: "Not allowed",
  4004: "This conversation no longer exists",
  4010: "Access was revoked",
  4100: "The server is full",
  4108: "Signing in took too long",
  4111: "Internal server error",
  4129: "Too many requests",
  4200: "Moved to another server",
  4201: "No sign of life",
  4203: "Connection too slow",
  4204: "Sign-in expired",
};

/** A short sentence for people. */
export function closeMeaning(code: number, reason = ""): string {
  return MEANING[code] ?? (reason || `Connection closed (${code})`);
}

/** What becomes of a request to a session that is gone. */
export function goneError(re: string): ErrorFrame {
  return { type: "error", re, code: "not_found", message: closeMeaning(GONE) };
}
