/** Documents for the tests of the page: folders to drop, and a connection that breaks. */
import assert from "node:assert/strict";
import { cp, mkdtemp, writeFile } from "node:fs/promises";
import { connect, createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { gateway } from "./browser.mjs";

const FILES = new URL("../../tests/files/", import.meta.url);

/** A folder with some of the project's documents, and texts of its own. */
export async function folderOf(files, texts = {}) {
  const folder = await mkdtemp(join(tmpdir(), "library-"));
  for (const name of files) await cp(new URL(name, FILES), join(folder, name));
  for (const [name, text] of Object.entries(texts)) await writeFile(join(folder, name), text);
  return folder;
}

/** As from a window of the system beside the browser: no script can make such an event. */
export async function drop(page, ...paths) {
  const session = await page.context().newCDPSession(page);
  const data = { items: [], files: paths, dragOperationsMask: 1 };
  const drag = (type) => session.send("Input.dispatchDragEvent", { type, x: 300, y: 300, data });
  await drag("dragEnter");
  await drag("dragOver");
  await page.locator("#drop-curtain").waitFor();
  await drag("drop");
  await page.locator("#drop-curtain").waitFor({ state: "hidden" });
}

export const openDocuments = async (page) => {
  await page.getByRole("button", { name: "Documents", exact: true }).first().click();
  await page.getByRole("complementary", { name: "Documents" }).waitFor();
};

/** The row of a document by its title. */
export const rowOf = (page, title) =>
  page
    .locator("#shelf-list > li")
    .filter({ has: page.locator(".document-name", { hasText: title }) });

export const ready = (page, title) =>
  rowOf(page, title).getByText("Ready", { exact: true }).waitFor();

/** Opens what can be done with a document. */
export async function actionsOf(page, title) {
  await rowOf(page, title).locator("summary").click();
  return rowOf(page, title);
}

const api = (path, init) => fetch(new URL(`api/v1/${path}`, gateway), init);

async function listed(collection) {
  const response = await api(`documents?collection=${collection}&limit=200`);
  return response.status === 404 ? [] : (await response.json()).documents;
}

/** The documents that a gateway under test has from its start; the other tests ask for them. */
const there = new Set((await listed("default")).map(({ document }) => document));

/** What tests have put into a collection. */
export const documentsOf = async (collection = "default") =>
  (await listed(collection)).filter(({ document }) => !there.has(document));

/** What other tests ask for must not be answered from what is left of this one. */
export async function clear() {
  for (const { document } of await documentsOf()) {
    const { status } = await api(`documents/${document}`, { method: "DELETE" });
    assert.ok(status === 204 || status === 202, `status ${status}`);
  }
}

/** A way to the gateway that breaks each upload off, until it is mended, after so many bytes of it. */
export async function breakingWay(bytes) {
  const state = { broken: true, cuts: 0 };
  const server = createServer((near) => {
    const far = connect(Number(gateway.port), gateway.hostname);
    let uploading = false;
    let seen = 0;
    near.on("data", (data) => {
      uploading ||= data.includes("POST /api/v1/documents ");
      if (uploading) seen += data.length;
      if (uploading && state.broken && seen > bytes) {
        state.cuts++;
        near.resetAndDestroy();
        far.destroy();
      } else if (!far.write(data)) {
        near.pause();
        far.once("drain", () => near.resume());
      }
    });
    far.on("data", (data) => near.write(data));
    for (const [one, other] of [
      [near, far],
      [far, near],
    ]) {
      one.on("error", () => other.destroy());
      one.on("close", () => other.destroy());
    }
  });
  await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
  const url = `http://127.0.0.1:${server.address().port}/`;
  return { url, state, close: () => server.close() };
}
