/** What an assistant remembers, in a real browser: noted, recalled, listed, forgotten, and not remembered at all. */
import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { after, before, test } from "node:test";
import { connected, launch, violations } from "./browser.mjs";
import { Memories } from "./memories.mjs";
import { openScripted } from "./scripted.mjs";

let browser;
before(async () => {
  browser = await launch();
});
after(() => browser?.close());

const MARKUP = "<img src=x onerror=alert(1)>";
const NUTS = { id: "mem_nuts", text: "I'm allergic to nuts", attribute: "allergy:nuts" };
const PLACE = { id: "mem_place", text: "I live in Lisbon", attribute: "place" };
const said = { said_at: "2026-11-12T10:00:00.000Z", session: "s_elsewhere", message: "m_1" };
const RECALLED = [
  { id: "mem_dog", kind: "fact", text: "I have a dog called Bo", ...said },
  { id: "mem_tent", kind: "episode", text: `Which tent is ${MARKUP}?`, ...said },
  { id: "mem_hut", kind: "episode", text: "How far is it to the hut?", ...said },
];

async function open(options = {}) {
  const memories = new Memories();
  const opened = await openScripted(browser, "I'm allergic to nuts and live in Lisbon.", {
    ...options,
    before: (context) => memories.behind(context),
  });
  return { ...opened, memories };
}

/** An answer for which something was noted and recalled. */
function answer(conversation, memories) {
  for (const { id, text } of [NUTS, PLACE]) memories.add(id, text);
  conversation.remember({ noted: [NUTS, PLACE], recalled: RECALLED });
  conversation.write("Then leave out the almonds.");
  conversation.done();
}

const line = (page) => page.getByRole("group", { name: "Memory", exact: true });
const undo = (page, text) => line(page).getByRole("button", { name: `Undo: ${text}` });
const side = (page) => page.getByRole("complementary", { name: "What it remembers" });
const toggle = (page) => page.getByRole("button", { name: "Memory", exact: true });
const focused = (locator) => locator.evaluate((one) => one === document.activeElement);

test("what is noted is taken back in all tabs, and is gone after a reload", async () => {
  const { conversation, page, close, memories } = await open();
  const other = await page.context().newPage();
  await other.goto(page.url());
  await connected(other);
  answer(conversation, memories);
  for (const one of [page, other]) await undo(one, NUTS.text).waitFor();
  await page.getByRole("status").getByText("Noted: I'm allergic to nuts; I live in").waitFor();

  await undo(page, NUTS.text).focus();
  await page.keyboard.press("Enter");
  const back = line(page).getByText("Taken back");
  await back.waitFor();
  assert.ok(await focused(back));
  await line(other).getByText("Taken back").waitFor();
  assert.deepEqual(memories.asked, ["DELETE memories/mem_nuts?undo=true"]);
  await undo(other, PLACE.text).waitFor();

  await line(page).getByText("Remembered 3 things").click();
  await line(page).getByText(`Which tent is ${MARKUP}?`).waitFor();
  assert.equal(await line(page).getByRole("link").count(), 3);

  await page.reload();
  await connected(page);
  await page.getByText("Then leave out the almonds.").waitFor();
  assert.equal(await line(page).count(), 0);
  await other.close();
  await close();
});

test("what cannot be taken back says why", async () => {
  const { conversation, page, close, memories } = await open();
  answer(conversation, memories);
  memories.refuse = 503;
  await undo(page, NUTS.text).click();
  await line(page).getByText("The gateway cannot store anything at the moment.").waitFor();
  memories.refuse = null;
  await undo(page, NUTS.text).click();
  await line(page).getByText("Taken back").waitFor();
  await close(503);
});

test("what it remembers is read, put right, taken along and forgotten, by keyboard", async () => {
  const { conversation, page, close, memories } = await open();
  conversation.answer("I see.");
  memories.add("mem_old", "I live in Porto", { ended_at: "2026-11-20T10:00:00.000Z" });
  memories.add("mem_place", PLACE.text);
  for (let at = 0; at < 60; at++)
    memories.add(`mem_e${at}`, `Question ${at}`, {
      kind: "episode",
      origin: "turn",
    });
  await toggle(page).focus();
  await page.keyboard.press("Enter");
  const panel = side(page);
  await panel.getByText(PLACE.text).waitFor();
  assert.equal(await panel.getByText("I live in Porto").isVisible(), false);
  await panel.getByText("Earlier (1)").click();
  await panel.getByText("I live in Porto").waitFor();
  await panel.getByRole("button", { name: "Show older" }).click();
  await panel.getByText("Question 0", { exact: true }).waitFor();

  await panel.getByRole("button", { name: `Edit: ${PLACE.text}` }).focus();
  await page.keyboard.press("Enter");
  await page.keyboard.type(" now");
  await page.keyboard.press("Enter");
  const edited = panel.getByRole("button", { name: "Edit: I live in Lisbon now" });
  await edited.waitFor();
  assert.ok(await focused(edited));

  await page.keyboard.press("Tab");
  await page.keyboard.press("Enter");
  assert.ok(await focused(panel.getByRole("button", { name: "Keep it" })));
  await page.keyboard.press("Tab");
  await page.keyboard.press("Enter");
  await edited.waitFor({ state: "detached" });
  assert.equal(await page.evaluate(() => document.activeElement.id), "side-title");

  const [download] = await Promise.all([
    page.waitForEvent("download"),
    panel.getByRole("button", { name: "Export" }).click(),
  ]);
  assert.equal(download.suggestedFilename(), "memories.json");
  const exported = JSON.parse(await readFile(await download.path(), "utf8"));
  assert.equal(exported.length, 61);

  await panel.getByLabel("Something that it should remember").fill("I have a dog");
  await page.keyboard.press("Enter");
  await panel.getByText("I have a dog", { exact: true }).waitFor();
  await panel.getByLabel("Remember what I say").uncheck();
  await page.getByRole("status").getByText("It remembers nothing from now on.").waitFor();
  assert.equal(memories.enabled, false);
  await panel.getByRole("button", { name: "Forget everything" }).click();
  await panel.getByRole("group").getByRole("button", { name: "Forget everything" }).click();
  await panel.getByText("It remembers nothing yet.").waitFor();
  assert.equal(memories.items.length, 0);
  await page.keyboard.press("Escape");
  await panel.waitFor({ state: "hidden" });
  assert.ok(await focused(toggle(page)));
  await close();
});

test("the way to where something was said is gone within the page, or in a tab of its own", async () => {
  const { conversation, page, close, memories } = await open();
  answer(conversation, memories);
  await line(page).getByText("Remembered 3 things").click();
  const link = line(page).getByRole("link", { name: "you said on" });
  const [tab] = await Promise.all([
    page.context().waitForEvent("page"),
    link.click({ modifiers: ["ControlOrMeta"] }),
  ]);
  await connected(tab);
  await tab.close();
  assert.ok(conversation.opened.at(-1).endsWith("/ws/s_elsewhere"));
  const before = conversation.opened.length;
  await link.click();
  await page.waitForFunction(() => window.rivulet.client.state.name === "connected");
  assert.equal(conversation.opened.length, before + 1);
  assert.ok(conversation.opened.at(-1).endsWith("/ws/s_elsewhere"));
  assert.equal(await page.evaluate(() => document.activeElement.id), "log");
  await close();
});

test("a temporary conversation is begun with a tick, and says what it is", async () => {
  const { conversation, page, close } = await open();
  conversation.answer("I see.");
  conversation.restart();
  await page.getByRole("button", { name: "New chat" }).click();
  const tick = page.getByLabel("Temporary: it knows nothing of before, and keeps nothing of this");
  const badge = page.locator("#temporary-badge");
  await tick.waitFor();
  assert.equal(await badge.isVisible(), false);
  await tick.check();
  await badge.waitFor();
  await connected(page);
  assert.ok(await tick.isChecked());
  assert.ok(await page.evaluate(() => window.rivulet.client.conversation.temporary));
  await page.getByRole("button", { name: "New chat" }).click();
  await badge.waitFor({ state: "hidden" });
  assert.equal(await tick.isChecked(), false);
  await close();
});

test("before a conversation is deleted it is asked what becomes of what was said", async () => {
  const { conversation, page, close, memories } = await open();
  answer(conversation, memories);
  await undo(page, NUTS.text).waitFor();
  const opener = page.getByRole("button", { name: "Delete conversation" });
  const dialog = page.getByRole("dialog", { name: "Delete this conversation?" });
  await opener.click();
  assert.ok(await focused(dialog.getByRole("button", { name: "Keep it" })));
  await page.keyboard.press("Escape");
  await dialog.waitFor({ state: "hidden" });
  assert.ok(await focused(opener));
  await opener.click();
  await dialog.getByLabel("Forget what I have said of myself in it, too").check();
  assert.deepEqual(await violations(page), []);
  conversation.restart();
  await dialog.getByRole("button", { name: "Delete it" }).click();
  await page.getByText("The conversation was deleted.").waitFor();
  await page.locator("#welcome").waitFor();
  assert.deepEqual(memories.asked, ["DELETE sessions/s_scripted?memories=true"]);
  await close();
});

for (const [name, options] of [
  ["in the light", { colorScheme: "light" }],
  ["in the dark", { colorScheme: "dark" }],
  ["on the smallest phone", { viewport: { width: 320, height: 640 } }],
]) {
  test(`memory has no serious accessibility faults ${name}`, async () => {
    const { conversation, page, close, memories } = await open({
      ...options,
      reducedMotion: "reduce",
    });
    answer(conversation, memories);
    const long = `${"long".repeat(40)} ${MARKUP}`;
    memories.add("mem_long", long, {
      kind: "episode",
      origin: "turn",
      answer: `${long} `.repeat(8),
    });
    memories.add("mem_old", "I live in Porto", { ended_at: "2026-11-20T10:00:00.000Z" });
    await line(page).getByText("Remembered 3 things").click();
    await undo(page, PLACE.text).click();
    await line(page).getByText("Taken back").waitFor();
    assert.deepEqual(await violations(page), []);
    const shot = async (what) => {
      const { SCREENSHOTS: folder } = process.env;
      const path = `${folder}/${name.replaceAll(" ", "-")}-${what}.png`;
      if (folder) await page.screenshot({ path });
    };
    await shot("answer");
    const overflow = () =>
      page.evaluate(() => {
        const wide = [document.documentElement, ...document.querySelectorAll("#log, #memories")];
        return wide.map(({ scrollWidth, clientWidth }) => scrollWidth - clientWidth);
      });
    assert.deepEqual(await overflow(), [0, 0, 0]);
    await toggle(page).click();
    await side(page).getByText("Earlier (1)").click();
    await side(page)
      .getByRole("button", { name: `Forget: ${NUTS.text}` })
      .click();
    assert.deepEqual(await violations(page), []);
    assert.deepEqual(await overflow(), [0, 0, 0], "nothing sticks out");
    await shot("list");
    await side(page).getByRole("button", { name: "Close" }).click();
    conversation.restart();
    await page.getByRole("button", { name: "New chat" }).click();
    await page.getByLabel("Temporary").check();
    await page.locator("#temporary-badge").waitFor();
    assert.deepEqual(await violations(page), []);
    assert.deepEqual(await overflow(), [0, 0, 0]);
    await shot("temporary");
    await close();
  });
}
