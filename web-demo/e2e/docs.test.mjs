/** The page of the interface: whole, from the gateway alone, and good for a try. */
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { gateway, launch, openAny } from "./browser.mjs";

let browser;
before(async () => {
  browser = await launch();
});
after(() => browser?.close());

test("every operation is shown, and one can be tried", async () => {
  const { page, misdeeds } = await openAny(browser, "docs");
  await page.getByRole("heading", { name: /^Rivulet/ }).waitFor();
  const { paths } = await (await fetch(new URL("openapi.json", gateway))).json();
  const operations = Object.values(paths).flatMap((path) => Object.keys(path));
  await page.waitForFunction(
    (count) => document.querySelectorAll(".opblock").length === count,
    operations.length,
  );
  const search = page.locator("#operations-Knowledge-search");
  await search.getByRole("button", { expanded: false }).first().click();
  await search.locator("textarea").fill(JSON.stringify({ query: "a tent", top_k: 1 }));
  const answered = page.waitForResponse((response) => response.url().endsWith("/api/v1/rag/query"));
  await search.getByRole("button", { name: "Execute" }).click();
  assert.equal((await answered).status(), 200);
  await search.locator(".live-responses-table .response").getByText('"results"').waitFor();
  assert.deepEqual(misdeeds, []);
  await page.context().close();
});
