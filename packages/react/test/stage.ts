/** A document, a small gateway and a root to render into, for one test. */
import { JSDOM } from "jsdom";
import { act, type ReactNode } from "react";
import type { Root } from "react-dom/client";
import { afterEach, beforeEach, vi } from "vitest";
import { WebSocket } from "ws";
import { Gateway } from "../../client/test/gateway.js";

/** A test whose wish does not come true ends by itself, so that it does not disturb the next one. */
const LIMIT_MS = Number(process.env.LIMIT ?? 20_000);

export let gateway: Gateway;
/** Every socket that was asked for. */
export let sockets: WebSocket[];
let root: Root;

beforeEach(async () => {
  const { window } = new JSDOM("<!doctype html><main></main>", { url: "http://app.test/" });
  vi.stubGlobal("window", window);
  vi.stubGlobal("document", window.document);
  vi.stubGlobal("navigator", window.navigator);
  vi.stubGlobal("IS_REACT_ACT_ENVIRONMENT", true);
  gateway = await new Gateway().start();
  sockets = [];
  const { createRoot } = await import("react-dom/client");
  root = createRoot(main());
});

afterEach(async () => {
  await act(() => root.unmount());
  await gateway.stop();
  vi.unstubAllGlobals();
});

export function main(): HTMLElement {
  return document.querySelector("main") as HTMLElement;
}

class Socket extends WebSocket {
  constructor(url: string, protocols: string[]) {
    super(url, protocols);
    sockets.push(this);
  }
}

export const options = () => ({
  url: gateway.url,
  storage: null,
  webSocket: Socket,
  random: () => 0,
});

export async function render(node: ReactNode): Promise<void> {
  await act(() => root.render(node));
}

export function find<Of extends HTMLElement>(selector: string): Of | null {
  return main().querySelector<Of>(selector);
}

/** Resolves when `look` finds something, looked for after everything that React shows. */
export async function shown<Result>(
  look: () => Result | null | undefined | false,
): Promise<Result> {
  const end = Date.now() + LIMIT_MS;
  for (;;) {
    const result = look();
    if (result) return result;
    if (Date.now() > end) throw new Error(`It is not shown: ${look}, but ${main().innerHTML}`);
    await act(() => new Promise((resolve) => setTimeout(resolve, 5)));
  }
}

export async function click(selector: string): Promise<void> {
  const button = await shown(() => find<HTMLButtonElement>(selector));
  await act(() => button.click());
}

/** As a key press would change a box that React watches. */
export async function write(text: string): Promise<HTMLTextAreaElement> {
  const box = await shown(() => find<HTMLTextAreaElement>("textarea"));
  await act(() => {
    const prototype = Object.getPrototypeOf(box);
    Object.getOwnPropertyDescriptor(prototype, "value")?.set?.call(box, text);
    box.dispatchEvent(new window.Event("input", { bubbles: true }));
  });
  return box;
}
