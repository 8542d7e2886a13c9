/** Where the conversation is remembered: beside what the page itself keeps, and apart from other widgets on it. */
import type { SessionStorageLike } from "@rivulet/client";

/** `null`: nowhere, also where the browser has been told to keep nothing. */
export function storageOf(
  kind: "local" | "session" | "none",
  server: string,
  assistant: string | undefined,
): SessionStorageLike | null {
  const storage = browsers(kind);
  if (storage === null) return null;
  const named = (key: string): string => [key, server, assistant ?? ""].join(" ");
  return {
    getItem: (key) => storage.getItem(named(key)),
    setItem: (key, value) => storage.setItem(named(key), value),
    removeItem: (key) => storage.removeItem(named(key)),
  };
}

function browsers(kind: "local" | "session" | "none"): Storage | null {
  if (kind === "none") return null;
  try {
    // Merely naming it throws where site data is blocked.
    return kind === "local" ? localStorage : sessionStorage;
  } catch {
    return null;
  }
}
