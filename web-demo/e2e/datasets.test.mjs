/** Tables that are brought to the conversation, in a real browser. */
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { launch, openPage, violations } from "./browser.mjs";
import { Conversation } from "./scripted.mjs";

let browser;
before(async () => {
  browser = await launch();
});
after(() => browser?.close());

const COLUMNS = [
  { name: "month", type: "date", missing: 0, min: "2020-01-01", max: "2024-12-01" },
  { name: "imports", type: "number", missing: 2, min: 1.5, max: 99 },
];
const ECON = { name: "econ", title: "Economics", suggestions: [], languages: [], version: "1" };

/** A file is dropped on the conversation, as a hand would. */
const drop = (page, name) =>
  page.evaluate((called) => {
    const dataTransfer = new DataTransfer();
    dataTransfer.items.add(new File(["month,imports\n2020-01,1.5\n"], called));
    const about = { dataTransfer, bubbles: true, cancelable: true };
    const log = document.getElementById("log");
    for (const type of ["dragenter", "dragover", "drop"])
      log.dispatchEvent(new DragEvent(type, about));
  }, name);

test("a table that is dropped on the conversation can be asked about", async () => {
  const conversation = new Conversation();
  const sent = [];
  const assistants = [{ ...ECON, default: true, uploads: ["datasets"] }];
  conversation.before = async (context) => {
    await context.route("**/api/v1/assistants", (route) => route.fulfill({ json: { assistants } }));
    await context.route("**/api/v1/datasets", (route) => {
      const body = route.request().postDataBuffer()?.toString() ?? "";
      sent.push(body);
      const period = { from: "2020-01-01", to: "2024-12-01" };
      const found = { id: "d_1", name: "trade.csv", rows: 60, columns: COLUMNS, period };
      return body.includes("odd.xlsx")
        ? route.fulfill({ status: 415, json: { code: "unsupported", detail: "it is no table" } })
        : route.fulfill({ status: 201, json: found });
    });
  };
  const { page, misdeeds } = await openPage(browser, {}, "", conversation);
  await page.getByRole("button", { name: "Bring a table" }).waitFor();
  await drop(page, "trade.csv");
  const card = page.locator(".dataset");
  await card.getByText("60 rows · 2 columns · 2020-01-01 to 2024-12-01").waitFor();
  assert.match(sent[0], /name="file"; filename="trade.csv"/);
  await card.getByText("Columns", { exact: true }).click();
  await card.getByRole("cell", { name: "imports" }).waitFor();
  assert.equal(await page.locator("#side:visible").count(), 0, "it is no document");
  assert.deepEqual(await violations(page), []);
  await page.locator("#table-files").setInputFiles({
    name: "odd.xlsx",
    mimeType: "application/octet-stream",
    buffer: Buffer.from("x"),
  });
  await page.getByText("It is no table.").first().waitFor();
  await page.getByRole("button", { name: "Dismiss: trade.csv" }).click();
  assert.equal(await card.count(), 1);
  // That a request was refused is in the browser's console, too.
  assert.deepEqual(
    misdeeds.filter((text) => !text.includes("415")),
    [],
  );
  await page.context().close();
});
