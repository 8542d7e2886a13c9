/** The page against a running gateway: asking, streaming, reloading, stopping. */
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import {
  answerOfLength,
  ask,
  connected,
  finishedAnswer,
  launch,
  longConversation,
  newestAnswer,
  openPage,
  storedMessages,
} from "./browser.mjs";

const SHORT = "How long can I return a tent?";
const LONG = "Explain everything: how does Rivulet resume, stop, store, stream and cite?";

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

  const sources = page.getByRole("region", { name: "Sources" }).locator("details.source");
  assert.ok((await sources.count()) > 0, "the answer lists its sources");
  assert.ok(await sources.first().isVisible(), "the cited one is there to see");
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

  // One answer was fetched as a whole, the other in the making; now both come as a whole.
  const shown = await sourcesOfAnswers(page, 2);
  await page.reload();
  assert.deepEqual(await sourcesOfAnswers(page, 2), shown);
  assert.deepEqual(misdeeds, []);
  await page.context().close();
});

/** The titles of the sources below each answer on the page, as soon as so many answers have some. */
async function sourcesOfAnswers(page, count) {
  const lists = page.locator(".answer .sources:not([hidden])");
  await lists.nth(count - 1).waitFor();
  return lists.evaluateAll((all) =>
    all.map((list) =>
      [...list.querySelectorAll(".source-title")].map((title) => title.textContent),
    ),
  );
}

test("a hidden page is spared the deltas and gets the rest in one on its return", async () => {
  const { page, misdeeds } = await openPage(browser);
  const deltas = [];
  await page.exposeFunction("noteDelta", (text) => deltas.push(text));
  await page.evaluate(() =>
    window.rivulet.client.on("delta", ({ text }) => window.noteDelta(text)),
  );
  await ask(page, LONG);
  await answerOfLength(page, 1, 10);
  await setHidden(page, true);
  const text = await storedAnswer(page);
  const held = await newestAnswer(page);
  assert.equal(held.status, "streaming", "the answer was over before the page was hidden");
  const before = deltas.length;
  await setHidden(page, false);
  const answer = await finishedAnswer(page, 1);
  assert.equal(answer.text, text);
  assert.equal(answer.verified, true);
  assert.deepEqual(deltas.slice(before), [text.slice(held.text.length)]);
  assert.deepEqual(misdeeds, []);
  await page.context().close();
});

/** What a browser does when its window is covered; no automated one covers windows. */
const setHidden = (page, hidden) =>
  page.evaluate((now) => {
    const visibilityState = now ? "hidden" : "visible";
    Object.defineProperty(document, "hidden", { configurable: true, get: () => now });
    Object.defineProperty(document, "visibilityState", {
      configurable: true,
      get: () => visibilityState,
    });
    document.dispatchEvent(new Event("visibilitychange"));
  }, hidden);

/** The text of the newest answer, as soon as the gateway has stored it as complete. */
async function storedAnswer(page) {
  const deadline = Date.now() + 20_000;
  while (Date.now() < deadline) {
    const newest = (await storedMessages(page)).at(-1);
    if (newest.role === "assistant" && newest.status === "complete") return newest.text;
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  return assert.fail("the answer was not finished within 20 s");
}

test("the earlier part of a long conversation comes on demand, and nothing moves", async () => {
  const session = await longConversation(27);
  const { page, misdeeds } = await openPage(browser, {}, `?session=${session}`);
  const articles = page.getByRole("article");
  await articles.nth(49).waitFor();
  assert.equal(await articles.count(), 50);
  const button = page.getByRole("button", { name: "Show earlier messages" });
  await button.focus();
  await page.evaluate(() => {
    window.firstBefore = document.querySelector("article");
    window.topBefore = window.firstBefore.getBoundingClientRect().top;
  });
  await page.keyboard.press("Enter");
  await articles.nth(53).waitFor({ state: "attached" });
  assert.equal(await articles.count(), 54);
  assert.equal(await articles.first().locator("p").first().textContent(), "Question 0");
  await button.waitFor({ state: "hidden" });
  const moved = await page.evaluate(
    () => window.firstBefore.getBoundingClientRect().top - window.topBefore,
  );
  assert.ok(Math.abs(moved) <= 1, `the text moved by ${moved} px`);
  assert.equal(await page.evaluate(() => document.activeElement.id), "log");
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

test("messages written without a connection are all answered, in their order", async () => {
  const { page, misdeeds } = await openPage(browser);
  await page.evaluate(() => window.rivulet.client.breakConnection());
  const texts = ["What does the Kestrel 2 tent cost?", SHORT, "What happens when I press Stop?"];
  for (const text of texts) await ask(page, text);
  const last = await finishedAnswer(page, 3);
  assert.equal(last.status, "complete");
  const messages = await storedMessages(page);
  assert.deepEqual(
    messages.map(({ role, text }) => (role === "user" ? text : role)),
    texts.flatMap((text) => [text, "assistant"]),
  );
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
