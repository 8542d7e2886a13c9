// @vitest-environment jsdom
import { beforeEach, describe, expect, it, vi } from "vitest";
import { english } from "../../../web-demo/src/page/say";
import { trouble } from "../src/banner";
import { storageOf } from "../src/remembered";

beforeEach(() => {
  sessionStorage.clear();
  localStorage.clear();
});

describe("what is remembered", () => {
  it("is apart for each gateway and assistant, and from what the page keeps", () => {
    const of = (assistant?: string) => storageOf("session", "https://chat.example/", assistant);
    of("loan")?.setItem("rivulet.session", "s_1");
    expect(of("loan")?.getItem("rivulet.session")).toBe("s_1");
    expect(of()?.getItem("rivulet.session")).toBeNull();
    expect(sessionStorage.getItem("rivulet.session")).toBeNull();
    of("loan")?.removeItem("rivulet.session");
    expect(sessionStorage.length).toBe(0);
  });

  it("lies where it was asked to, or nowhere", () => {
    storageOf("local", "https://chat.example/", undefined)?.setItem("a", "b");
    expect([localStorage.length, sessionStorage.length]).toEqual([1, 0]);
    expect(storageOf("none", "https://chat.example/", undefined)).toBeNull();
  });

  it("is nothing where the browser keeps nothing", () => {
    const blocked = vi.spyOn(globalThis, "sessionStorage", "get").mockImplementation(() => {
      throw new DOMException("blocked", "SecurityError");
    });
    expect(storageOf("session", "https://chat.example/", undefined)).toBeNull();
    blocked.mockRestore();
  });
});

describe("what is told of a connection", () => {
  const retrying = {
    name: "reconnecting",
    attempt: 1,
    retryAt: 0,
    announced: false,
    why: "lost",
  } as const;
  it.each([
    [{ name: "connected", leaving: false }, true, null],
    [{ name: "connecting" }, true, null],
    [retrying, true, "Connection lost. Reconnecting."],
    [retrying, false, "Offline. Messages are sent when the network is back."],
    [{ name: "closed", code: 1000, why: "Closed" }, true, null],
    [{ name: "closed", code: 4001, why: "Not signed in" }, true, "Not signed in."],
  ] as const)("%j, %s: %s", (state, online, told) => {
    expect(trouble(state, online, english)).toBe(told);
  });
});
