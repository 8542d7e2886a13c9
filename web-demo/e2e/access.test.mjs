/** Who uses the page otherwise than with a mouse and in daylight. */
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import {
  answerOfLength,
  connected,
  finishedAnswer,
  launch,
  openPage,
  violations,
} from "./browser.mjs";

const QUESTION = "How long can I return a tent?";
const LONG = "Explain everything: how does Rivulet resume, stop, store, stream and cite?";

let browser;
before(async () => {
  browser = await launch();
});
after(() => browser?.close());

test("the whole way by keyboard: ask, stop, read sources, start anew", async () => {
  const { page, misdeeds } = await openPage(browser);
  const box = page.getByLabel("Message", { exact: true });
  assert.ok(await box.evaluate((element) => element === document.activeElement), "ready to type");
  await page.keyboard.type("First line");
  await page.keyboard.press("Shift+Enter");
  await page.keyboard.type("second line");
  assert.equal(await box.inputValue(), "First line\nsecond line");
  await box.fill("");

  await page.keyboard.type(LONG);
  await page.keyboard.press("Enter");
  await answerOfLength(page, 1, 1);
  await page.keyboard.press("Escape");
  assert.equal((await finishedAnswer(page, 1)).status, "stopped");

  await page.keyboard.type(QUESTION);
  await page.keyboard.press("Enter");
  await finishedAnswer(page, 2);
  await tabTo(page, ".source summary", "Shift+Tab");
  await page.keyboard.press("Enter");
  await page.locator("details.source[open]").first().waitFor();
  await tabTo(page, "#new-chat", "Shift+Tab");
  await page.keyboard.press("Enter");
  await page.getByRole("heading", { name: "What would you like to know?" }).waitFor();
  assert.deepEqual(misdeeds, []);
  await page.context().close();
});

/** Moves the focus with `key` until it is on an element that matches. */
async function tabTo(page, selector, key) {
  for (let presses = 0; presses < 60; presses++) {
    await page.keyboard.press(key);
    const there = await page.evaluate(
      (wanted) => document.activeElement?.matches(wanted),
      selector,
    );
    if (there) return;
  }
  assert.fail(`${selector} cannot be reached with ${key}`);
}

test("the finished answer is announced once, the tokens are not", async () => {
  const { page, misdeeds } = await openPage(browser);
  await page.evaluate(() => {
    window.announced = [];
    new MutationObserver(() => {
      window.announced.push(document.getElementById("announcer").textContent);
    }).observe(document.getElementById("announcer"), { childList: true });
  });
  assert.equal(await page.getByRole("log").getAttribute("aria-live"), "off");
  await page.keyboard.type(QUESTION);
  await page.keyboard.press("Enter");
  const { text } = await finishedAnswer(page, 1);
  await page.waitForFunction(() => window.announced.length >= 2);
  const announced = await page.evaluate(() => window.announced);
  assert.equal(announced.length, 2, "one for the beginning, one for the end");
  assert.ok(announced[1].includes(text));
  assert.deepEqual(misdeeds, []);
  await page.context().close();
});

test("the theme follows the system until it is chosen, and the choice lasts", async () => {
  const { page, misdeeds } = await openPage(browser, { colorScheme: "dark" });
  const ground = () => page.evaluate(() => getComputedStyle(document.body).backgroundColor);
  const dialog = page.getByRole("dialog", { name: "Settings" });
  const dark = await ground();
  await page.getByRole("button", { name: "Settings" }).click();
  assert.ok(await dialog.getByLabel("Like the system").isChecked());
  await dialog.getByLabel("Light").check();
  const light = await ground();
  assert.notEqual(light, dark);
  await page.reload();
  await connected(page);
  assert.equal(await ground(), light);
  await page.getByRole("button", { name: "Settings" }).click();
  assert.ok(await dialog.getByLabel("Light").isChecked());
  await dialog.getByLabel("Like the system").check();
  assert.equal(await ground(), dark);
  await page.reload();
  assert.equal(await ground(), dark);
  assert.deepEqual(misdeeds, []);
  await page.context().close();
});

for (const [name, options] of [
  ["in the light", { colorScheme: "light" }],
  ["in the dark", { colorScheme: "dark" }],
  ["on a phone", { viewport: { width: 360, height: 700 } }],
]) {
  test(`no serious accessibility faults ${name}`, async () => {
    const { page, misdeeds } = await openPage(browser, options);
    assert.deepEqual(await violations(page), []);
    await page.keyboard.type(QUESTION);
    await page.keyboard.press("Enter");
    await finishedAnswer(page, 1);
    await page.locator("details.source summary").first().click();
    await page.getByRole("button", { name: "Good answer" }).click();
    await page.getByRole("button", { name: "Edit" }).click();
    await page.locator("#wire summary").click();
    assert.deepEqual(await violations(page), []);
    const overflow = await page.evaluate(
      () => document.documentElement.scrollWidth - document.documentElement.clientWidth,
    );
    assert.equal(overflow, 0, "nothing sticks out sideways");
    assert.deepEqual(misdeeds, []);
    await page.context().close();
  });
}
