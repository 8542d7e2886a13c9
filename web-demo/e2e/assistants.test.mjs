/** Who answers: chosen, remembered, and gone. */
import assert from "node:assert/strict";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, beforeEach, test } from "node:test";
import { ask, connected, finishedAnswer, launch, violations } from "./browser.mjs";
import { OwnGateway, openAt } from "./own-gateway.mjs";

const BOOKS = `title = "Books"
description = "Knows what is on our shelves, and what will be."
greeting = "Which book may it be?\\n<b>Ask</b>."
suggestions = ["What is new?", "What is <i>old</i>?"]
languages = ["en"]
`;
const MAPS = `title = "Maps & <b>Ways</b>"
description = "Finds the way from one hut to the next."
`;

let browser;
let gateway;
let folder;
before(async () => {
  folder = await mkdtemp(join(tmpdir(), "assistants-"));
  await put("books", BOOKS);
  [browser, gateway] = await Promise.all([
    launch(),
    OwnGateway.start({ REQUIRE_AUTHENTICATION: "false", RIVULET_ASSISTANTS_DIR: folder }),
  ]);
});
after(async () => {
  await Promise.all([browser?.close(), gateway?.stop()]);
  await rm(folder, { recursive: true });
});
beforeEach(async () => {
  await put("maps", MAPS);
  await offered(3);
});

const put = (name, text) => writeFile(join(folder, `${name}.toml`), text);

/** Has the files read again, and waits until so many are on offer. */
async function offered(count) {
  gateway.reload();
  for (;;) {
    const response = await fetch(new URL("api/v1/assistants", gateway.url));
    const { assistants } = await response.json();
    if (assistants.length === count) return;
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

async function open(options) {
  const opened = await openAt(browser, gateway.url, options);
  await connected(opened.page);
  return opened;
}

const cards = (page) => page.locator("#welcome").getByRole("list", { name: "Who answers" });
const card = (page, title) => cards(page).getByRole("button", { name: title });
const header = (page, title) => page.getByRole("button", { name: `Who answers: ${title}` });
const greeting = (page) => page.getByRole("article", { name: "Books" });

/** Waits until the gateway says that this one answers. */
const answers = (page, name) =>
  page.waitForFunction((wanted) => window.rivulet.client.conversation.assistant === wanted, name);

test("one is picked, asked, and still there after a reload", async () => {
  const { page, context, misdeeds } = await open();
  await header(page, "Assistant").waitFor();
  assert.equal(await cards(page).getByRole("button").count(), 3);
  assert.equal(await card(page, "Assistant").getAttribute("aria-pressed"), "true");
  assert.equal(await greeting(page).isVisible(), false);
  await card(page, "Maps & <b>Ways</b>").waitFor();

  await card(page, "Books").click();
  await answers(page, "books");
  assert.equal(await card(page, "Books").getAttribute("aria-pressed"), "true");
  assert.ok(await card(page, "Books").evaluate((one) => one === document.activeElement));
  await header(page, "Books").waitFor();
  await greeting(page).getByText("<b>Ask</b>.").waitFor();
  await page.getByRole("button", { name: "What is <i>old</i>?" }).waitFor();
  assert.equal(await page.getByRole("button", { name: "Kestrel" }).count(), 0);
  await page.reload();
  await answers(page, "books");
  await greeting(page).waitFor();

  await page.getByRole("button", { name: "What is new?" }).click();
  await finishedAnswer(page, 1);
  assert.equal(await greeting(page).isVisible(), false, "it is no message");
  const said = await page.evaluate(() => window.rivulet.client.conversation.messages.length);
  assert.equal(said, 2);
  await page.reload();
  await answers(page, "books");
  await finishedAnswer(page, 1);
  await header(page, "Books").waitFor();

  // Another tab begins there, too, and a new conversation is with the same one.
  await page.getByRole("button", { name: "New chat" }).click();
  await greeting(page).waitFor();
  await answers(page, "books");
  const tab = await context.newPage();
  await tab.goto(gateway.url);
  await answers(tab, "books");
  assert.deepEqual(misdeeds, []);
  await context.close();
});

test("another one begins another conversation, by keyboard alone", async () => {
  const { page, context, misdeeds } = await open();
  await ask(page, "Why?");
  await finishedAnswer(page, 1);
  const first = await page.evaluate(() => window.rivulet.client.session);
  const choice = page.getByRole("dialog", { name: "Who answers" });

  await header(page, "Assistant").focus();
  await page.keyboard.press("Enter");
  await choice.getByText("With another one a new conversation begins.").waitFor();
  assert.deepEqual(await violations(page), []);
  await page.keyboard.press("Escape");
  await choice.waitFor({ state: "hidden" });
  assert.ok(await header(page, "Assistant").evaluate((one) => one === document.activeElement));

  await page.keyboard.press("Enter");
  await choice.getByRole("button", { name: "Books" }).focus();
  await page.keyboard.press("Enter");
  await choice.waitFor({ state: "hidden" });
  await answers(page, "books");
  await greeting(page).waitFor();
  assert.equal(await page.evaluate(() => document.activeElement?.id), "composer-text");
  await page.getByRole("status").getByText("Books answers now. Which book may it be?").waitFor();
  await ask(page, "Why?");
  await finishedAnswer(page, 1);
  assert.notEqual(await page.evaluate(() => window.rivulet.client.session), first);

  // The one that answers already changes nothing.
  await header(page, "Books").click();
  assert.equal(await choice.getByRole("button", { pressed: true }).textContent(), BOOKS_CARD);
  await choice.getByRole("button", { name: "Books" }).click();
  assert.equal((await finishedAnswer(page, 1)).status, "complete");

  // A click beside the choice leaves it, and one between its cards does not.
  await header(page, "Books").click();
  const { x, y } = await choice.boundingBox();
  await page.mouse.click(x + 5, y + 5);
  assert.ok(await choice.isVisible());
  await page.mouse.click(x - 5, y + 5);
  await choice.waitFor({ state: "hidden" });

  // A conversation that there is keeps its own, whoever was chosen since.
  await page.goto(`${gateway.url}/?session=${first}`);
  await answers(page, "default");
  await header(page, "Assistant").waitFor();
  assert.deepEqual(misdeeds, []);
  await context.close();
});

const BOOKS_CARD = "BooksKnows what is on our shelves, and what will be.";

test("one that is gone gives way to the default one without a word", async () => {
  const { page, context, misdeeds } = await open();
  await card(page, "Maps").click();
  await answers(page, "maps");
  await rm(join(folder, "maps.toml"));
  await offered(2);

  // Without a reload it is found out when it is asked; what was said comes back.
  await ask(page, "Where?");
  await answers(page, "default");
  assert.equal(await page.getByLabel("Message", { exact: true }).inputValue(), "Where?");
  assert.equal(await cards(page).getByRole("button").count(), 2);

  await put("maps", MAPS);
  await offered(3);
  await page.reload();
  await card(page, "Maps").click();
  await answers(page, "maps");
  await rm(join(folder, "maps.toml"));
  await offered(2);
  await page.reload();
  await answers(page, "default");
  await header(page, "Assistant").waitFor();
  assert.equal(await page.getByRole("alert").textContent(), "");
  const kept = await page.evaluate(() => JSON.stringify([{ ...localStorage }]));
  assert.ok(!kept.includes("maps"), kept);
  // The browser itself tells of the connection that was refused.
  assert.deepEqual(
    misdeeds.filter((text) => !text.includes("404")),
    [],
  );
  await context.close();
});

for (const [name, options] of [
  ["in the light", { colorScheme: "light" }],
  ["in the dark", { colorScheme: "dark" }],
  ["on the smallest phone", { viewport: { width: 320, height: 640 } }],
]) {
  test(`the choice has no serious accessibility faults ${name}`, async () => {
    const { page, context, misdeeds } = await open(options);
    await card(page, "Books").click();
    await answers(page, "books");
    await greeting(page).waitFor();
    assert.deepEqual(await violations(page), []);
    await header(page, "Books").click();
    assert.deepEqual(await violations(page), []);
    const overflow = await page.evaluate(
      () => document.documentElement.scrollWidth - document.documentElement.clientWidth,
    );
    assert.equal(overflow, 0, "nothing sticks out sideways");
    assert.equal(await page.locator("#connection-retry").isVisible(), false, "nothing to retry");
    assert.deepEqual(misdeeds, []);
    await context.close();
  });
}

test("who has to sign in is shown what is there for them, and leaves nothing of it", async () => {
  const own = await mkdtemp(join(tmpdir(), "assistants-"));
  await writeFile(join(own, "staff.toml"), `title = "Staff"\nvisibility = "scope:staff"\n`);
  const closed = await OwnGateway.start({ RIVULET_ASSISTANTS_DIR: own });
  const { page, context, misdeeds } = await openAt(browser, closed.url);
  const form = page.getByRole("form", { name: "Sign in" });
  const enter = async (token) => {
    await form.getByLabel("Token or API key").fill(token);
    await form.getByRole("button", { name: "Sign in", exact: true }).click();
    await connected(page);
  };
  await form.waitFor();
  assert.equal(await cards(page).isVisible(), false);
  await enter(closed.token("ann", { scope: "chat staff" }));
  await card(page, "Staff").click();
  await answers(page, "staff");

  await page.getByRole("button", { name: "Sign out" }).click();
  await form.waitFor();
  assert.ok(!(await page.evaluate(() => JSON.stringify({ ...localStorage }))).includes("staff"));
  await enter(closed.token("ben", { scope: "chat" }));
  await page.getByRole("button", { name: "Kestrel" }).waitFor();
  assert.equal(await page.getByText("Staff").count(), 0);

  // What another tab of the first one has left is asked for behind the token, and given up.
  await page.evaluate(() => localStorage.setItem("rivulet.assistant", "staff"));
  await page.reload();
  await form.waitFor();
  await enter(closed.token("ben", { scope: "chat" }));
  await answers(page, "default");
  assert.deepEqual(misdeeds, []);
  await Promise.all([context.close(), closed.stop()]);
  await rm(own, { recursive: true });
});
