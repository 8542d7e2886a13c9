import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { EmptyProject } from "./empty-project.js";

const PROGRAM = `
import { RivuletChatTransport } from "@rivulet/ai-sdk";
import type { ChatTransport, UIMessage } from "ai";

const transport: ChatTransport<UIMessage> = new RivuletChatTransport({ url: "http://gateway.test" });
const nothing = await transport.reconnectToStream({ chatId: "new" });
console.log(nothing);
`;

let project: EmptyProject;

beforeAll(async () => {
  project = await EmptyProject.with(["client", "ai-sdk"], ["ai", "@types/node"]);
  const plain = PROGRAM.replace(/^import type .*$/m, "").replace(": ChatTransport<UIMessage>", "");
  await project.write({ "program.ts": PROGRAM, "program.mjs": plain });
});
afterAll(() => project?.remove());

describe("@rivulet/ai-sdk, packed", () => {
  it("is a transport to the compiler, for bundlers and for Node", async () => {
    // The declarations of `ai` want more than there is: those of others are not looked at.
    const options = { lib: ["es2022", "dom"], types: ["node"], skipLibCheck: true };
    expect(await project.typeErrors("bundler", options)).toBe("");
    expect(await project.typeErrors("nodenext", options)).toBe("");
  });

  it("runs in plain Node, and opens nothing for a chat without anything in it", async () => {
    expect(await project.run("node", "program.mjs")).toBe("null\n");
  });
});
