/** The example for browsers in examples/clients, on a page of another origin than the gateway's. */
import assert from "node:assert/strict";
import { once } from "node:events";
import { readFile } from "node:fs/promises";
import { createServer } from "node:http";
import { basename, extname } from "node:path";
import { after, before, test } from "node:test";
import { launch } from "./browser.mjs";
import { OwnGateway, openAt } from "./own-gateway.mjs";

const FOLDER = new URL("../../examples/clients/javascript/", import.meta.url);
const TYPES = { ".html": "text/html", ".mjs": "text/javascript" };

let browser;
let gateway;
let site;
before(async () => {
  site = createServer(async (request, response) => {
    const name = basename(request.url);
    const content = await readFile(new URL(name, FOLDER)).catch(() => undefined);
    response.setHeader("content-type", TYPES[extname(name)] ?? "text/plain");
    response.writeHead(content === undefined ? 404 : 200).end(content);
  }).listen(0, "127.0.0.1");
  await once(site, "listening");
  const origin = `http://127.0.0.1:${site.address().port}`;
  [browser, gateway] = await Promise.all([launch(), OwnGateway.start({ CORS_ORIGINS: origin })]);
});
after(() => Promise.all([browser?.close(), gateway?.stop(), site?.close()]));

async function ask(page, token) {
  await page.getByLabel("Gateway").fill(gateway.url);
  await page.getByLabel("Token").fill(token);
  await page.getByRole("button", { name: "Ask" }).click();
}

test("a page of another site asks, shows the answer as it comes, and stops it", async () => {
  const address = `http://127.0.0.1:${site.address().port}/page.html`;
  const { page, context } = await openAt(browser, address);
  await ask(page, "nonsense");
  await page.getByText("unauthenticated").waitFor();
  await ask(page, gateway.token("ann"));
  await page.getByText("complete", { exact: true }).waitFor();
  const text = await page.locator("#answer").textContent();
  assert.ok(text.length > 100, text);

  await page.getByRole("button", { name: "Ask" }).click();
  await page.waitForFunction((old) => {
    const now = document.getElementById("answer").textContent;
    return now !== "" && now !== old;
  }, text);
  await page.getByRole("button", { name: "Stop" }).click();
  await page.getByText("stopped", { exact: true }).waitFor();
  await context.close();
});
