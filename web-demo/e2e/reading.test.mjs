/** Who reads while an answer is written: the page follows, or leaves them where they are. */
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { ask, launch, openPage } from "./browser.mjs";
import { Conversation } from "./scripted.mjs";

const LINE = "A rivulet is a very small stream.";
const PERIOD_MS = 20;

let browser;
before(async () => {
  browser = await launch();
});
after(() => browser?.close());

/** A page on which an answer of several screens is written, fifty words a second, until `end`. */
async function streaming(options = {}) {
  const conversation = new Conversation();
  const { page, misdeeds } = await openPage(browser, options, "", conversation);
  await ask(page, "Tell me");
  await page.getByRole("article", { name: "You" }).waitFor();
  conversation.begin();
  for (let line = 0; line < 80; line++) conversation.write(`${LINE}\n\n`);
  const words = LINE.split(" ");
  let said = 0;
  const writing = setInterval(() => {
    conversation.write(`${words[said++ % words.length]} `);
    if (said % 20 === 0) conversation.write("\n\n");
  }, PERIOD_MS);
  await following(page);
  const end = async () => {
    clearInterval(writing);
    assert.deepEqual(misdeeds, []);
    await page.context().close();
  };
  return { page, end };
}

const log = (page) => page.locator("#log");
const top = (page) => log(page).evaluate((element) => element.scrollTop);

/** Waits until at least so much more text is on the screen. */
const textComes = (page, characters = 200) =>
  page.evaluate(async (wanted) => {
    const length = () => document.querySelector(".markdown")?.textContent.length ?? 0;
    const before = length();
    while (length() < before + wanted) await new Promise(requestAnimationFrame);
  }, characters);

/** Waits until the end is in sight, and checks that it is so while more text comes. */
async function following(page) {
  await page.waitForFunction(() => {
    const { scrollTop, scrollHeight, clientHeight } = document.getElementById("log");
    return scrollTop > 0 && scrollHeight - scrollTop - clientHeight < 2;
  });
  const there = await top(page);
  await textComes(page);
  assert.ok((await top(page)) > there, "the newest text is followed");
  assert.ok(await page.locator("#jump").isHidden());
}

/** Waits until a reader has come to rest above the end. */
async function resting(page) {
  await page.locator("#jump").waitFor({ state: "visible" });
  // A browser scrolls smoothly: wait for the end of it.
  await page.evaluate(async () => {
    const element = document.getElementById("log");
    for (let before = -1, still = 0; still < 10; ) {
      still = element.scrollTop === before ? still + 1 : 0;
      before = element.scrollTop;
      await new Promise(requestAnimationFrame);
    }
  });
}

/** Checks that nothing moves a reader any more while more text comes. */
async function parked(page) {
  await resting(page);
  const there = await top(page);
  await textComes(page);
  assert.equal(await top(page), there, "what is read stays where it is");
}

const WAYS = {
  "the wheel": (page) => page.mouse.wheel(0, -30),
  "one click of a fine wheel": (page) => page.mouse.wheel(0, -2),
  "the arrow key": (page) => page.keyboard.press("ArrowUp"),
  "the page key": (page) => page.keyboard.press("PageUp"),
  "the home key": (page) => page.keyboard.press("Home"),
  "the scrollbar": async (page) => {
    const { x, y, width, height } = await log(page).boundingBox();
    await page.mouse.click(x + width - 6, y + height / 3);
  },
  "a finger": async (page) => {
    const client = await page.context().newCDPSession(page);
    const touch = (type, y) => {
      const touchPoints = type === "touchEnd" ? [] : [{ x: 550, y }];
      return client.send("Input.dispatchTouchEvent", { type, touchPoints });
    };
    await touch("touchStart", 300);
    for (let y = 305; y <= 340; y += 5) await touch("touchMove", y);
    await touch("touchEnd");
  },
};

for (const [name, move] of Object.entries(WAYS)) {
  test(`who moves up by ${name} is left there, and followed again from the end on`, async () => {
    const { page, end } = await streaming({ hasTouch: name === "a finger" });
    await log(page).focus();
    await page.mouse.move(550, 300);
    await move(page);
    await parked(page);
    await page.keyboard.press("End");
    await following(page);
    await end();
  });
}

test("the button leads back to the newest text, and so does a question", async () => {
  const { page, end } = await streaming();
  await page.mouse.move(550, 300);
  await page.mouse.wheel(0, -300);
  await parked(page);
  await page.getByRole("button", { name: "Jump to newest" }).click();
  await following(page);
  await page.mouse.move(550, 300);
  await page.mouse.wheel(0, -300);
  await parked(page);
  await ask(page, "And?");
  await following(page);
  await end();
});

test("what is read stays where it is also when the text above it changes", async () => {
  const conversation = new Conversation();
  const { page, misdeeds } = await openPage(browser, {}, "", conversation);
  await ask(page, "Tell me");
  await page.getByRole("article", { name: "You" }).waitFor();
  conversation.begin();
  // A link each, as soon as it is told where to: then it takes a line in the place of many.
  for (let block = 0; block < 60; block++) conversation.write(`${"[w][l] ".repeat(150)}\n\n`);
  await page.locator(".markdown > div").nth(59).waitFor();
  await page.mouse.move(550, 300);
  await page.mouse.wheel(0, -3_000);
  await resting(page);
  await page.evaluate(() => {
    const blocks = [...document.querySelectorAll(".markdown > div")];
    const { top } = document.getElementById("log").getBoundingClientRect();
    window.read = blocks.find((block) => block.getBoundingClientRect().bottom > top);
    window.readAt = window.read.getBoundingClientRect().top;
  });
  conversation.write("[l]: https://example.com/");
  await page.waitForFunction(
    () => document.querySelectorAll(".markdown > div:has(a)").length === 60,
  );
  const moved = await page.evaluate(() => window.read.getBoundingClientRect().top - window.readAt);
  assert.ok(Math.abs(moved) <= 1, `the text moved by ${moved} px`);
  assert.deepEqual(misdeeds, []);
  await page.context().close();
});

test("a message box that grows, a window that shrinks and sources that open move nobody away", async () => {
  const { page, end } = await streaming();
  await page.getByLabel("Message", { exact: true }).fill("a\nb\nc\nd\ne");
  await following(page);
  await page.setViewportSize({ width: 700, height: 600 });
  await following(page);
  await page.setViewportSize({ width: 1100, height: 900 });
  await following(page);
  await end();
});
