import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { build, type Rolldown } from "vite";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { EmptyProject } from "./empty-project.js";

const PROGRAM = `
import { RivuletChat, type ChatMessage, type RivuletChatElement } from "@rivulet/widget";

const chat: RivuletChatElement = new RivuletChat();
chat.setAttribute("server", "https://chat.example/");
chat.token = async (expired: boolean) => (expired ? null : "t");
chat.addEventListener("rv-message", ({ detail }) => {
  const message: ChatMessage = detail;
  console.log(message.text);
});
document.body.append(chat);
void document.createElement("rivulet-chat").ask("Why?");
`;

let project: EmptyProject;

beforeAll(async () => {
  project = await EmptyProject.with(["widget"]);
  await project.write({ "program.ts": PROGRAM });
});
afterAll(() => project?.remove());

describe("@rivulet/widget, packed", () => {
  it("has types for bundlers and for Node", async () => {
    const options = { lib: ["es2022", "dom"] };
    expect(await project.typeErrors("bundler", options)).toBe("");
    expect(await project.typeErrors("nodenext", options)).toBe("");
    const wrong = 'document.createElement("rivulet-chat").shout();';
    await project.write({ "wrong.ts": `import "@rivulet/widget"; ${wrong}` });
    expect(await project.typeErrors("nodenext", options)).toContain("shout");
    await project.write({ "wrong.ts": "" });
  });

  it("brings nothing along: no dependencies, no sources, no tests", async () => {
    const path = join(project.folder, "node_modules/@rivulet/widget/package.json");
    expect(JSON.parse(await readFile(path, "utf8"))).not.toHaveProperty("dependencies");
    const listed = await project.run("tar", "-tzf", "rivulet-widget-0.1.0.tgz");
    const known =
      /^package\/(dist\/(widget\.js|api\.d\.ts|assets\/widget-[\w-]+\.js)|package\.json|README\.md|LICENSE)$/;
    const others = listed.split("\n").filter((name) => name !== "" && !known.test(name));
    expect(others).toEqual([]);
    expect(listed).toContain("package/dist/widget.js");
    expect(await readdir(join(project.folder, "node_modules/@rivulet"))).toEqual(["widget"]);
  });

  it("is taken by a bundler, and stays in pieces", async () => {
    const output = (await build({
      root: project.folder,
      configFile: false,
      logLevel: "error",
      build: { write: false, rolldownOptions: { input: join(project.folder, "program.ts") } },
    })) as Rolldown.RolldownOutput;
    const names = output.output.map(({ fileName }) => fileName);
    expect(names.some((name) => name.includes("panel"))).toBe(true);
    expect(names.some((name) => name.includes("files"))).toBe(true);
  });
});
