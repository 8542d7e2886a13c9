/** The list of conversations in a real browser: opened, found, named, deleted, saved, printed, and whose it shows. */
import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { after, before, test } from "node:test";
import {
  ask,
  connected,
  finishedAnswer,
  launch,
  longConversation,
  openPage,
  gateway as shared,
  violations,
} from "./browser.mjs";
import { OwnGateway, openAt } from "./own-gateway.mjs";

const TENTS = "How long can I return a tent?";
const PRICES = "What does the Kestrel 2 tent cost?";

let browser;
before(async () => {
  browser = await launch();
});
after(() => browser?.close());

const toggle = (page) => page.getByRole("button", { name: "Conversations", exact: true });
const list = (page) => page.getByRole("navigation", { name: "Conversations" });
const rows = (page) => list(page).getByRole("listitem");
const link = (page, title) => list(page).getByRole("link", { name: title });
/** Presses a button of a conversation with the mouse: it is there once the mouse is. */
async function press(page, what, title) {
  await rows(page).filter({ hasText: title }).hover();
  await list(page)
    .getByRole("button", { name: `${what}: ${title}` })
    .click();
}
const session = (page) => page.evaluate(() => window.rivulet.client.session);
const focused = (locator) => locator.evaluate((one) => one === document.activeElement);
const titles = (page) =>
  list(page)
    .locator(".conversation-title")
    .evaluateAll((all) => all.map(({ textContent }) => textContent));

/** Asks one question in a conversation of its own. */
async function askAnew(page, text) {
  await page.getByRole("button", { name: "New chat" }).click();
  await connected(page);
  await ask(page, text);
  await finishedAnswer(page, 1);
  return session(page);
}

/** Waits until a conversation is open, and shown. */
async function isOpen(page, id, question) {
  await page.waitForFunction((wanted) => {
    const { session, state, conversation } = window.rivulet.client;
    return session === wanted && state.name === "connected" && conversation.messages.length > 0;
  }, id);
  await page.getByRole("article", { name: "You" }).getByText(question).waitFor();
}

test("conversations of this browser are listed, opened, named and deleted by keyboard", async () => {
  await longConversation(1); // Somebody else's.
  const { page, misdeeds } = await openPage(browser);
  const tents = await askAnew(page, TENTS);
  const prices = await askAnew(page, PRICES);
  await page.evaluate(() => {
    window.same = true;
  });
  await toggle(page).focus();
  await page.keyboard.press("Enter");
  await link(page, TENTS).waitFor();
  assert.deepEqual(await titles(page), [PRICES, TENTS], "the newest first, and nobody else's");
  assert.equal(await link(page, PRICES).getAttribute("aria-current"), "page");
  assert.equal(await link(page, TENTS).getAttribute("aria-current"), null);

  await list(page)
    .getByRole("button", { name: `Rename: ${TENTS}` })
    .focus();
  await page.keyboard.press("Enter");
  await page.keyboard.type("Bringing back <b>tents</b>");
  await page.keyboard.press("Escape");
  await link(page, TENTS).waitFor();
  assert.ok(await list(page).isVisible(), "Escape has ended the writing, and not the list");
  await page.keyboard.press("Enter");
  await page.keyboard.type("Bringing back <b>tents</b>");
  await page.keyboard.press("Enter");
  const renamed = list(page).getByRole("button", { name: "Rename: Bringing back <b>tents</b>" });
  await renamed.waitFor();
  assert.ok(await focused(renamed));

  await list(page).getByLabel("Find by title").fill("BACK");
  await link(page, PRICES).waitFor({ state: "detached" });
  await page.getByRole("status").getByText("1 conversation found.").waitFor({ state: "attached" });
  await list(page).getByLabel("Find by title").fill("");
  await link(page, PRICES).waitFor();

  await link(page, "Bringing back").focus();
  await page.keyboard.press("Enter");
  await isOpen(page, tents, TENTS);
  await list(page).waitFor({ state: "hidden" });
  assert.ok(await page.evaluate(() => window.same), "the page was not loaded again");
  assert.equal(new URL(page.url()).searchParams.get("session"), tents);
  assert.match(await page.title(), /^Bringing back <b>tents<\/b>/);
  await page.goBack();
  await isOpen(page, prices, PRICES);
  await page.goForward();
  await isOpen(page, tents, TENTS);
  await page.reload();
  await isOpen(page, tents, TENTS);

  await toggle(page).click();
  await press(page, "Delete", PRICES);
  const dialog = page.getByRole("dialog", { name: "Delete this conversation?" });
  await dialog.getByText(`“${PRICES}”. This cannot be undone.`).waitFor();
  await page.keyboard.press("Escape");
  await dialog.waitFor({ state: "hidden" });
  await press(page, "Delete", PRICES);
  await dialog.getByRole("button", { name: "Delete it" }).click();
  await link(page, PRICES).waitFor({ state: "detached" });
  assert.ok(await focused(link(page, "Bringing back")));
  const gone = await fetch(new URL(`api/v1/sessions/${prices}`, shared));
  assert.equal(gone.status, 404);
  assert.equal(await session(page), tents, "the one that is open stays");

  await press(page, "Delete", "Bringing back");
  await dialog.getByRole("button", { name: "Delete it" }).click();
  await page.locator("#welcome").waitFor();
  assert.equal(new URL(page.url()).search, "");
  await toggle(page).click();
  await list(page).getByText("Conversations will stand here.").waitFor();
  assert.deepEqual(misdeeds, []);
  await page.context().close();
});

test("who is signed in has all of their own, by pages, also those of other devices", async () => {
  const gateway = await OwnGateway.start();
  const [ann, ben] = [gateway.token("ann"), gateway.token("ben")];
  for (let n = 0; n < 45; n++) {
    const made = await gateway.request("api/v1/sessions", ann, {});
    const { session_id: id } = await made.json();
    const named = await fetch(new URL(`api/v1/sessions/${id}`, gateway.url), {
      method: "PATCH",
      headers: { authorization: `Bearer ${ann}`, "content-type": "application/json" },
      body: JSON.stringify({ title: n === 2 ? "The oldest tent" : `Conversation ${n}` }),
    });
    assert.equal(named.status, 200);
  }
  // Wide enough: the list stands beside the conversation.
  const viewport = { width: 1300, height: 800 };
  const { page, context, misdeeds } = await openAt(browser, gateway.url, { viewport });
  const signIn = async (token) => {
    const card = page.getByRole("form", { name: "Sign in" });
    await card.getByLabel("Token or API key").fill(token);
    await card.getByRole("button", { name: "Sign in", exact: true }).click();
    await connected(page);
  };
  await list(page).getByText("Sign in to see your conversations.").waitFor();
  await signIn(ann);
  await link(page, "Conversation 44").waitFor();
  assert.equal(await rows(page).count(), 30);
  await list(page).getByRole("listitem").last().scrollIntoViewIfNeeded();
  await page.waitForFunction(() => document.querySelectorAll(".conversation").length === 45);
  await page.reload();
  await signIn(ann);
  await link(page, "Conversation 44").waitFor();
  await list(page).getByLabel("Find by title").fill("oldest TENT");
  await page.waitForFunction(() => document.querySelectorAll(".conversation").length === 1);
  assert.deepEqual(await titles(page), ["The oldest tent"]);

  await page.getByRole("button", { name: "Sign out" }).click();
  await page.getByRole("form", { name: "Sign in" }).waitFor();
  await signIn(ben);
  await list(page).getByText("Conversations will stand here.").waitFor();
  assert.equal(await rows(page).count(), 0);
  await ask(page, "Of Ben alone?");
  await link(page, "Of Ben alone?").waitFor();
  await toggle(page).click();
  await list(page).waitFor({ state: "hidden" });
  assert.deepEqual(misdeeds, []);
  await context.close();
  await gateway.stop();
});

test("all of a long conversation is saved and printed, not only what is loaded", async () => {
  const questions = 60;
  const id = await longConversation(questions);
  const { page, misdeeds } = await openPage(browser, {}, `?session=${id}`);
  await page.getByText("Show earlier messages").waitFor();
  const save = async (name) => {
    await page.getByRole("button", { name: "Share" }).click();
    const [download] = await Promise.all([
      page.waitForEvent("download"),
      page.getByRole("dialog").getByRole("button", { name }).click(),
    ]);
    await page.getByRole("dialog").waitFor({ state: "hidden" });
    return [download.suggestedFilename(), await readFile(await download.path(), "utf8")];
  };
  const [markdownName, markdown] = await save("Save as Markdown");
  assert.equal(markdownName, "Question 0.md");
  const headings = markdown.match(/^## Question/gm);
  assert.equal(headings?.length, questions);
  assert.match(
    markdown,
    /^# Question 0\n\nBegun on \d{4}-\d\d-\d\d \d\d:\d\d UTC\.\n\n## Question/,
  );
  const [jsonName, json] = await save("Save as JSON");
  assert.equal(jsonName, "Question 0.json");
  const { session_id, title, messages, more } = JSON.parse(json);
  assert.deepEqual([session_id, title, messages.length, more], [id, "Question 0", 120, false]);

  await page.evaluate(() => {
    window.print = () => {
      window.printed = document.querySelectorAll("#messages article").length;
    };
  });
  await page.getByRole("button", { name: "Share" }).click();
  await page.getByRole("button", { name: "Print" }).click();
  await page.waitForFunction(() => window.printed !== undefined);
  assert.equal(await page.evaluate(() => window.printed), 120);
  await page.emulateMedia({ media: "print" });
  for (const control of ["Share", "Send", "Settings", "New chat"])
    assert.equal(await page.getByRole("button", { name: control, exact: true }).isVisible(), false);
  assert.equal(await page.getByRole("log").getByRole("button").count(), 0, "nothing to be pressed");
  assert.equal(await page.locator("#print-title").textContent(), "Question 0");
  const cut = await page.evaluate(() => {
    const { bottom } = document.querySelector("#messages").lastElementChild.getBoundingClientRect();
    return bottom - document.documentElement.scrollHeight - window.scrollY;
  });
  assert.ok(cut <= 0, "the last message is within the page");
  assert.deepEqual(misdeeds, []);
  await page.context().close();
});

test("the key that sends is chosen in the settings, and the choice lasts", async () => {
  const { page, misdeeds } = await openPage(browser);
  await page.getByRole("button", { name: "Settings" }).click();
  const dialog = page.getByRole("dialog", { name: "Settings" });
  await dialog.getByLabel("Ctrl (or ⌘) and Enter").check();
  await page.keyboard.press("Escape");
  await dialog.waitFor({ state: "hidden" });
  await page.reload();
  await connected(page);
  const box = page.getByLabel("Message", { exact: true });
  await box.focus();
  await page.keyboard.type(TENTS);
  await page.keyboard.press("Enter");
  await page.keyboard.type("Please.");
  assert.equal(await box.inputValue(), `${TENTS}\nPlease.`);
  assert.ok(await page.locator("#hint-ctrl-enter").isVisible());
  await page.keyboard.press("Control+Enter");
  await page.getByRole("article", { name: "You" }).getByText("Please.").waitFor();
  await finishedAnswer(page, 1);
  assert.deepEqual(misdeeds, []);
  await page.context().close();
});

for (const [name, options] of [
  ["in the light", { colorScheme: "light" }],
  [
    "in the dark, beside the conversation",
    { colorScheme: "dark", viewport: { width: 1300, height: 800 } },
  ],
  ["on the smallest phone", { viewport: { width: 320, height: 640 } }],
]) {
  test(`conversations have no serious accessibility faults ${name}`, async () => {
    const { page, misdeeds } = await openPage(browser, { ...options, reducedMotion: "reduce" });
    await ask(page, TENTS);
    await finishedAnswer(page, 1);
    const long = "averylongword".repeat(12);
    await askAnew(page, long);
    if (!(await list(page).isVisible())) await toggle(page).click();
    await link(page, TENTS).waitFor();
    const faultless = async (what) => {
      assert.deepEqual(await violations(page), [], what);
      const wide = await page.evaluate(() =>
        [
          document.documentElement,
          ...document.querySelectorAll("#conversations-scroll, dialog[open]"),
        ]
          .filter(({ scrollWidth, clientWidth }) => scrollWidth > clientWidth)
          .map(({ id, tagName }) => id || tagName),
      );
      assert.deepEqual(wide, [], `${what}: nothing sticks out`);
      const { SCREENSHOTS: folder } = process.env;
      const path = `${folder}/conversations-${name.replaceAll(/\W+/g, "-")}-${what}.png`;
      if (folder) await page.screenshot({ path });
    };
    await faultless("list");
    await press(page, "Rename", TENTS);
    await faultless("renaming");
    await page.keyboard.press("Escape");
    if (await page.locator("#drawer[open]").isVisible())
      await list(page).getByRole("button", { name: "Close the conversations" }).click();
    await page.getByRole("button", { name: "Share" }).click();
    await faultless("sharing");
    await page.keyboard.press("Escape");
    await page.getByRole("button", { name: "Settings" }).click();
    await faultless("settings");
    assert.deepEqual(misdeeds, []);
    await page.context().close();
  });
}
