/**
 * The page's way to the place where one signs in, and back: what has to outlive it. It lies in the tab's own storage,
 * so a token that comes with another `state`, or to another tab, was not fetched by whoever sits here.
 */
import type { SessionStorageLike } from "@rivulet/client";

export interface Errand {
  /** Comes back with the token. */
  readonly state: string;
  /** Whether the token is to outlive a reload. */
  readonly remember: boolean;
  /** What was being written. */
  readonly draft: string;
}

const KEY = "rivulet.sign-in";
const STATE_BYTES = 16;

/** Notes what is to be kept, and gives the `state` to send along. Throws where the browser keeps nothing. */
export function setOut(storage: SessionStorageLike, kept: Omit<Errand, "state">): string {
  const bytes = crypto.getRandomValues(new Uint8Array(STATE_BYTES));
  const state = Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
  storage.setItem(KEY, JSON.stringify({ state, ...kept }));
  return state;
}

/** What was noted, once. */
export function comeBack(storage: SessionStorageLike): Errand | null {
  const noted = storage.getItem(KEY);
  storage.removeItem(KEY);
  if (noted === null) return null;
  try {
    const { state, remember, draft } = JSON.parse(noted) as Record<string, unknown>;
    if (typeof state !== "string" || typeof draft !== "string") return null;
    return { state, remember: remember === true, draft };
  } catch {
    // Not written by this page.
    return null;
  }
}
