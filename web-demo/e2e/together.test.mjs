/** One conversation in two places, one of which loses its network for a while. */
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
const LONG = "Explain everything: how does Rivulet resume, stop, store, stream and cite?";
/** What a browser writes on its console about a network that is gone. */
const NETWORK_GONE = /ERR_INTERNET_DISCONNECTED/;

let browser;
before(async () => {
  browser = await launch();
});
after(() => browser?.close());

/** Two pages on one new session, each in a browser profile of its own. */
async function twoPages() {
  const first = await openPage(browser);
  const session = await first.page.evaluate(() => window.rivulet.client.session);
  const second = await openPage(browser, {}, `?session=${session}`);
  return [first, second];
}

const says = (page, text) => page.getByText(text, { exact: true }).waitFor();

const gone = (page, text) => page.getByText(text, { exact: true }).waitFor({ state: "detached" });

test("two pages tell of each other, and show the same conversation", async () => {
  const [first, second] = await twoPages();
  for (const { page } of [first, second]) await says(page, "Open in 2 places");

  await second.page.getByLabel("Message", { exact: true }).pressSequentially(SHORT);
  await says(first.page, "Someone is typing…");
  assert.equal(await second.page.getByText("Someone is typing…").count(), 0);
  await second.page.keyboard.press("Enter");
  await first.page.getByRole("article", { name: "You" }).getByText(SHORT).waitFor();
  await gone(first.page, "Someone is typing…");
  const answers = await Promise.all([first, second].map(({ page }) => finishedAnswer(page, 1)));
  assert.equal(answers[0].text, answers[1].text);
  assert.deepEqual(
    answers.map(({ verified }) => verified),
    [true, true],
  );
  // Both are told to those who do not see it, too.
  await first.page.getByRole("status").getByText("open in 2 places").waitFor({ state: "attached" });

  await second.page.context().close();
  await gone(first.page, "Open in 2 places");
  assert.deepEqual([...first.misdeeds, ...second.misdeeds], []);
  await first.page.context().close();
});

test("a page that writes and then rests is no longer said to be typing", async () => {
  const [first, second] = await twoPages();
  await second.page.getByLabel("Message", { exact: true }).pressSequentially("Perhaps");
  await says(first.page, "Someone is typing…");
  await gone(first.page, "Someone is typing…");
  assert.deepEqual([...first.misdeeds, ...second.misdeeds], []);
  for (const { page } of [first, second]) await page.context().close();
});

test("a page without a network in the middle of an answer ends with the same text", async () => {
  const [first, second] = await twoPages();
  await noteStates(second.page);
  await ask(first.page, LONG);
  await answerOfLength(second.page, 1, 20);
  await second.page.context().setOffline(true);
  const atLoss = await newestAnswer(second.page);
  assert.equal(atLoss.status, "streaming", "the answer was over before the network was gone");
  await second.page.waitForFunction(() => window.rivulet.client.state.name === "reconnecting");
  await second.page.getByText("Offline", { exact: true }).waitFor();
  await second.page
    .getByRole("status")
    .getByText("Offline. Messages are sent when the network is back.")
    .waitFor({ state: "attached" });
  await answerOfLength(first.page, 1, atLoss.text.length + 1);
  assert.ok(
    (await newestAnswer(second.page)).text.length < (await newestAnswer(first.page)).text.length,
    "the answer went on without this page",
  );

  await second.page.context().setOffline(false);
  await second.page.getByText("Resumed", { exact: true }).waitFor();
  const [there, here] = await Promise.all(
    [first, second].map(({ page }) => finishedAnswer(page, 1)),
  );
  assert.equal(here.text, there.text);
  assert.equal(here.verified, true);
  assert.equal((await storedMessages(first.page)).at(-1).text, here.text);
  await second.page
    .getByRole("status")
    .getByText("Connected again. Nothing was lost.")
    .waitFor({ state: "attached" });
  await second.page.getByText("Live", { exact: true }).waitFor();
  assert.deepEqual(await notedStates(second.page), ["offline", "reconnecting", "resumed", "live"]);
  assert.deepEqual(first.misdeeds, []);
  assert.deepEqual(
    second.misdeeds.filter((text) => !NETWORK_GONE.test(text)),
    [],
  );
  for (const { page } of [first, second]) await page.context().close();
});

test("a page whose socket was cut says so, and nothing around it moves", async () => {
  const { page, misdeeds } = await openPage(browser);
  await ask(page, LONG);
  await answerOfLength(page, 1, 20);
  await noteStates(page);
  const places = () =>
    page.evaluate(() =>
      ["composer", "log", "share"].map((id) => {
        const { x, y, width, height } = document.getElementById(id).getBoundingClientRect();
        return [id, x, y, width, height];
      }),
    );
  const before = await places();
  await page.evaluate(() => window.rivulet.client.breakConnection());
  await page.getByText("Reconnecting", { exact: true }).waitFor();
  assert.deepEqual(await places(), before);
  await page.getByText("Resumed", { exact: true }).waitFor();
  assert.deepEqual(await places(), before);
  assert.equal((await finishedAnswer(page, 1)).verified, true);
  assert.deepEqual((await notedStates(page)).slice(0, 2), ["reconnecting", "resumed"]);
  assert.deepEqual(misdeeds, []);
  await page.context().close();
});

test("a message that was written without a network is sent when it is back", async () => {
  const { page, misdeeds } = await openPage(browser);
  await page.context().setOffline(true);
  await ask(page, SHORT);
  await page.getByText("Waiting for the connection…").waitFor();
  await page.context().setOffline(false);
  await connected(page);
  assert.equal((await finishedAnswer(page, 1)).status, "complete");
  assert.equal((await storedMessages(page)).length, 2);
  assert.deepEqual(
    misdeeds.filter((text) => !NETWORK_GONE.test(text)),
    [],
  );
  await page.context().close();
});

/** From now on the page notes what it shows of its connection. */
const noteStates = (page) =>
  page.evaluate(() => {
    const pill = document.getElementById("connection");
    window.states = [];
    new MutationObserver(() => {
      const { state } = pill.dataset;
      if (window.states.at(-1) !== state) window.states.push(state);
    }).observe(pill, { attributeFilter: ["data-state"] });
  });

const notedStates = (page) => page.evaluate(() => window.states);
