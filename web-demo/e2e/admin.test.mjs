/** The admin page, beside people who chat. */
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { ask, connected, finishedAnswer, launch, violations } from "./browser.mjs";
import { OwnGateway, openAt } from "./own-gateway.mjs";

let browser;
let gateway;
before(async () => {
  [browser, gateway] = await Promise.all([launch(), OwnGateway.start()]);
});
after(() => Promise.all([browser?.close(), gateway?.stop()]));

async function signIn(page, token) {
  const card = page.getByRole("form", { name: "Sign in" });
  await card.getByLabel("Token or API key").fill(token);
  await card.getByRole("button", { name: "Sign in", exact: true }).click();
}

async function openBoard(options, scope = "admin:tenants") {
  const opened = await openAt(browser, `${gateway.url}/admin`, options);
  await signIn(opened.page, gateway.token("root", { tenant: "ops", scope }));
  await opened.page.locator("#whose").waitFor();
  return opened;
}

async function openChat() {
  const chat = await openAt(browser, gateway.url);
  await signIn(chat.page, gateway.token("ann"));
  await connected(chat.page);
  return chat;
}

test("who may see it sees who chats, what answers, and what was done", async () => {
  const { page, context, misdeeds } = await openAt(browser, `${gateway.url}/admin`);
  await signIn(page, gateway.token("ann"));
  await page.getByRole("form").getByText("does not let you use this page").waitFor();
  assert.equal(await page.locator("#top").isVisible(), false);
  await signIn(page, gateway.token("root", { tenant: "ops", scope: "admin:tenants" }));
  await page.getByRole("heading", { name: "All tenants" }).waitFor();

  const chat = await openChat();
  const row = page.getByRole("row").filter({ hasText: "ann" });
  await row.getByText("Watched").waitFor();
  await ask(chat.page, "Is there a hidden word?");
  await row.getByText("Writing").waitFor();
  await finishedAnswer(chat.page, 1);
  // Its failures in three runs in a row, of more people than one, are why a server is left alone.
  const body = { model: "steady", messages: [{ role: "user", content: "Why?" }], max_tokens: 1 };
  for (const user of ["ben", "cleo", "dora"]) {
    const answer = await gateway.request("v1/chat/completions", gateway.token(user), body);
    assert.equal(answer.status, 200, await answer.text());
  }
  const broken = page.getByRole("listitem").filter({ hasText: "broken" });
  await broken.getByText("Left alone for").waitFor();
  await page.getByRole("listitem").filter({ hasText: "steady" }).getByText("In use").waitFor();
  await page.waitForFunction(() => document.querySelector(".spark-line")?.getAttribute("d"));
  assert.ok(!(await page.locator("body").innerText()).includes("hidden"), "nobody reads along");

  await chat.page.getByRole("button", { name: "Good answer" }).last().click();
  const token = gateway.token("root", { tenant: "ops", scope: "admin:tenants" });
  assert.equal((await gateway.request("auth/token", token, { user: "ben" })).status, 200);
  // They are looked for rarely, and at once when somebody looks again.
  await page.evaluate(() => document.dispatchEvent(new Event("visibilitychange")));
  await page.getByRole("img", { name: "1 good answer and 0 bad ones in 30 days" }).waitFor();
  const done = page.getByRole("row").filter({ hasText: "POST /auth/token" });
  await done.waitFor();
  await page.getByLabel("Words to look for").fill("nothing like it");
  await page.getByText("Nothing of it.", { exact: true }).waitFor();
  await done.waitFor({ state: "hidden" });
  await page.getByLabel("Words to look for").fill("ROOT auth/token");
  await done.waitFor();
  assert.deepEqual(misdeeds, []);
  await Promise.all([chat.context.close(), context.close()]);
});

test("who administers one tenant sees nothing of the others, and ends nothing", async () => {
  const chat = await openChat();
  const { page, context, misdeeds } = await openBoard({}, "admin");
  await page.getByRole("heading", { name: "Tenant ops" }).waitFor();
  await page.getByText("No conversation is in memory.").waitFor();
  assert.equal(await page.getByText("ann").count(), 0);
  assert.equal(await page.getByRole("button", { name: "Drain" }).isVisible(), false);
  assert.equal(await page.getByRole("heading", { name: "Refused at a limit" }).isVisible(), false);
  assert.deepEqual(misdeeds, []);
  await Promise.all([chat.context.close(), context.close()]);
});

for (const [name, options] of [
  ["in the light", { colorScheme: "light" }],
  ["in the dark", { colorScheme: "dark" }],
  ["on a phone", { viewport: { width: 390, height: 800 } }],
]) {
  test(`the admin page has no serious accessibility faults ${name}`, async () => {
    const chat = await openChat();
    const { page, context, misdeeds } = await openBoard(options);
    await page.getByRole("row").filter({ hasText: "ann" }).first().waitFor();
    await page.getByRole("button", { name: "Drain" }).click();
    assert.deepEqual(await violations(page), []);
    const overflow = await page.evaluate(
      () => document.documentElement.scrollWidth - document.documentElement.clientWidth,
    );
    assert.equal(overflow, 0, "nothing sticks out sideways");
    assert.deepEqual(misdeeds, []);
    await Promise.all([chat.context.close(), context.close()]);
  });
}

test("a drain is asked for twice, lets the answer finish, and ends the process", async () => {
  const chat = await openChat();
  const { page, context } = await openBoard({});
  await page.getByRole("button", { name: "Drain" }).click();
  const keep = page.getByRole("button", { name: "Let it run" });
  assert.ok(await keep.evaluate((button) => button === document.activeElement));
  await keep.click();
  assert.equal((await fetch(new URL("ready", gateway.url))).status, 200);

  await ask(chat.page, "To the end?");
  await chat.page.waitForFunction(() => window.rivulet.client.conversation.runs.size > 0);
  await page.getByRole("button", { name: "Drain" }).click();
  await page.getByRole("button", { name: "Drain and end" }).click();
  await page.getByText("The gateway drains.").first().waitFor();
  assert.equal((await finishedAnswer(chat.page, 1)).status, "complete");
  assert.equal(await gateway.ended(), 0);
  await page.getByText("No answer").waitFor();
  await Promise.all([chat.context.close(), context.close()]);
});
