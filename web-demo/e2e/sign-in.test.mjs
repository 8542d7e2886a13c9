/** Who has to sign in: at the page, at a place elsewhere, and again before it is over. */
import assert from "node:assert/strict";
import { once } from "node:events";
import { createServer } from "node:http";
import { after, before, test } from "node:test";
import { ask, connected, finishedAnswer, launch, newestAnswer, violations } from "./browser.mjs";
import { OwnGateway, openAt } from "./own-gateway.mjs";

let browser;
let gateway;
before(async () => {
  [browser, gateway] = await Promise.all([launch(), OwnGateway.start()]);
});
after(() => Promise.all([browser?.close(), gateway?.stop()]));

const card = (page) => page.getByRole("form", { name: "Sign in" });

async function signIn(page, token) {
  await card(page).getByLabel("Token or API key").fill(token);
  await card(page).getByRole("button", { name: "Sign in", exact: true }).click();
}

/** Everything that outlives the page, in one text. */
const stored = (page) =>
  page.evaluate(() => JSON.stringify([{ ...localStorage }, { ...sessionStorage }, location.href]));

test("a token opens the conversation, and stays where the user wants it", async () => {
  const { page, context, misdeeds } = await openAt(browser, gateway.url);
  await card(page).waitFor();
  assert.equal(await page.evaluate(() => document.activeElement?.id), "sign-in-token");
  await signIn(page, "mistyped");
  await page.getByRole("alert").filter({ hasText: "does not take that" }).waitFor();

  const token = gateway.token("ann");
  await signIn(page, token);
  await connected(page);
  await card(page).waitFor({ state: "hidden" });
  await page.getByText("ann", { exact: true }).waitFor();
  await ask(page, "Why?");
  assert.equal((await finishedAnswer(page, 1)).status, "complete");
  assert.ok(!(await stored(page)).includes(token), "nothing keeps it that was not asked to");

  await page.reload();
  await card(page).waitFor();
  await card(page).getByLabel("Remember in this tab").check();
  await signIn(page, token);
  await connected(page);
  await page.reload();
  await connected(page);
  await finishedAnswer(page, 1);
  const kept = await page.evaluate(() => JSON.stringify([{ ...localStorage }, location.href]));
  assert.ok(!kept.includes(token), "other tabs and the address have nothing of it");

  const asked = page.waitForRequest(/\/api\/v1\/(documents|collections)/);
  await page.getByRole("button", { name: "Documents" }).first().click();
  assert.equal(await (await asked).headerValue("authorization"), `Bearer ${token}`);

  await page.getByRole("button", { name: "Sign out" }).click();
  await card(page).waitFor();
  assert.ok(!(await stored(page)).includes(token));
  await page.getByRole("heading", { name: "What would you like to know?" }).waitFor();
  assert.deepEqual(
    misdeeds.filter((text) => !text.includes("503")),
    [],
  );
  await context.close();
});

test("a sign-in that ends soon is renewed, and nothing is interrupted", async () => {
  const { page, context, misdeeds } = await openAt(browser, gateway.url);
  await signIn(page, gateway.token("ann", { seconds: 100 }));
  await connected(page);
  await page.evaluate(() => {
    window.states = [];
    window.rivulet.client.on("state", ({ name }) => window.states.push(name));
  });
  await ask(page, "Why?");
  const box = page.getByLabel("Message", { exact: true });
  await box.fill("Half a thought");
  await page.getByText("Your sign-in ends at").first().waitFor();
  await page.getByRole("button", { name: "Renew" }).click();
  const acked = page.evaluate(
    () => new Promise((resolve) => window.rivulet.client.on("ack", () => resolve(true))),
  );
  await signIn(page, gateway.token("ann"));
  await acked;
  await card(page).waitFor({ state: "hidden" });
  assert.equal(await page.getByRole("button", { name: "Renew" }).isVisible(), false);
  assert.equal((await finishedAnswer(page, 1)).status, "complete");
  assert.deepEqual(await page.evaluate(() => window.states), []);
  assert.equal(await box.inputValue(), "Half a thought");
  assert.deepEqual(misdeeds, []);
  await context.close();
});

test("what is taken back, or is over, leaves the conversation and the draft", async () => {
  const { page, context, misdeeds } = await openAt(browser, gateway.url);
  await signIn(page, gateway.token("ben"));
  await connected(page);
  await ask(page, "Why?");
  await finishedAnswer(page, 1);
  const box = page.getByLabel("Message", { exact: true });
  await box.fill("Half a thought");
  const root = gateway.token("root", { scope: "admin" });
  const taken = await gateway.request("api/v1/admin/revocations", root, { user: "ben" });
  assert.equal(taken.status, 204);
  await card(page).getByText("Your access was taken back").waitFor();
  assert.equal(await page.evaluate(() => document.activeElement?.id), "composer-text");
  assert.equal((await newestAnswer(page)).status, "complete");

  // What was taken back holds for all of its second.
  await page.waitForTimeout(1_100);
  await signIn(page, gateway.token("ben", { seconds: 2 }));
  await connected(page);
  await card(page).getByText("Your sign-in has ended").waitFor();
  assert.equal(await box.inputValue(), "Half a thought");
  await signIn(page, gateway.token("ben"));
  await connected(page);
  await page.getByRole("button", { name: "Send" }).click();
  await finishedAnswer(page, 2);

  // Somebody else does not go on in it.
  await page.getByRole("button", { name: "Sign out" }).click();
  await signIn(page, gateway.token("eve"));
  await connected(page);
  assert.equal(await newestAnswer(page), null);
  assert.deepEqual(misdeeds, []);
  await context.close();
});

test("a ticket in the address opens one socket, and leaves the address at once", async () => {
  const made = await gateway.request("api/v1/tickets", gateway.token("ann"), {});
  const { ticket } = await made.json();
  const { page, context } = await openAt(browser, `${gateway.url}/?ticket=${ticket}`);
  assert.equal(page.url(), `${gateway.url}/`);
  await connected(page);
  // What is asked beside the socket would need a token, and is not asked before it is wanted.
  await page.getByRole("button", { name: "Kestrel" }).waitFor();
  assert.equal(await card(page).isVisible(), false);
  await page.evaluate(() => window.rivulet.client.breakConnection());
  await card(page).waitFor();
  await context.close();
});

for (const [name, options] of [
  ["in the light", { colorScheme: "light" }],
  ["in the dark", { colorScheme: "dark" }],
  ["on a phone", { viewport: { width: 360, height: 700 } }],
]) {
  test(`signing in has no serious accessibility faults ${name}`, async () => {
    const { page, context } = await openAt(browser, gateway.url, options);
    await signIn(page, "mistyped");
    await page.getByRole("alert").filter({ hasText: "does not take that" }).waitFor();
    assert.deepEqual(await violations(page), []);
    const overflow = await page.evaluate(
      () => document.documentElement.scrollWidth - document.documentElement.clientWidth,
    );
    assert.equal(overflow, 0, "nothing sticks out sideways");
    await context.close();
  });
}

test("a sign-in elsewhere comes back with a token, and one that nobody asked for is not used", async () => {
  // Where people sign in: it gives whoever comes a token, and the `state` back.
  let home;
  const place = createServer((request, response) => {
    const state = new URL(request.url, "http://place").searchParams.get("state");
    const token = elsewhere.token("ann");
    response.writeHead(302, { location: `${home}/#token=${token}&state=${state}` }).end();
  });
  place.listen(0, "127.0.0.1");
  await once(place, "listening");
  const url = `http://127.0.0.1:${place.address().port}/in`;
  const elsewhere = await OwnGateway.start({ RIVULET_AUTH_SIGN_IN_URL: url });
  home = elsewhere.url;
  try {
    const { page, context, misdeeds } = await openAt(browser, home);
    const box = page.getByLabel("Message", { exact: true });
    await box.fill("Half a thought");
    await page.getByRole("button", { name: /^Sign in at 127\.0\.0\.1/ }).click();
    await connected(page);
    assert.equal(page.url(), `${home}/`);
    assert.equal(await box.inputValue(), "Half a thought");
    await page.getByText("ann", { exact: true }).waitFor();

    // A link of somebody who would like to read along.
    const stray = await context.newPage();
    await stray.goto(`${home}/#token=${elsewhere.token("eve")}&state=made-up`);
    await card(stray).getByText("was not begun in this tab").waitFor();
    assert.equal(stray.url(), `${home}/`);
    assert.deepEqual(misdeeds, []);
    await context.close();
  } finally {
    place.close();
    await elsewhere.stop();
  }
});
