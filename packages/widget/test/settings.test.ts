import { describe, expect, it } from "vitest";
import { directionOf, inkOn, isSameConversation, localeOf, settingsOf } from "../src/settings";

const HOME = "https://chat.example/gateway/widget.js";
const of = (attributes: Readonly<Record<string, string>>, language = "") =>
  settingsOf((name) => attributes[name] ?? null, language, HOME);

describe("the attributes", () => {
  it("may all be left out: the gateway is where the program came from", () => {
    expect(of({})).toEqual({
      server: "https://chat.example/gateway/",
      assistant: undefined,
      session: undefined,
      tokenUrl: null,
      locale: "en",
      inline: false,
      greeting: null,
      suggestions: null,
      storage: "session",
    });
  });

  it("say where the gateway is, who answers, and where it is remembered", () => {
    const given = { server: "https://other.example/", assistant: "loan", storage: "local" };
    expect(of({ ...given, mode: "inline", session: "s_1", "token-url": "/token" })).toMatchObject({
      ...given,
      inline: true,
      session: "s_1",
      tokenUrl: "/token",
    });
    expect(of({ storage: "none" }).storage).toBe("none");
    expect(of({ storage: "cookies" }).storage).toBe("session");
  });

  it("leave the conversation where they only change its words and its place", () => {
    const before = of({ assistant: "loan" });
    const looks = { locale: "de", mode: "inline", greeting: "Hallo", suggestions: "Wie?" };
    expect(isSameConversation(before, of({ assistant: "loan", ...looks }))).toBe(true);
    for (const name of ["server", "assistant", "session", "token-url", "storage"])
      expect(isSameConversation(before, of({ assistant: "loan", [name]: "none" })), name).toBe(
        false,
      );
  });

  it("have suggestions with strokes between them, or none at all", () => {
    expect(of({ suggestions: " How long? | What does it cost?|" }).suggestions).toEqual([
      "How long?",
      "What does it cost?",
    ]);
    expect(of({ suggestions: "", greeting: "" })).toMatchObject({ suggestions: [], greeting: "" });
  });
});

describe("the language", () => {
  it("is that of the attribute, then of the page, then English", () => {
    expect(of({ locale: "hi" }, "de").locale).toBe("hi");
    expect(of({}, "de-AT").locale).toBe("de");
    expect(of({}, "fr").locale).toBe("en");
    expect(localeOf("AR")).toBe("ar");
    expect(localeOf("constructor")).toBe("en");
  });

  it("runs from right to left where it does", () => {
    expect((["en", "de", "hi", "ar"] as const).map(directionOf)).toEqual([
      ...["ltr", "ltr", "ltr", "rtl"],
    ]);
  });
});

describe("the ink on a colour", () => {
  /** As WCAG has it. */
  function contrast(ink: number, colour: string): number {
    const [red = 0, green = 0, blue = 0] = [1, 3, 5].map((at) => {
      const share = Number.parseInt(colour.slice(at, at + 2), 16) / 255;
      return share <= 0.04045 ? share / 12.92 : ((share + 0.055) / 1.055) ** 2.4;
    });
    const light = 0.2126 * red + 0.7152 * green + 0.0722 * blue;
    return (Math.max(ink, light) + 0.05) / (Math.min(ink, light) + 0.05);
  }

  it("can be read on every colour", () => {
    for (let at = 0; at < 0x1000000; at += 0x1357) {
      const colour = `#${at.toString(16).padStart(6, "0")}`;
      expect(contrast(inkOn(colour) === "#fff" ? 1 : 0, colour), colour).toBeGreaterThanOrEqual(
        4.5,
      );
    }
  });

  it("is left to the page for a colour that is written otherwise", () => {
    expect(["teal", "#fff", "rgb(0 0 0)", "url(#)"].map(inkOn)).toEqual([null, null, null, null]);
  });
});
