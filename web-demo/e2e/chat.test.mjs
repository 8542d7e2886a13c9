/** The page against a running gateway: asking, streaming, reloading, stopping. */
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import {
  answerOfLength,
  ask,
  connected,
  finishedAnswer,
  launch,
  newestAnswer,
  openPage,
  storedMessages,
} from "./browser.mjs";

const SHORT = "How long can I return a tent?";
const LONG = "How does Rivulet resume after a reconnect? Tell me everything about it.";

let browser;
before(async () => {
  browser = await launch();
});
after(() => browser?.close());

test("an answer arrives bit by bit, with sources, and is stored as shown", async () => {
  const { page, misdeeds } = await openPage(browser);
  // Noted inside the page, at every painting: looking from here would miss most of them.
  await page.evaluate(() => {
    window.lengths = new Set();
    new MutationObserver(() => {
      const text = document.querySelector(".answer[data-live] .markdown")?.textContent ?? "";
      if (text !== "") window.lengths.add(text.length);
    }).observe(document.getElementById("messages"), { childList: true, subtree: true });
  });
  await ask(page, SHORT);
  await page.getByRole("article", { name: "You" }).getByText(SHORT).waitFor();
  const answer = await finishedAnswer(page, 1);
  assert.equal(answer.status, "complete");
  assert.equal(answer.verified, true);

  const steps = await page.evaluate(() => [...window.lengths]);
  assert.ok(steps.length >= 3, `the shown text grew in ${steps.length} steps: ${steps}`);

  const sources = page.getByRole("region", { name: "Sources" }).getByRole("group");
  assert.ok((await sources.count()) > 0, "the answer lists its sources");
  await sources.first().locator("summary").click();
  await sources.first().locator("blockquote").waitFor({ state: "visible" });
  await page.getByRole("button", { name: "Copy answer" }).waitFor();

  assert.equal((await storedMessages(page)).at(-1).text, answer.text);
  assert.deepEqual(misdeeds, []);
  await page.context().close();
});

test("a reload in the middle of an answer loses and doubles nothing", async () => {
  const { page, misdeeds } = await openPage(browser);
  await ask(page, SHORT);
  await finishedAnswer(page, 1);
  await ask(page, LONG);
  await answerOfLength(page, 2, 20);
  const atReload = await newestAnswer(page);
  assert.equal(atReload.status, "streaming", "the answer was over before the page could reload");
  await page.reload();
  await connected(page);
  const answer = await finishedAnswer(page, 2);
  assert.ok(answer.text.startsWith(atReload.text), "what was there before is there again");
  assert.ok(answer.text.length > atReload.text.length, "and it went on");
  assert.equal((await storedMessages(page)).at(-1).text, answer.text);
  assert.equal(await page.getByRole("article", { name: "Answer" }).count(), 2);
  assert.deepEqual(misdeeds, []);
  await page.context().close();
});

test("a broken connection in the middle of an answer heals", async () => {
  const { page, misdeeds } = await openPage(browser);
  await ask(page, LONG);
  await answerOfLength(page, 1, 20);
  await page.evaluate(() => window.rivulet.client.breakConnection());
  await connected(page);
  const answer = await finishedAnswer(page, 1);
  assert.equal(answer.verified, true, "length and checksum are right");
  assert.equal((await storedMessages(page)).at(-1).text, answer.text);
  assert.deepEqual(misdeeds, []);
  await page.context().close();
});

test("Stop ends an answer and keeps what was written", async () => {
  const { page, misdeeds } = await openPage(browser);
  await ask(page, LONG);
  await answerOfLength(page, 1, 20);
  await page.getByRole("button", { name: "Stop" }).click();
  const stopped = await finishedAnswer(page, 1);
  assert.equal(stopped.status, "stopped");
  await page.getByRole("article").getByText("You stopped this answer").waitFor();

  // A whole further answer goes by: a run that had not really stopped would have written on.
  await ask(page, SHORT);
  await finishedAnswer(page, 2);
  const stored = (await storedMessages(page)).find(({ id }) => id === stopped.id);
  assert.equal(stored.text, stopped.text);
  const held = await page.evaluate(() => window.rivulet.client.conversation.messages[1].text);
  assert.equal(held, stopped.text);
  assert.deepEqual(misdeeds, []);
  await page.context().close();
});

test("New chat starts an empty conversation, and the link leads back to the old one", async () => {
  const { page, misdeeds } = await openPage(browser);
  await ask(page, SHORT);
  const { text } = await finishedAnswer(page, 1);
  const old = await page.evaluate(() => window.rivulet.client.session);
  await page.getByRole("button", { name: "New chat" }).click();
  await page.getByRole("heading", { name: "What would you like to know?" }).waitFor();
  await page.waitForFunction((id) => window.rivulet.client.session !== id, old);
  await connected(page);
  assert.equal(await page.getByRole("article").count(), 0);

  await page.goto(new URL(`?session=${old}`, page.url()).href);
  await connected(page);
  assert.equal((await finishedAnswer(page, 1)).text, text);
  assert.deepEqual(misdeeds, []);
  await page.context().close();
});
