/** The cards of the tools that an answer calls, in a real browser. */
import assert from "node:assert/strict";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { ask, connected, finishedAnswer, launch, newestAnswer, violations } from "./browser.mjs";
import { OwnGateway, openAt } from "./own-gateway.mjs";
import { openScripted } from "./scripted.mjs";

let browser;
before(async () => {
  browser = await launch();
});
after(() => browser?.close());

const ARGS = { principal: 500_000, annual_rate: 10.5, months: 36 };
const SCHEDULE = Array.from({ length: 36 }, (_, at) => {
  return { month: at + 1, principal: 11_876.22 + at, interest: 4_375 - at, balance: 488_123.78 };
});
const RESULT = { summary: "16,251.22 a month", data: { emi: 16_251.22, schedule: SCHEDULE } };

const open = (options) => openScripted(browser, "How much is it a month?", options);

const card = (page, title) => page.locator(".tool").filter({ hasText: title });
const line = (page, title) => card(page, title).locator("summary");
const phase = (page, text) => page.locator(".phase:visible").getByText(text, { exact: true });

/** Waits until the card stands so. */
const stands = (page, title, status) =>
  page.locator(`.tool[data-status="${status}"]`).filter({ hasText: title }).waitFor();

/** What is read from the top of the answer to its end: texts, and cards in brackets. */
const body = (page) =>
  page.locator(".answer-body").evaluate((root) =>
    [...root.children].flatMap((part) => {
      const text = (one) => one.innerText.replace(/\s+/g, " ").trim();
      const cards = [...part.querySelectorAll("summary")].map((one) => `[${text(one)}]`);
      return cards.length > 0 ? cards : text(part) || [];
    }),
  );

test("a card stands where the tool was called, and is the same after a reload", async () => {
  const { conversation, page, close } = await open();
  conversation.write("Let me see.");
  conversation.phase("tool");
  conversation.call("c_1", { args: ARGS });
  await stands(page, "Monthly instalment", "running");
  await phase(page, "Using Monthly instalment").waitFor();
  assert.deepEqual(await body(page), ["Let me see.", "[Monthly instalment Running]"]);

  // In the middle of the call.
  await page.reload();
  await connected(page);
  await stands(page, "Monthly instalment", "running");
  conversation.result("c_1", "ok", RESULT);
  conversation.call("c_2", { title: "Products", tool: "products" });
  conversation.result("c_2", "timeout", { ms: 20_000 });
  conversation.write("It is **16,251.22**.");
  conversation.done();
  await stands(page, "Products", "timeout");
  await page.getByRole("button", { name: "Copy answer" }).waitFor();
  const { verified } = await newestAnswer(page);
  assert.equal(verified, true);
  const all = [
    "Let me see.",
    "[Monthly instalment Done 16,251.22 a month 3 ms]",
    "[Products Took too long 20.0 s]",
    "It is 16,251.22.",
  ];
  assert.deepEqual(await body(page), all);

  await page.reload();
  await connected(page);
  await stands(page, "Products", "timeout");
  assert.deepEqual(await body(page), all);
  await close();
});

const LOAN = `title = "Loans"
[tools]
use = ["emi"]
[[tool]]
name = "emi"
kind = "formula"
title = "Monthly instalment"
description = "Exact monthly instalment of a loan."
summary = "{emi} a month"
input.principal = { type = "number", min = 10000, max = 10000000 }
input.annual_rate = { type = "number", min = 1, max = 36, default = 10.5 }
input.months = { type = "integer", min = 6, max = 360 }
let = { r = "annual_rate / 1200", f = "(1 + r) ^ months" }
output.emi = { expr = "principal * r * f / (f - 1)", round = 2 }
`;
/** In the words of the mock model. */
const EMI =
  'say "Let me see." and call emi {"principal":500000,"months":36} and call emi {"months":3} then say "So it is."';

test("a gateway's own tool computes, and its cards stay with the conversation", async (t) => {
  const folder = await mkdtemp(join(tmpdir(), "tools-"));
  await writeFile(join(folder, "loan.toml"), LOAN);
  const settings = { REQUIRE_AUTHENTICATION: "false", RIVULET_ASSISTANTS_DIR: folder };
  t.after(() => rm(folder, { recursive: true }));
  const own = await OwnGateway.start(settings);
  t.after(() => own.stop());
  const { page, context, misdeeds } = await openAt(browser, own.url);
  await connected(page);
  await page.locator("#welcome").getByRole("button", { name: "Loans" }).click();
  await page.waitForFunction(() => window.rivulet.client.conversation.assistant === "loan");
  await ask(page, EMI);
  const { status, text } = await finishedAnswer(page, 1);
  assert.deepEqual([status, text.startsWith("Let me see.")], ["complete", true]);
  await stands(page, "16,251.22 a month", "ok");
  await stands(page, "Monthly instalment", "invalid");
  const [before, , , after] = await body(page);
  assert.deepEqual([before, after], ["Let me see.", "So it is."]);
  await line(page, "16,251.22 a month").click();
  const asked = page.getByRole("group", { name: "Arguments" });
  await asked.getByRole("row", { name: "principal 500000" }).waitFor();
  await page.getByRole("group", { name: "Result" }).getByText("16251.22").waitFor();
  const shown = await body(page);
  await page.reload();
  await connected(page);
  await stands(page, "16,251.22 a month", "ok");
  assert.deepEqual(await body(page), shown);
  assert.deepEqual(misdeeds, []);
  await context.close();
});

test("a card is opened by keyboard, and shows tables of plain text", async () => {
  const { conversation, page, close } = await open();
  const markup = "<img src=x onerror=alert(1)>";
  conversation.call("c_1", { title: markup, args: { ...ARGS, [markup]: markup } });
  conversation.result("c_1", "ok", { ...RESULT, summary: markup });
  conversation.write("So.");
  conversation.done();
  await stands(page, markup, "ok");
  await line(page, markup).focus();
  await page.keyboard.press("Enter");
  const asked = page.getByRole("group", { name: "Arguments" });
  const back = page.getByRole("group", { name: "Result" });
  await asked.getByRole("row", { name: "annual_rate 10.5" }).waitFor();
  await asked.getByRole("row", { name: `${markup} ${markup}` }).waitFor();
  await back.getByRole("columnheader", { name: "balance" }).waitFor();
  assert.equal(await page.locator(".answer img").count(), 0);
  // What is longer than its box is reached by keyboard as well.
  await page.keyboard.press("Tab");
  await page.keyboard.press("Tab");
  assert.ok(await back.evaluate((one) => one === document.activeElement));
  await page.keyboard.press("End");
  await page.waitForFunction(() => document.activeElement.scrollTop > 0);
  await line(page, markup).focus();
  await page.keyboard.press("Enter");
  await asked.waitFor({ state: "detached" });
  await close();
});

test("a card that is opened while the answer is written stays in sight", async () => {
  const { conversation, page, close } = await open({ viewport: { width: 800, height: 600 } });
  conversation.write("Before.\n\n".repeat(20));
  conversation.call("c_1", { args: ARGS });
  conversation.result("c_1", "ok", RESULT);
  conversation.write("After.");
  await stands(page, "Monthly instalment", "ok");
  const top = () =>
    line(page, "Monthly instalment").evaluate((one) => one.getBoundingClientRect().top);
  for (const _ of ["at the end", "by a reader who has moved up"]) {
    await line(page, "Monthly instalment").click();
    await page.getByRole("group", { name: "Result" }).waitFor();
    await page.getByRole("button", { name: "Jump to newest" }).waitFor();
    const there = await top();
    conversation.write(" More.\n\n".repeat(20));
    const { length } = await page.evaluate(
      () => window.rivulet.client.conversation.messages.at(-1).text,
    );
    conversation.write("The end.");
    await page.waitForFunction(
      (least) => window.rivulet.client.conversation.messages.at(-1).text.length > least,
      length,
    );
    await page.evaluate(() => new Promise(requestAnimationFrame));
    assert.ok(Math.abs((await top()) - there) < 1, `${await top()} was ${there}`);
    await line(page, "Monthly instalment").click();
    await page.getByRole("group", { name: "Result" }).waitFor({ state: "detached" });
  }
  conversation.done();
  await close();
});

test("screen readers are told once how a tool has ended", async () => {
  const { conversation, page, close } = await open();
  await page.evaluate(() => {
    window.heard = [];
    const region = document.getElementById("announcer");
    const note = () => window.heard.push(region.textContent);
    new MutationObserver(note).observe(region, { childList: true });
  });
  conversation.call("c_1");
  await stands(page, "Monthly instalment", "running");
  conversation.result("c_1", "ok", RESULT);
  await page.waitForFunction(() => window.heard.length > 0);
  conversation.write("It is so.");
  conversation.done();
  await page.waitForFunction(() => window.heard.at(-1).startsWith("Answer"));
  const heard = await page.evaluate(() => window.heard.map((text) => text.trim()));
  assert.deepEqual(heard, [
    "Monthly instalment: 16,251.22 a month.",
    "The answer is being written.",
    "Answer: It is so.",
  ]);
  await close();
});

test("nothing turns where motion is not wanted, and Stop ends the call", async () => {
  const { conversation, page, close } = await open({ reducedMotion: "reduce" });
  conversation.phase("tool");
  conversation.call("c_1");
  await stands(page, "Monthly instalment", "running");
  const moving = () => page.evaluate(() => document.getAnimations().length);
  assert.equal(await moving(), 0);
  await page.emulateMedia({ reducedMotion: "no-preference" });
  await page.waitForFunction(() => document.getAnimations().length > 0);
  await page.getByRole("button", { name: "Stop" }).click();
  await stands(page, "Monthly instalment", "cancelled");
  assert.deepEqual(await body(page), ["[Monthly instalment Cancelled]"]);
  await close();
});

test("a card reads from right to left where its title does", async () => {
  const { conversation, page, close } = await open();
  conversation.call("c_1", { title: "החזר חודשי" });
  conversation.result("c_1", "ok", { summary: "16,251.22 a month" });
  conversation.done();
  await stands(page, "החזר", "ok");
  const left = (selector) =>
    page.locator(selector).evaluate((one) => one.getBoundingClientRect().left);
  assert.ok((await left(".tool-title")) > (await left(".tool-summary")));
  assert.ok((await left(".tool-summary")) > (await left(".tool-time")));
  assert.equal(
    await page.locator(".tool").evaluate((one) => getComputedStyle(one).direction),
    "rtl",
  );
  await close();
});

for (const [name, options] of [
  ["in the light", { colorScheme: "light" }],
  ["in the dark", { colorScheme: "dark" }],
  ["on the smallest phone", { viewport: { width: 320, height: 640 } }],
]) {
  test(`cards have no serious accessibility faults ${name}`, async () => {
    const { conversation, page, close } = await open({ ...options, reducedMotion: "reduce" });
    conversation.write("Let me see.");
    conversation.phase("tool");
    for (const status of ["ok", "error", "invalid", "timeout", "cancelled", "denied"]) {
      conversation.call(status, { title: `Monthly instalment of ${status}`, args: ARGS });
      conversation.result(status, status, { ...RESULT, summary: "word".repeat(100) });
    }
    conversation.call("c_1", { args: [] });
    await stands(page, "Monthly instalment", "running");
    await line(page, "of ok").click();
    await page.getByRole("group", { name: "Result" }).waitFor();
    assert.deepEqual(await violations(page), []);
    const overflow = await page.evaluate(() => {
      const { scrollWidth, clientWidth, scrollHeight, clientHeight } = document.documentElement;
      const log = document.getElementById("log");
      return [
        scrollWidth - clientWidth,
        scrollHeight - clientHeight,
        log.scrollWidth - log.clientWidth,
      ];
    });
    assert.deepEqual(overflow, [0, 0, 0], "nothing sticks out");
    await close();
  });
}
