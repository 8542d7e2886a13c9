/** What the attributes of the element come to. Pure, but for the one look at the page's languages. */
import type { Attribute } from "./api";

export const ATTRIBUTES: readonly Attribute[] = [
  ...(["server", "assistant", "session", "token-url", "theme", "accent"] as const),
  ...(["locale", "position", "mode", "greeting", "suggestions", "storage"] as const),
];

/** Those that change how it looks, and not what it is. */
export const LOOKS: ReadonlySet<string> = new Set(["theme", "accent", "position"]);

export type Locale = "en" | "de" | "hi" | "ar";

/** What the launcher says; the rest comes with the panel. */
const OPEN: Readonly<Record<Locale, readonly [open: string, close: string, failed: string]>> = {
  en: ["Open chat", "Close chat", "The chat could not be loaded. Press to try again."],
  de: [
    "Chat öffnen",
    "Chat schließen",
    "Der Chat konnte nicht geladen werden. Zum Wiederholen drücken.",
  ],
  hi: ["चैट खोलें", "चैट बंद करें", "चैट लोड नहीं हो सकी। फिर से कोशिश करने के लिए दबाएँ।"],
  ar: ["افتح المحادثة", "أغلق المحادثة", "تعذّر تحميل المحادثة. اضغط للمحاولة مرة أخرى."],
};

export interface Settings {
  /** Where the gateway is. */
  readonly server: string;
  readonly assistant: string | undefined;
  readonly session: string | undefined;
  readonly tokenUrl: string | null;
  readonly locale: Locale;
  readonly inline: boolean;
  /** Goes before that of the assistant. */
  readonly greeting: string | null;
  readonly suggestions: readonly string[] | null;
  readonly storage: "local" | "session" | "none";
}

/** What a conversation begins anew with when it changes; the rest is how it looks, and in which words. */
const CONVERSATION = ["server", "assistant", "session", "tokenUrl", "storage"] as const;

export const isSameConversation = (one: Settings, other: Settings): boolean =>
  CONVERSATION.every((name) => one[name] === other[name]);

/** `read`: an attribute; `language`: that of the page where the element stands; `home`: where this program came from. */
export function settingsOf(
  read: (name: Attribute) => string | null,
  language: string,
  home: string,
): Settings {
  const suggestions = read("suggestions");
  const storage = read("storage");
  return {
    server: new URL(read("server") || ".", home).href,
    assistant: read("assistant") || undefined,
    session: read("session") || undefined,
    tokenUrl: read("token-url") || null,
    locale: localeOf(read("locale") || language),
    inline: read("mode") === "inline",
    greeting: read("greeting"),
    suggestions: suggestions === null ? null : parts(suggestions),
    storage: storage === "local" || storage === "none" ? storage : "session",
  };
}

/** `de-AT` → `de`; English for every language that has no table here. */
export function localeOf(language: string): Locale {
  const [first = ""] = language.toLowerCase().split("-");
  return Object.hasOwn(OPEN, first) ? (first as Locale) : "en";
}

export const directionOf = (locale: Locale): "ltr" | "rtl" => (locale === "ar" ? "rtl" : "ltr");

export const launcherWords = (locale: Locale): readonly [string, string, string] => OPEN[locale];

/** White or black, whichever can be read on a colour written as `#rrggbb`; `null` for one that is written otherwise. */
export function inkOn(colour: string): string | null {
  const hex = /^#([\da-f]{2})([\da-f]{2})([\da-f]{2})$/i.exec(colour.trim());
  if (!hex) return null;
  const [red = 0, green = 0, blue = 0] = hex.slice(1).map((part) => {
    const share = Number.parseInt(part, 16) / 255;
    return share <= 0.04045 ? share / 12.92 : ((share + 0.055) / 1.055) ** 2.4;
  });
  const light = 0.2126 * red + 0.7152 * green + 0.0722 * blue;
  // Where both contrasts, (1.05)/(light+0.05) and (light+0.05)/0.05, are the same.
  return light > 0.179 ? "#000" : "#fff";
}

const parts = (list: string): string[] =>
  list
    .split("|")
    .map((part) => part.trim())
    .filter((part) => part !== "");
