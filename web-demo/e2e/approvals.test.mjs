/** What waits for approval, and the files that tools make, in a real browser. */
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { ask, connected, launch, violations } from "./browser.mjs";
import { askScripted, openScripted } from "./scripted.mjs";

let browser;
before(async () => {
  browser = await launch();
});
after(() => browser?.close());

const ARGS = { name: "Asha Rao", principal: 500_000, annual_rate: 10.5, months: 36 };
const LETTER = { title: "Sanction letter", tool: "sanction_letter", args: ARGS };

const open = (options) => openScripted(browser, "A letter, please.", options);

function wait(conversation, about) {
  conversation.write("I can write it.");
  conversation.call("c_1", LETTER);
  conversation.wait("c_1", about);
  conversation.done("awaiting_approval");
}

const group = (page) => page.getByRole("group", { name: "Approval: Sanction letter" });
const stands = (page, status) => page.locator(`.tool[data-status="${status}"]`).waitFor();

test("what waits is there after a reload, and both tabs follow what one decides", async () => {
  const { conversation, page, close } = await open();
  wait(conversation);
  await group(page).getByText("Asha Rao").waitFor();
  await page.reload();
  await connected(page);
  await group(page).getByText("Asha Rao").waitFor();
  const other = await page.context().newPage();
  await other.goto(page.url());
  await connected(other);
  await group(other).waitFor();
  // By keyboard alone.
  await group(other).getByRole("button", { name: "Approve" }).focus();
  await other.keyboard.press("Enter");
  await stands(other, "approved");
  await stands(page, "approved");
  assert.ok(await other.evaluate(() => document.activeElement.matches(".tool summary")));
  conversation.begin({ continues: "a_1" });
  conversation.call("c_2", LETTER);
  const file = conversation.made("f_1", "A letter.", { title: "Letter", media: "text/plain" });
  conversation.result("c_2", "ok", { summary: "Written", artifacts: [file] });
  conversation.write("Here it is.");
  conversation.done();
  for (const one of [page, other]) {
    await one.locator(".answer").getByText("Here it is.").waitFor();
    assert.equal(await one.locator(".answer").count(), 2);
  }
  const asked = conversation.heard.filter(({ type }) => type === "approve");
  assert.equal(asked.length, 1);
  assert.equal(asked[0].digest, "d".repeat(64));
  await other.close();
  await close();
});

test("the message box stays usable, and what is refused says why", async () => {
  const { conversation, page, close } = await open();
  wait(conversation);
  await page.getByText("You can write on").waitFor();
  conversation.intercept = ({ type, id: re }, socket) => {
    if (type !== "approve") return false;
    const error = { type: "error", re, code: "digest_mismatch", message: "it has changed" };
    socket.send(JSON.stringify(error));
    return true;
  };
  await group(page).getByRole("button", { name: "Deny" }).click();
  await group(page).getByText("What is asked for has changed.").waitFor();
  assert.equal(await page.locator(".notice").count(), 0, "it is told once");
  conversation.intercept = () => false;
  await ask(page, "Something else");
  conversation.resolve("w_c_1", "superseded");
  await stands(page, "superseded");
  await group(page).waitFor({ state: "detached" });
  await close();
});

test("a file is opened in a tab, and its address is of no use to others", async () => {
  const { conversation, page, close } = await open();
  conversation.call("c_1", LETTER);
  const about = { title: "Note", media: "text/plain" };
  const file = conversation.made("f_1", "<script>alert(1)</script> A note.", about);
  const gone = conversation.made("f_2", "x", { title: "Old" });
  conversation.lose("f_2");
  conversation.result("c_1", "ok", { artifacts: [file, gone] });
  conversation.done();
  const [tab] = await Promise.all([
    page.waitForEvent("popup"),
    page.getByRole("button", { name: "Open: Note" }).click(),
  ]);
  await tab.waitForURL(/^blob:/);
  await tab.getByText("<script>alert(1)</script> A note.").waitFor();
  await tab.close();
  const [download] = await Promise.all([
    page.waitForEvent("download"),
    page.getByRole("button", { name: "Download: Note" }).click(),
  ]);
  assert.equal(download.suggestedFilename(), "Note.txt");
  await close();
});

const MONTHS = Array.from({ length: 24 }, (_, at) => {
  const month = new Date(Date.UTC(2024, at)).toISOString().slice(0, 10);
  const level = 100 + at * 2 + 10 * Math.sin(at);
  return { month, imports: level, exports: level - 20, low: level - 8, high: level + 8 };
});
const line = (y, more = {}) => ({
  x: { field: "month", type: "temporal", title: "Month" },
  y: { field: y, type: "quantitative" },
  ...more,
});
const SPEC = {
  $schema: "https://vega.github.io/schema/vega-lite/v5.json",
  title: "Trade of the last two years",
  data: { values: MONTHS },
  layer: [
    { mark: "area", encoding: line("low", { y2: { field: "high" }, color: { value: "a" } }) },
    { mark: "line", encoding: line("imports", { color: { value: "a" } }) },
    { mark: "line", encoding: line("exports") },
  ],
};
const GOODS = ["Tea", "Coffee", "Machines", "Textiles"].flatMap((good, at) =>
  [2023, 2024].map((year) => ({ good, year, value: (at + 1) * (year - 2000) - 40 })),
);
const BARS = {
  title: "Goods",
  data: { values: GOODS },
  layer: [
    {
      mark: "bar",
      encoding: {
        x: { field: "good", type: "ordinal" },
        y: { field: "value", type: "quantitative" },
        color: { field: "year" },
      },
    },
  ],
};

const CHART = { kind: "chart", media: "application/vnd.vegalite.v5+json" };

function drawAll(conversation) {
  conversation.write("So it was.");
  conversation.call("c_1", { title: "Chart", tool: "chart" });
  const files = [SPEC, BARS, { ...BARS, params: [] }].map((spec, at) =>
    conversation.made(`f_${at}`, JSON.stringify(spec), { ...CHART, title: `Chart ${at}` }),
  );
  const table = { kind: "table", media: "text/csv", title: "Values" };
  const csv = conversation.made("f_9", "a,b\r\n1,x\r\n2,y\r\n", table);
  conversation.result("c_1", "ok", { artifacts: [...files, csv] });
  conversation.done();
}

test("a chart is read by keyboard and by pointer, and stays in its place", async () => {
  const { conversation, page, close } = await open();
  drawAll(conversation);
  const reader = page.getByRole("slider", { name: "Trade of the last two years: values" });
  await page.getByRole("img", { name: "Goods" }).waitFor();
  await page.getByText("This cannot be drawn. It has “params” in the chart.").waitFor();
  // What is not in sight yet is fetched when it comes there.
  await page.getByText("So it was.", { exact: true }).first().scrollIntoViewIfNeeded();
  await reader.focus();
  await page.keyboard.press("Home");
  assert.match(await reader.getAttribute("aria-valuetext"), /^Jan 2024, low – high 92 – 108, /);
  const tip = page.locator(".chart-tip:visible");
  await tip.getByText("Jan 2024").waitFor();
  const box = await reader.boundingBox();
  await page.mouse.move(box.x + box.width - 5, box.y + 40);
  await tip.getByText("Dec 2025").waitFor();
  const bounds = await tip.boundingBox();
  assert.ok(bounds.x >= box.x && bounds.x + bounds.width <= box.x + box.width);
  const [download] = await Promise.all([
    page.waitForEvent("download"),
    page.getByRole("button", { name: "As CSV: Goods" }).click(),
  ]);
  assert.equal(download.suggestedFilename(), "Goods.csv");
  const opener = page.getByRole("button", { name: "As table: Trade" });
  await opener.click();
  await page.getByRole("columnheader", { name: "exports" }).waitFor();
  assert.equal(await opener.getAttribute("aria-expanded"), "true");
  await close();
});

for (const [name, options] of [
  ["in the light", { colorScheme: "light" }],
  ["in the dark", { colorScheme: "dark" }],
  ["on the smallest phone", { viewport: { width: 320, height: 640 } }],
]) {
  test(`approvals, files and charts have no serious accessibility faults ${name}`, async () => {
    const { conversation, page, close } = await open({ ...options, reducedMotion: "reduce" });
    drawAll(conversation);
    await page.getByRole("img", { name: "Goods" }).waitFor();
    await page.getByRole("button", { name: "As table: Goods" }).click();
    await page.getByRole("slider", { name: "Goods" }).focus();
    await askScripted(page, conversation, "A letter, please.");
    wait(conversation);
    await group(page).waitFor();
    assert.deepEqual(await violations(page), []);
    const overflow = await page.evaluate(() => {
      const log = document.getElementById("log");
      const { scrollWidth, clientWidth } = document.documentElement;
      return [scrollWidth - clientWidth, log.scrollWidth - log.clientWidth];
    });
    assert.deepEqual(overflow, [0, 0], "nothing sticks out");
    if (process.env.SCREENSHOTS) {
      const path = `${process.env.SCREENSHOTS}/${name.replaceAll(" ", "-")}`;
      await page.screenshot({ path: `${path}-approval.png` });
      await page.getByRole("img", { name: "Trade of the last two years" }).scrollIntoViewIfNeeded();
      await page.getByRole("slider", { name: "Trade" }).focus();
      await page.screenshot({ path: `${path}-chart.png` });
      await page.getByRole("img", { name: "Goods" }).scrollIntoViewIfNeeded();
      await page.screenshot({ path: `${path}-bars.png` });
    }
    await close();
  });
}
