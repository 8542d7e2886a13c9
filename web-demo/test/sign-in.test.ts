// @vitest-environment jsdom
/** Signing in: what the address brings, what the tab keeps, and what the card shows. */
import { readFileSync } from "node:fs";
import { NotSignedIn } from "@rivulet/client";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { memory } from "../../packages/client/test/memory.js";
import { arrivalOf } from "../src/sign-in/arrival";
import { SignInCard } from "../src/sign-in/card";
import { comeBack, setOut } from "../src/sign-in/errand";
import { SignIn } from "../src/sign-in/sign-in";

const BASE = "http://gateway.example/";
const HOUR_MS = 3_600_000;

/** What the gateway says: the tokens it takes, and whose they are. */
const known = new Map<string, { user: string; lasts: number }>();
let policy: object;
let asked: string[];

beforeEach(() => {
  vi.useFakeTimers({ now: new Date("2026-11-26T12:00:00Z") });
  known.clear();
  asked = [];
  policy = { required: true };
  vi.stubGlobal("fetch", async (url: URL, init: RequestInit = {}) => {
    asked.push(url.pathname);
    if (url.pathname === "/api/v1/auth") return Response.json(policy);
    const holder = known.get(JSON.parse(String(init.body)).token);
    if (!holder) return new Response("{}", { status: 401 });
    const expires_at = new Date(Date.now() + holder.lasts).toISOString();
    return Response.json({ valid: true, tenant: "t", user: holder.user, scopes: [], expires_at });
  });
  document.documentElement.innerHTML = readFileSync("index.html", "utf8");
});

afterEach(() => {
  vi.useRealTimers();
  vi.unstubAllGlobals();
});

const at = (address: string, storage = memory()) =>
  new SignIn({ base: BASE, arrival: arrivalOf(address), storage });

describe("the address", () => {
  it("brings a token in its fragment or a ticket in its query, and is shown without them", () => {
    expect(arrivalOf(`${BASE}?session=s_1#token=abc&state=xy`)).toEqual({
      token: "abc",
      ticket: null,
      state: "xy",
      clean: `${BASE}?session=s_1`,
    });
    expect(arrivalOf(`${BASE}?session=s_1&ticket=tk_1&state=xy`)).toEqual({
      token: null,
      ticket: "tk_1",
      state: "xy",
      clean: `${BASE}?session=s_1`,
    });
    // A token in the query was in logs already; the gateway would refuse it, too.
    expect(arrivalOf(`${BASE}?token=abc#part`)).toMatchObject({ token: null, clean: null });
  });
});

describe("a token from elsewhere", () => {
  it("is taken once, by the tab that went to fetch it", async () => {
    const storage = memory();
    const state = setOut(storage, { remember: false, draft: "Half a thought" });
    const back = at(`${BASE}#token=abc&state=${state}`, storage);
    expect(await back.token(false)).toBe("abc");
    expect(back.draft).toBe("Half a thought");
    // Neither the token nor the errand lies around.
    expect(comeBack(storage)).toBeNull();
    const again = at(`${BASE}#token=abc&state=${state}`, storage);
    await expect(again.token(false)).rejects.toThrow(NotSignedIn);
  });

  it("is not taken when nobody here has asked for it", async () => {
    const storage = memory();
    setOut(storage, { remember: true, draft: "" });
    const stray = at(`${BASE}#token=abc&state=made-up`, storage);
    await expect(stray.token(false)).rejects.toThrow(NotSignedIn);
    expect(stray.standing).toEqual({ name: "needed", why: "stray" });
    expect(storage.getItem("rivulet.token")).toBeNull();
  });

  it("is fetched at the address that the gateway names, with a state of its own each time", async () => {
    policy = { required: true, sign_in_url: "https://login.example/in?app=chat" };
    const signIn = at(BASE);
    await expect(signIn.token(false)).rejects.toThrow(NotSignedIn);
    const leave = () => new URL(signIn.depart({ remember: false, draft: "" }) ?? "");
    const [one, two] = [leave(), leave()];
    expect(one.href).toMatch(/^https:\/\/login\.example\/in\?app=chat&state=[0-9a-f]{32}$/);
    expect(one.href).not.toBe(two.href);
  });
});

describe("a ticket", () => {
  it("is good for one socket", async () => {
    const signIn = at(`${BASE}?ticket=tk_1`);
    expect(await signIn.ticket()).toBe("tk_1");
    expect(await signIn.ticket()).toBeNull();
    await expect(signIn.token(false)).rejects.toThrow(NotSignedIn);
  });

  it("needs its state where one is sent to sign in", async () => {
    policy = { required: true, sign_in_url: "https://login.example/in" };
    expect(await at(`${BASE}?ticket=tk_1`).ticket()).toBeNull();
    const storage = memory();
    const state = setOut(storage, { remember: false, draft: "" });
    expect(await at(`${BASE}?ticket=tk_1&state=${state}`, storage).ticket()).toBe("tk_1");
  });
});

describe("who signs in", () => {
  it("is not asked where nobody has to be somebody", async () => {
    policy = { required: false };
    const signIn = at(BASE);
    expect(await signIn.token(false)).toBeNull();
    expect(signIn.standing).toEqual({ name: "anyone" });
  });

  it("is kept beyond a reload only when they want to be", async () => {
    known.set("abc", { user: "ann", lasts: HOUR_MS });
    for (const remember of [false, true]) {
      const storage = memory();
      const signIn = at(BASE, storage);
      expect(await signIn.enter("abc", remember)).toBeNull();
      expect(signIn.standing).toMatchObject({ name: "in", holder: { user: "ann" }, endsAt: null });
      const reloaded = at(BASE, storage);
      if (remember) expect(await reloaded.token(false)).toBe("abc");
      else await expect(reloaded.token(false)).rejects.toThrow(NotSignedIn);
      signIn.leave();
      expect(storage.getItem("rivulet.token")).toBeNull();
      expect(signIn.standing).toEqual({ name: "needed", why: "first" });
    }
  });

  it("is told before it ends, renews, and is not asked twice", async () => {
    known.set("short", { user: "ann", lasts: 5 * 60_000 });
    known.set("long", { user: "ann", lasts: HOUR_MS });
    known.set("bens", { user: "ben", lasts: HOUR_MS });
    const signIn = at(BASE);
    const entered = vi.fn();
    signIn.on("entered", entered);
    await signIn.enter("short", false);
    const changed = vi.fn();
    signIn.on("change", changed);
    vi.advanceTimersByTime(2 * 60_000);
    expect(changed).not.toHaveBeenCalled();
    vi.advanceTimersByTime(70_000);
    expect(changed).toHaveBeenCalledTimes(1);
    expect(signIn.standing).toMatchObject({ name: "in", endsAt: expect.any(Number) });
    expect(await signIn.token(false)).toBe("short");
    await signIn.enter("long", false);
    // Asked as for a new one, it gives the one that the gateway has not seen yet.
    expect(await signIn.token(true)).toBe("long");
    expect(signIn.standing).toMatchObject({ endsAt: null });
    await signIn.enter("bens", false);
    expect(entered.mock.calls).toEqual([[{ other: false }], [{ other: false }], [{ other: true }]]);
  });

  it("learns why it is over", async () => {
    known.set("abc", { user: "ann", lasts: HOUR_MS });
    for (const [code, why] of [
      [4001, "refused"],
      [4003, "forbidden"],
      [4010, "revoked"],
      [4204, "ended"],
    ] as const) {
      const signIn = at(BASE);
      await signIn.enter("abc", true);
      signIn.closed(code);
      expect(signIn.standing).toEqual({ name: "needed", why });
    }
    const signIn = at(BASE);
    await signIn.enter("abc", true);
    signIn.closed(1006);
    expect(signIn.standing.name).toBe("in");
    expect(await signIn.token(false)).toBe("abc");
    await expect(signIn.token(true)).rejects.toThrow(NotSignedIn);
    expect(signIn.standing).toEqual({ name: "needed", why: "ended" });
  });

  it("asks again how to sign in when the gateway could not be asked", async () => {
    const signIn = at(BASE);
    const answer = globalThis.fetch;
    vi.stubGlobal("fetch", async () => {
      throw new TypeError("Failed to fetch");
    });
    await expect(signIn.token(false)).rejects.toThrow(TypeError);
    vi.stubGlobal("fetch", answer);
    await expect(signIn.token(false)).rejects.toThrow(NotSignedIn);
  });
});

describe("the card", () => {
  const place = () => document.getElementById("sign-in") as HTMLElement;
  const field = () => document.getElementById("sign-in-token") as HTMLInputElement;
  const form = () => place().querySelector("form") as HTMLFormElement;
  const text = () => place().textContent ?? "";
  let said: string[];
  let draft = "";

  function card(signIn: SignIn): SignInCard {
    said = [];
    draft = "";
    return new SignInCard(signIn, place(), {
      draft: () => draft,
      go: () => {},
      say: (words) => said.push(words),
      back: () => {},
    });
  }

  async function submit(token: string): Promise<void> {
    field().value = token;
    form().dispatchEvent(new Event("submit", { cancelable: true }));
    await vi.waitFor(() =>
      expect(form().querySelector("[type=submit]")).toHaveProperty("disabled", false),
    );
  }

  it("comes when it is needed, says what is wrong, and goes", async () => {
    known.set("abc", { user: "ann", lasts: HOUR_MS });
    const signIn = at(BASE);
    card(signIn);
    expect(place().hidden).toBe(true);
    await expect(signIn.token(false)).rejects.toThrow(NotSignedIn);
    expect(place().hidden).toBe(false);
    expect(document.activeElement).toBe(field());
    await submit("mistyped");
    const error = place().querySelector("[role=alert]");
    expect(error?.textContent).toContain("does not take that");
    expect(field().getAttribute("aria-invalid")).toBe("true");
    await submit(" abc ");
    expect(place().hidden).toBe(true);
    expect(field().value).toBe("");
  });

  it("leaves whoever writes alone, and tells an end once", async () => {
    known.set("abc", { user: "ann", lasts: HOUR_MS });
    const signIn = at(BASE);
    card(signIn);
    await signIn.enter("abc", false);
    draft = "Half a thought";
    signIn.closed(4010);
    signIn.closed(4010);
    expect(said).toEqual([expect.stringContaining("taken back")]);
    expect(document.activeElement).not.toBe(field());
    expect(text()).toContain("everything is still here");
  });

  it("offers to renew before the end", async () => {
    known.set("abc", { user: "ann", lasts: 60_000 });
    const signIn = at(BASE);
    card(signIn);
    await signIn.enter("abc", false);
    expect(form().hidden).toBe(true);
    expect(said).toEqual([expect.stringContaining("Your sign-in ends at")]);
    place().querySelector<HTMLButtonElement>(".sign-in-ending button")?.click();
    expect(form().hidden).toBe(false);
    expect(document.activeElement).toBe(field());
  });
});
