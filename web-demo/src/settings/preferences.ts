/** What somebody has chosen for this page in this browser. Kept where all tabs find it; needs no page. */
import type { SessionStorageLike } from "@rivulet/client";

/** `system`: as the system is. */
export const THEMES = ["system", "light", "dark"] as const;
export type Theme = (typeof THEMES)[number];

/** Which key sends: Enter, or Enter with Ctrl (or ⌘). The other one begins a line. */
export const SEND_KEYS = ["enter", "ctrl-enter"] as const;
export type SendKey = (typeof SEND_KEYS)[number];

/** `theme-at-start.js` reads the same. */
const THEME_KEY = "rivulet.theme";
const SEND_KEY = "rivulet.send";

export class Preferences {
  readonly #storage: SessionStorageLike | null;
  #theme: Theme;
  #sendKey: SendKey;

  /** `storage`: `null` where the browser has none; then choices hold until the page is left. */
  constructor(storage: SessionStorageLike | null) {
    this.#storage = storage;
    this.#theme = oneOf(THEMES, this.#read(THEME_KEY));
    this.#sendKey = oneOf(SEND_KEYS, this.#read(SEND_KEY));
  }

  get theme(): Theme {
    return this.#theme;
  }

  set theme(theme: Theme) {
    this.#theme = theme;
    this.#write(THEME_KEY, theme, THEMES[0]);
  }

  get sendKey(): SendKey {
    return this.#sendKey;
  }

  set sendKey(key: SendKey) {
    this.#sendKey = key;
    this.#write(SEND_KEY, key, SEND_KEYS[0]);
  }

  #read(key: string): string | null {
    try {
      return this.#storage?.getItem(key) ?? null;
    } catch {
      return null;
    }
  }

  #write(key: string, value: string, usual: string): void {
    try {
      if (value === usual) this.#storage?.removeItem(key);
      else this.#storage?.setItem(key, value);
    } catch {
      // Site data is blocked: the choice holds until the page is left.
    }
  }
}

/** The first one, where something else stands there. */
export function oneOf<Of extends string>(known: readonly [Of, ...Of[]], value: string | null): Of {
  return known.find((one) => one === value) ?? known[0];
}
