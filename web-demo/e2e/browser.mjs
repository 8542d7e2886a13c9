/** Opens pages of the gateway under test, and collects what a page must never do. */
import assert from "node:assert/strict";
import { once } from "node:events";
import { existsSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { createRequire } from "node:module";
import { delimiter, join } from "node:path";
import { chromium } from "playwright-core";
import { WebSocket } from "ws";

export const gateway = new URL(process.env.RIVULET_URL ?? "http://127.0.0.1:8080/");

/** The names of the browser, looked for on the path; `scripts/setup.sh` has the same list. */
const BROWSERS = ["chromium", "chromium-browser", "google-chrome"];

const axe = createRequire(import.meta.url).resolve("axe-core/axe.min.js");

const FLAGS = [
  "--no-sandbox",
  "--disable-gpu",
  "--disable-quic",
  "--no-first-run",
  "--disable-background-networking",
  "--disable-component-update",
  "--disable-sync",
];

/** The program that `CHROMIUM` names, or else the first one of a known name. */
function installedBrowser() {
  if (process.env.CHROMIUM) return process.env.CHROMIUM;
  const folders = (process.env.PATH ?? "").split(delimiter);
  return BROWSERS.flatMap((name) => folders.map((folder) => join(folder, name))).find(existsSync);
}

export async function launch() {
  const executablePath = installedBrowser();
  assert.ok(executablePath, "no Chromium found; name one with the environment variable CHROMIUM");
  // With scrollbars, as people have them.
  const ignoreDefaultArgs = ["--hide-scrollbars"];
  return chromium.launch({ executablePath, args: FLAGS, ignoreDefaultArgs });
}

/**
 * A fresh profile with one page, and the list of its misdeeds, which has to stay empty. With `scripted`, that
 * conversation is behind its socket in the place of the gateway's.
 */
export async function openPage(browser, options = {}, query = "", scripted = null) {
  const opened = await openAny(browser, query, options, scripted);
  await connected(opened.page);
  return opened;
}

/** Any page of the gateway in a fresh profile, as soon as it is loaded, and its misdeeds. */
export async function openAny(browser, path, options = {}, scripted = null) {
  const context = await browser.newContext({ viewport: { width: 1100, height: 800 }, ...options });
  await scripted?.behind(context);
  const page = await context.newPage();
  const misdeeds = [];
  page.on("console", (message) => {
    if (["error", "warning"].includes(message.type())) misdeeds.push(message.text());
  });
  page.on("pageerror", (error) => misdeeds.push(String(error)));
  page.on("request", (request) => {
    if (new URL(request.url()).host !== gateway.host) misdeeds.push(`request to ${request.url()}`);
  });
  await page.goto(new URL(path, gateway).href);
  return { page, misdeeds };
}

export const connected = (page) =>
  page.waitForFunction(() => window.rivulet?.client.state.name === "connected");

export async function ask(page, text) {
  await page.getByLabel("Message", { exact: true }).fill(text);
  await page.getByRole("button", { name: "Send" }).click();
}

/** The newest answer as the client holds it, not as it is rendered; `null` before there is one. */
export const newestAnswer = (page) =>
  page.evaluate(() => {
    const { client } = window.rivulet;
    const message = client.conversation.messages.at(-1);
    if (message?.role !== "assistant") return null;
    return { text: message.text, status: message.status, verified: message.verified };
  });

/** Waits until answer number `count` (from 1) of the conversation holds at least `length` characters. */
export const answerOfLength = (page, count, length) =>
  page.waitForFunction(
    ([wanted, least]) => {
      const { messages } = window.rivulet.client.conversation;
      const answer = messages.filter(({ role }) => role === "assistant")[wanted - 1];
      return answer !== undefined && answer.text.length >= least;
    },
    [count, length],
    { polling: "raf" },
  );

/** Waits until answer number `count` is over, and gives it. */
export async function finishedAnswer(page, count) {
  const handle = await page.waitForFunction((wanted) => {
    const { conversation } = window.rivulet.client;
    const answer = conversation.messages.filter(({ role }) => role === "assistant")[wanted - 1];
    const live = [...conversation.runs.values()].length > 0;
    return answer && !live && answer.status !== "streaming" && answer;
  }, count);
  return handle.jsonValue();
}

/** The conversation as the gateway has stored it. */
export async function storedMessages(page) {
  const session = await page.evaluate(() => window.rivulet.client.session);
  const response = await fetch(new URL(`api/v1/sessions/${session}`, gateway));
  assert.equal(response.status, 200);
  return (await response.json()).messages;
}

/** A session with so many questions, each answered with no more than its beginning. */
export async function longConversation(questions) {
  const address = new URL("api/v1/ws", gateway);
  address.protocol = "ws:";
  const socket = new WebSocket(address);
  let session;
  let asked = 0;
  const say = (frame) => socket.send(JSON.stringify(frame));
  const next = () => {
    if (asked < questions) say({ type: "send", text: `Question ${asked++}` });
    else socket.close();
  };
  socket.on("message", (data) => {
    const frame = JSON.parse(data);
    if (frame.type === "welcome") session = frame.session;
    if (frame.type === "welcome" || frame.type === "run.done") next();
    if (frame.type === "run.start") say({ type: "stop", run: frame.run });
  });
  await once(socket, "close");
  return session;
}

/** Serious and critical findings, in words short enough to act on. */
export async function violations(page) {
  // Evaluated rather than added as a script: the page's own policy would rightly refuse it.
  await page.evaluate(await readFile(axe, "utf8"));
  const { violations: found } = await page.evaluate(() => window.axe.run());
  return found
    .filter(({ impact }) => impact === "serious" || impact === "critical")
    .map(({ id, nodes }) => `${id}: ${nodes.map(({ html }) => html).join(" ")}`);
}
