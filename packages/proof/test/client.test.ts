import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { gzipSync } from "node:zlib";
import { build, type Rolldown } from "vite";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { Gateway } from "../../client/test/gateway.js";
import { EmptyProject } from "./empty-project.js";

const LIMIT_BYTES = 12 * 1024;

const PROGRAM = `
import { answered, RivuletClient, type Message, type RivuletOptions } from "@rivulet/client";
import { WebSocket } from "ws";

const options: RivuletOptions = { url: process.argv[2] ?? "", token: "t", webSocket: WebSocket };
const client = new RivuletClient(options);
client.on("error", ({ code }: { code: string }) => console.error(code));
client.connect();
const answer: Message = await answered(client, client.send("Why?"));
console.log(answer.text, answer.verified);
client.close();
`;

let project: EmptyProject;
let gateway: Gateway;

beforeAll(async () => {
  project = await EmptyProject.with(["client"], ["ws", "@types/ws", "@types/node"]);
  await project.write({ "program.ts": PROGRAM });
});
afterAll(() => project?.remove());

beforeEach(async () => {
  gateway = await new Gateway().start();
  gateway.token = "t";
  gateway.onQuestion = (answer) => {
    answer.write("Because.");
    answer.done();
  };
});
afterEach(() => gateway.stop());

describe("@rivulet/client, packed", () => {
  it("has types for bundlers, and for Node without those of a browser", async () => {
    expect(await project.typeErrors("bundler", { types: ["node"] })).toBe("");
    const plain = { types: ["node"], lib: ["es2022"] };
    expect(await project.typeErrors("nodenext", plain)).toBe("");
    await project.write({ "wrong.ts": 'import { nothing } from "@rivulet/client"; nothing;' });
    expect(await project.typeErrors("nodenext", plain)).toContain("wrong.ts(1,10)");
    await project.write({ "wrong.ts": "" });
  });

  it("answers in Node, and lets the process end", async () => {
    const types = /^import \{ answered.*$/m;
    const plain = PROGRAM.replace(
      types,
      'import { answered, RivuletClient } from "@rivulet/client";',
    )
      .replaceAll(": RivuletOptions", "")
      .replaceAll(": Message", "")
      .replace(": { code: string }", "");
    await project.write({ "program.mjs": plain });
    expect(await project.run("node", "program.mjs", gateway.url)).toBe("Because. true\n");
  });

  it("brings nothing along: no dependencies, no tests", async () => {
    const path = join(project.folder, "node_modules/@rivulet/client/package.json");
    expect(JSON.parse(await readFile(path, "utf8"))).not.toHaveProperty("dependencies");
    const listed = await project.run("tar", "-tzf", "rivulet-client-0.1.0.tgz");
    const others = listed
      .trim()
      .split("\n")
      .filter(
        (name) =>
          !/^package\/(dist\/[\w-]+\.(d\.ts|js)|package\.json|README\.md|LICENSE)$/.test(name),
      );
    expect(others).toEqual([]);
    expect(listed).toContain("package/LICENSE");
  });

  it(`is not longer than ${LIMIT_BYTES} bytes, compressed, with all that it has`, async () => {
    const code = await bundle(project.folder, 'export * from "@rivulet/client";');
    const size = gzipSync(code, { level: 9 }).length;
    process.stdout.write(`@rivulet/client: ${code.length} bytes, ${size} compressed\n`);
    expect(size).toBeLessThanOrEqual(LIMIT_BYTES);
    // Nothing in it waits for a page, or for Node.
    expect(code).not.toMatch(/\bprocess\b|\brequire\(|from"/);
  });
});

/** What a page would load. */
async function bundle(root: string, entry: string): Promise<string> {
  await project.write({ "entry.js": entry });
  const output = (await build({
    root,
    configFile: false,
    logLevel: "error",
    build: {
      write: false,
      target: "es2022",
      minify: true,
      lib: { entry: join(root, "entry.js"), formats: ["es"] },
    },
  })) as Rolldown.RolldownOutput[];
  return output[0]?.output[0].code ?? "";
}
