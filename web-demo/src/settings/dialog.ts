/** The settings of the page, in one place: how it looks, which key sends, and the way to what is remembered. */
import type { Assistant } from "@rivulet/client";
import { byId } from "../page/element";
import { oneOf, type Preferences, SEND_KEYS, THEMES } from "./preferences";

export interface SettingsParts {
  /** Who answers, as far as that is known. */
  current(): Assistant | undefined;
  openMemories(): void;
}

export class SettingsDialog {
  readonly #preferences: Preferences;
  readonly #parts: SettingsParts;
  readonly #dialog = byId<HTMLDialogElement>("settings");
  readonly #memories = byId("settings-memories");

  constructor(preferences: Preferences, parts: SettingsParts) {
    this.#preferences = preferences;
    this.#parts = parts;
    byId("settings-open").addEventListener("click", () => this.#open());
    byId("settings-close").addEventListener("click", () => this.#dialog.close());
    this.#dialog.addEventListener("click", (event) => {
      // Beside it: whatever is within has elements of its own, up to the edge.
      if (event.target === this.#dialog) this.#dialog.close();
    });
    // Escape closes it, and must not stop an answer as well.
    this.#dialog.addEventListener("keydown", (event) => event.stopPropagation());
    this.#dialog.addEventListener("change", () => this.#choose());
    this.#memories.addEventListener("click", () => {
      this.#dialog.close();
      parts.openMemories();
    });
    this.#apply();
  }

  #open(): void {
    const { theme, sendKey } = this.#preferences;
    this.#check("theme", theme);
    this.#check("send-key", sendKey);
    this.#memories.hidden = this.#parts.current()?.memory !== true;
    this.#dialog.showModal();
  }

  #choose(): void {
    this.#preferences.theme = oneOf(THEMES, this.#checked("theme"));
    this.#preferences.sendKey = oneOf(SEND_KEYS, this.#checked("send-key"));
    this.#apply();
  }

  /** Before anything is painted `theme-at-start.js` has done so for the theme. */
  #apply(): void {
    const { theme, sendKey } = this.#preferences;
    const { dataset } = document.documentElement;
    if (theme === "system") delete dataset.theme;
    else dataset.theme = theme;
    byId("hint-enter").hidden = sendKey !== "enter";
    byId("hint-ctrl-enter").hidden = sendKey !== "ctrl-enter";
  }

  #check(name: string, value: string): void {
    for (const one of this.#all(name)) one.checked = one.value === value;
  }

  #checked(name: string): string | null {
    return [...this.#all(name)].find(({ checked }) => checked)?.value ?? null;
  }

  #all(name: string): NodeListOf<HTMLInputElement> {
    return this.#dialog.querySelectorAll(`input[name="${name}"]`);
  }
}
