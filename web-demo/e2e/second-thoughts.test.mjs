/** What may be done with a conversation afterwards: ask again, ask otherwise, tell what it was worth. */
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { ask, connected, finishedAnswer, launch, openPage, storedMessages } from "./browser.mjs";

const SHORT = "How long can I return a tent?";
const OTHER = "What does the Kestrel 2 tent cost?";

let browser;
before(async () => {
  browser = await launch();
});
after(() => browser?.close());

/** The ids and texts of what the page shows. */
const shown = (page) =>
  page.evaluate(() =>
    window.rivulet.client.conversation.messages.map(({ id, text }) => ({ id, text })),
  );

/** Waits until the newest answer is another one than `old`, and finished. */
async function answerAfter(page, old) {
  await page.waitForFunction((id) => {
    const newest = window.rivulet.client.conversation.messages.at(-1);
    return newest?.role === "assistant" && newest.id !== id && newest.verified === true;
  }, old);
  return (await shown(page)).at(-1);
}

async function assertStoredAsShown(page) {
  const stored = (await storedMessages(page)).map(({ id, text }) => ({ id, text }));
  assert.deepEqual(stored, await shown(page));
}

test("Try again puts a new answer in the place of the last one, in every page", async () => {
  const { page, misdeeds } = await openPage(browser);
  await ask(page, SHORT);
  const old = await finishedAnswer(page, 1);
  const session = await page.evaluate(() => window.rivulet.client.session);
  const other = await openPage(browser, {}, `?session=${session}`);
  await finishedAnswer(other.page, 1);

  await page.getByRole("button", { name: "Try again" }).click();
  const answer = await answerAfter(page, old.id);
  assert.deepEqual(await answerAfter(other.page, old.id), answer);
  for (const view of [page, other.page]) {
    assert.equal(await view.getByRole("article", { name: "Answer" }).count(), 1);
    assert.equal(await view.getByRole("article", { name: "You" }).count(), 1);
    assert.equal(await view.getByRole("button", { name: "Try again" }).count(), 1);
  }
  await assertStoredAsShown(page);
  assert.deepEqual([...misdeeds, ...other.misdeeds], []);
  await other.page.context().close();
  await page.context().close();
});

test("only the last answer can be asked for again", async () => {
  const { page, misdeeds } = await openPage(browser);
  await ask(page, SHORT);
  await finishedAnswer(page, 1);
  await ask(page, OTHER);
  await finishedAnswer(page, 2);
  const answers = page.getByRole("article", { name: "Answer" });
  await answers.nth(1).getByRole("button", { name: "Try again" }).waitFor();
  assert.equal(await answers.nth(0).getByRole("button", { name: "Try again" }).count(), 0);
  assert.deepEqual(misdeeds, []);
  await page.context().close();
});

test("an edited message replaces what came after it, by keyboard alone", async () => {
  const { page, misdeeds } = await openPage(browser);
  await ask(page, SHORT);
  await finishedAnswer(page, 1);
  await ask(page, OTHER);
  const last = await finishedAnswer(page, 2);

  const edit = page.getByRole("article", { name: "You" }).first().getByRole("button");
  await edit.focus();
  await page.keyboard.press("Enter");
  const editor = page.getByLabel("Edit your message");
  assert.equal(await editor.inputValue(), SHORT);
  await page.keyboard.type(" And a");
  await page.keyboard.press("Escape");
  assert.ok(await edit.evaluate((button) => button === document.activeElement), "focus returns");
  assert.equal((await shown(page))[0].text, SHORT);

  await page.keyboard.press("Enter");
  await editor.fill("Where");
  await page.keyboard.press("Shift+Enter");
  await page.keyboard.type("is the store?");
  await page.keyboard.press("Enter");
  await answerAfter(page, last.id);
  const messages = await shown(page);
  assert.equal(messages.length, 2);
  assert.equal(messages[0].text, "Where\nis the store?");
  assert.equal(await page.getByRole("article").count(), 2);
  await assertStoredAsShown(page);

  const before = await shown(page);
  await page.reload();
  await connected(page);
  await finishedAnswer(page, 1);
  assert.deepEqual(await shown(page), before);
  assert.deepEqual(misdeeds, []);
  await page.context().close();
});

test("feedback is kept with the answer, and is there after a reload", async () => {
  const { page, misdeeds } = await openPage(browser);
  await ask(page, SHORT);
  await finishedAnswer(page, 1);
  const good = page.getByRole("button", { name: "Good answer" });
  const bad = page.getByRole("button", { name: "Bad answer" });
  await bad.click();
  await good.click();
  const comment = page.getByLabel("Comment on this answer");
  await comment.fill("Short and right");
  await page.keyboard.press("Enter");
  await page.getByText("Short and right").waitFor();
  await page.waitForFunction(() => window.rivulet.client.outgoing.length === 0);
  const kept = (await storedMessages(page)).at(-1).feedback;
  assert.deepEqual(kept, { value: 1, comment: "Short and right" });

  await page.reload();
  await connected(page);
  await page.getByText("Short and right").waitFor();
  assert.equal(await good.getAttribute("aria-pressed"), "true");
  assert.equal(await bad.getAttribute("aria-pressed"), "false");
  await bad.click();
  await page.keyboard.press("Tab");
  assert.ok(await comment.evaluate((field) => field === document.activeElement));
  await page.keyboard.press("Escape");
  assert.equal(await comment.isVisible(), false);
  assert.deepEqual(misdeeds, []);
  await page.context().close();
});
