/** docs/packages.md: each of its programs is taken from there and run, with the packages as they are published. */
import { readFile } from "node:fs/promises";
import { join, resolve } from "node:path";
import { JSDOM } from "jsdom";
import { build, type Rolldown } from "vite";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { WebSocket } from "ws";
import { Gateway } from "../../client/test/gateway.js";
import { EmptyProject } from "./empty-project.js";

const NAMES = ["ask.mjs", "page.ts", "app.tsx", "chat.tsx"];
const LINKED = [
  ...["ai", "@ai-sdk", "zod", "ws", "react", "react-dom", "scheduler", "csstype"],
  ...["@types/ws", "@types/node", "@types/react", "@types/react-dom"],
];

/** What a page does with the parts of the manual. */
const PAGES = {
  "page-app.tsx": `
    import { createRoot } from "react-dom/client";
    import { App } from "./app.js";
    const url = document.documentElement.dataset.gateway;
    createRoot(document.querySelector("main") as Element).render(<App url={url} />);`,
  "page-chat.tsx": `
    import { createRoot } from "react-dom/client";
    import { Chat, connect } from "./chat.js";
    const transport = connect(document.documentElement.dataset.gateway);
    createRoot(document.querySelector("main") as Element).render(<Chat transport={transport} />);`,
};

/** How the pages of a test are left. */
const pages: (() => void)[] = [];
let project: EmptyProject;
let gateway: Gateway;
/** That of the test, or a real one. */
const url = () => process.env.RIVULET_URL ?? gateway.url;

beforeAll(async () => {
  project = await EmptyProject.with(["client", "react", "ai-sdk"], LINKED);
  const page = resolve(import.meta.dirname, "../../../docs/packages.md");
  const blocks = (await readFile(page, "utf8")).matchAll(
    /^```(?:js|tsx?)\n\/\/ (\S+)\n(.*?)^```$/gms,
  );
  const programs = Object.fromEntries(
    Array.from(blocks, ([, name = "", text = ""]) => [name, text]),
  );
  expect(Object.keys(programs)).toEqual(NAMES);
  await project.write({ ...programs, ...PAGES });
});
afterAll(() => project?.remove());

beforeEach(async () => {
  gateway = await new Gateway().start();
  gateway.onQuestion = (answer) => {
    answer.write("Within 60 days, ");
    answer.write("unused.");
    answer.done();
  };
});
afterEach(async () => {
  for (const leave of pages.splice(0)) leave();
  await gateway.stop();
});

describe("docs/packages.md", () => {
  it.each(["bundler", "nodenext"] as const)("has the right types, for %s", async (resolution) => {
    const options = { jsx: "react-jsx", lib: ["es2022", "dom", "dom.iterable"], types: ["node"] };
    expect(await project.typeErrors(resolution, { ...options, skipLibCheck: true })).toBe("");
  });

  it("answers a program", async () => {
    const told = await project.run("env", `RIVULET_URL=${url()}`, "node", "ask.mjs");
    expect(told).toContain("60 days");
    expect(told).toMatch(/\ncomplete, \d+ sources\n$/);
  });

  it("answers a page", async () => {
    const { document, window } = await open(
      "page.ts",
      "<ol></ol><form><input name=question></form>",
    );
    const box = document.querySelector("input") as HTMLInputElement;
    box.value = "How long can I return a tent?";
    document.querySelector("form")?.dispatchEvent(new window.Event("submit", { cancelable: true }));
    await seen(() =>
      document.querySelector("li[data-role=assistant]")?.textContent?.includes("60 days"),
    );
  });

  it("answers in React", async () => {
    const { document, window } = await open("page-app.tsx", "<main></main>");
    await seen(() => document.querySelector("[role=status]")?.textContent === "connected");
    const box = document.querySelector("textarea") as HTMLTextAreaElement;
    expect(box.getAttribute("aria-label")).toBe("Ask about tents");
    const { set } =
      Object.getOwnPropertyDescriptor(window.HTMLTextAreaElement.prototype, "value") ?? {};
    set?.call(box, "How long can I return a tent?");
    box.dispatchEvent(new window.Event("input", { bubbles: true }));
    await seen(() => !document.querySelector("button")?.disabled);
    document.querySelector("button")?.click();
    await seen(() =>
      document.querySelector("li[data-role=assistant]")?.textContent?.includes("60 days"),
    );
  });

  it("answers useChat", async () => {
    const { document } = await open("page-chat.tsx", "<main></main>");
    await seen(() => document.querySelector("button"));
    document.querySelector("button")?.click();
    await seen(() =>
      document.querySelector("p[data-role=assistant]")?.textContent?.includes("60 days"),
    );
  });
});

/** A page with what a bundler makes of the program. jsdom's own sockets have an `Origin`, and a real gateway asks for it. */
async function open(
  entry: string,
  body: string,
): Promise<{ document: Document; window: JSDOM["window"] }> {
  const output = (await build({
    root: project.folder,
    configFile: false,
    logLevel: "error",
    define: { "process.env.NODE_ENV": '"development"' },
    build: {
      write: false,
      minify: false,
      lib: { entry: join(project.folder, entry), formats: ["iife"], name: "page" },
    },
  })) as Rolldown.RolldownOutput[];
  const html = `<!doctype html><html data-gateway="${url()}"><body>${body}</body></html>`;
  const { window } = new JSDOM(html, {
    url: url(),
    runScripts: "outside-only",
    pretendToBeVisual: true,
  });
  const { TextEncoder, TextDecoder, fetch, AbortSignal, ReadableStream, TransformStream } =
    globalThis;
  const more = { TextEncoder, TextDecoder, fetch, AbortSignal, ReadableStream, TransformStream };
  Object.assign(window, more, { WebSocket: socketsOf(window), structuredClone });
  window.eval(output[0]?.output[0].code ?? "");
  return { document: window.document, window };
}

/** Those of a page; when it is left, they are silent. */
function socketsOf(window: JSDOM["window"]): typeof WebSocket {
  const sockets: WebSocket[] = [];
  pages.push(() => {
    for (const socket of sockets) {
      socket.onmessage = null;
      socket.onclose = null;
      socket.terminate();
    }
    window.close();
  });
  return class extends WebSocket {
    constructor(url: string, protocols: string[]) {
      super(url, protocols);
      sockets.push(this);
    }
  } as unknown as typeof WebSocket;
}

async function seen(look: () => unknown): Promise<void> {
  while (!look()) await new Promise((done) => setTimeout(done, 10));
}
