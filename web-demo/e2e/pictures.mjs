/**
 * Takes the pictures of the documents: `node pictures.mjs FOLDER`, with the gateway that has the sample knowledge at
 * `RIVULET_URL` and the program `RIVULET_BINARY` for one with users. `scripts/pictures.sh` does all of it.
 */
import assert from "node:assert/strict";
import { once } from "node:events";
import { join } from "node:path";
import { WebSocket } from "ws";
import { ask, finishedAnswer, launch, openPage } from "./browser.mjs";
import { OwnGateway, openAt } from "./own-gateway.mjs";

/** So long people talk before the admin page has lines worth a look. */
const TALKING_MS = 60_000;
const PEOPLE = [
  ["ann", "shop"],
  ["ben", "shop"],
  ["cleo", "museum"],
  ["dora", "museum"],
  ["emil", "north-clinic"],
  ["fred", "north-clinic"],
];

const [folder] = process.argv.slice(2);
assert.ok(folder, "usage: node pictures.mjs FOLDER");
const browser = await launch();

/** Questions, each in a conversation of its own, and two in the last one. */
async function talk(page) {
  for (const question of ["When is the shop open?", "How does Rivulet resume after a reconnect?"]) {
    await ask(page, question);
    await finishedAnswer(page, 1);
    await page.getByRole("button", { name: "New chat" }).click();
    await page.waitForFunction(() => {
      const { state, conversation } = window.rivulet.client;
      return state.name === "connected" && conversation.messages.length === 0;
    });
  }
  await ask(page, "How long can I return a tent?");
  await finishedAnswer(page, 1);
  await ask(page, "What does the Kestrel 2 tent cost?");
  await finishedAnswer(page, 2);
}

async function takePage() {
  const viewport = { width: 1400, height: 850 };
  const { page, misdeeds } = await openPage(browser, { viewport, colorScheme: "light" });
  await talk(page);
  await page
    .getByRole("link", { name: /^Source 1: / })
    .last()
    .click();
  await page.locator("#reader mark").first().waitFor();
  await page.getByText("Loading…", { exact: true }).waitFor({ state: "hidden" });
  await page
    .getByRole("navigation")
    .getByRole("link", { name: "When is the shop open?" })
    .waitFor();
  await page.screenshot({ path: join(folder, "page.png") });
  assert.deepEqual(misdeeds, []);
  await page.context().close();
}

async function takePhone() {
  const options = { viewport: { width: 320, height: 640 }, colorScheme: "dark" };
  const { page, misdeeds } = await openPage(browser, { ...options, deviceScaleFactor: 2 });
  await talk(page);
  await page.evaluate(() => document.activeElement?.blur());
  await page.screenshot({ path: join(folder, "phone.png") });
  assert.deepEqual(misdeeds, []);
  await page.context().close();
}

/** Somebody who asks again as soon as there is an answer, and says of most that it is good. */
function person(gateway, [user, tenant], n) {
  const address = new URL("api/v1/ws", gateway.url);
  address.protocol = "ws:";
  const socket = new WebSocket(address, "chat.v1");
  const say = (frame) => socket.send(JSON.stringify(frame));
  let asked = 0;
  socket.on("open", () => say({ type: "hello", token: gateway.token(user, { tenant }) }));
  socket.on("message", (data) => {
    const frame = JSON.parse(data);
    if (frame.type === "ping") say({ type: "pong", t: frame.t });
    if (frame.type === "run.done") {
      const value = (asked + n) % 4 === 0 ? -1 : 1;
      say({ type: "feedback", id: `f_${asked}`, message: frame.message, value });
    }
    if (frame.type === "welcome" || frame.type === "run.done")
      say({ type: "send", id: `q_${asked}`, text: `Question ${asked++} of ${user}` });
  });
  return socket;
}

async function takeAdmin() {
  const gateway = await OwnGateway.start();
  const root = gateway.token("root", { tenant: "ops", scope: "admin:tenants" });
  const viewport = { width: 1280, height: 800 };
  const { page, context } = await openAt(browser, `${gateway.url}/admin`, { viewport });
  const card = page.getByRole("form", { name: "Sign in" });
  await card.getByLabel("Token or API key").fill(root);
  await card.getByRole("button", { name: "Sign in", exact: true }).click();
  const people = PEOPLE.map((one, n) => person(gateway, one, n));
  for (const name of ["reports", "intranet"]) {
    const key = { name, tenant: "shop", user: name, scopes: ["chat"] };
    const made = await gateway.request("api/v1/admin/api-keys", root, key);
    assert.equal(made.status, 201, await made.text());
  }
  await page.waitForTimeout(TALKING_MS);
  await page.getByText("Left alone for").waitFor();
  await page.screenshot({ path: join(folder, "admin.png"), fullPage: true });
  for (const socket of people) {
    const closed = once(socket, "close");
    socket.close();
    await closed;
  }
  await context.close();
  await gateway.stop();
}

try {
  await takePage();
  await takePhone();
  await takeAdmin();
} finally {
  await browser.close();
}
