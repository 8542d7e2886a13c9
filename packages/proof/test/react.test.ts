import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { EmptyProject } from "./empty-project.js";

const APP = `
import { Composer, RivuletProvider, Thread, useRivulet } from "@rivulet/react";

function Status() {
  const { status, connection } = useRivulet();
  return <p>{status}, {connection.name}</p>;
}

export function App({ url }: { url: string }) {
  return (
    <RivuletProvider options={{ url }}>
      <Status />
      <Thread />
      <Composer />
    </RivuletProvider>
  );
}
`;

const SERVER = `
import { createElement } from "react";
import { renderToString } from "react-dom/server";
import { Composer, RivuletProvider, Thread } from "@rivulet/react";

const parts = [createElement(Thread, { key: 1 }), createElement(Composer, { key: 2 })];
const options = { url: "http://gateway.test" };
console.log(renderToString(createElement(RivuletProvider, { options }, parts)));
`;

let project: EmptyProject;

beforeAll(async () => {
  project = await EmptyProject.with(
    ["client", "react"],
    ["react", "react-dom", "scheduler", "@types/react", "@types/react-dom", "csstype"],
  );
  await project.write({ "app.tsx": APP, "server.mjs": SERVER });
});
afterAll(() => project?.remove());

describe("@rivulet/react, packed", () => {
  it("has types for bundlers and for Node", async () => {
    const options = { jsx: "react-jsx", lib: ["es2022", "dom"] };
    expect(await project.typeErrors("bundler", options)).toBe("");
    expect(await project.typeErrors("nodenext", options)).toBe("");
  });

  it("renders in plain Node, where there is no page, and lets the process end", async () => {
    expect(await project.run("node", "server.mjs")).toContain('<ol role="log"');
  });

  it("says to bundlers that its parts are for the client", async () => {
    const head = await project.run("head", "-1", "node_modules/@rivulet/react/dist/hooks.js");
    expect(head).toBe('"use client";\n');
  });
});
