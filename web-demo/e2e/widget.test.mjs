/** `<rivulet-chat>` on pages of another origin, in a real browser. */
import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { createRequire } from "node:module";
import { after, before, test } from "node:test";
import { fileURLToPath } from "node:url";
import { launch } from "./browser.mjs";
import { ForeignSite } from "./foreign.mjs";
import { OwnGateway } from "./own-gateway.mjs";
import { Conversation } from "./scripted.mjs";

const axe = createRequire(import.meta.url).resolve("axe-core/axe.min.js");
const SOURCES = [
  { n: 1, document: "d_1", title: "Returns", heading: "Tents", snippet: "Within 60 days, unused." },
  { n: 2, document: "d_2", title: "Prices", page: 3, snippet: "The Kestrel 2 costs 349.00." },
].map((source) => ({ score: 0.03, ...source }));

let browser;
let site;
let gateway;
before(async () => {
  browser = await launch();
  site = await ForeignSite.start();
  gateway = await OwnGateway.start({
    REQUIRE_AUTHENTICATION: "false",
    RIVULET_SERVER_ALLOWED_ORIGINS: site.origin,
  });
  site.gateway = gateway.url;
});
after(async () => {
  await browser?.close();
  site?.stop();
  await gateway?.stop();
});

const launcher = (page) => page.getByRole("button", { name: "Open chat" });
const box = (page) => page.getByRole("textbox", { name: "Message" });
const answers = (page) => page.getByRole("article", { name: "Answer" });
/** What has the focus, in whatever shadow. */
const focused = (page) =>
  page.evaluate(() => {
    let one = document.activeElement;
    while (one?.shadowRoot?.activeElement) one = one.shadowRoot.activeElement;
    return one?.getAttribute("aria-label") ?? one?.textContent ?? "";
  });

/** Waits until what is called so has the focus. */
async function hasFocus(page, name) {
  for (let tries = 0; (await focused(page)) !== name && tries < 200; tries++)
    await new Promise((done) => setTimeout(done, 20));
  assert.equal(await focused(page), name);
}

/** A page with the widget opened, and a conversation of its own behind it. */
async function openScripted(options = {}) {
  const conversation = new Conversation();
  const { page, close } = await site.open(browser, { scripted: conversation, ...options });
  await page.getByRole("button", { name: /^(Open chat|Chat öffnen|افتح المحادثة)$/ }).click();
  await page.getByRole("textbox").waitFor();
  return { conversation, page, close };
}

/** Asks, and has the answer begin. */
async function ask(page, conversation, question) {
  const before = conversation.heard.length;
  await page.getByRole("textbox").fill(question);
  await page.keyboard.press("Enter");
  while (!conversation.heard.slice(before).some(({ type }) => type === "send"))
    await new Promise((done) => setTimeout(done, 5));
  conversation.begin();
}

/** Waits until the gateway has read its documents. */
async function knowing(url) {
  for (;;) {
    const response = await fetch(new URL("/ready", url));
    if ((await response.text()).includes('"knowledge":{"state":"ready"')) return;
    await new Promise((done) => setTimeout(done, 100));
  }
}

/** Everything that axe has to say against the page. */
async function violations(page) {
  await page.evaluate(await readFile(axe, "utf8"));
  const { violations: found } = await page.evaluate(() => window.axe.run());
  return found.map(({ id, nodes }) => `${id}: ${nodes.map(({ html }) => html).join(" ")}`);
}

test("one tag on a page of somebody else asks, and shows the answer as it is written", async () => {
  const { page, close } = await site.open(browser);
  await launcher(page).click();
  await box(page).fill("Tell me about tents.");
  await page.getByRole("button", { name: "Send" }).click();
  const length = () => answers(page).evaluate((answer) => answer.textContent.length);
  await answers(page).locator(".markdown p").waitFor();
  const early = await length();
  await page.getByRole("button", { name: "Copy answer" }).waitFor();
  assert.ok((await length()) > early, "it came piece by piece");
  await close();
});

test("a page's server says who asks, and the answer cites the gateway's documents", async () => {
  const own = await OwnGateway.start({
    RIVULET_SERVER_ALLOWED_ORIGINS: site.origin,
    RIVULET_KNOWLEDGE_ENABLED: "true",
    RIVULET_KNOWLEDGE_MODEL_DIR: process.env.RIVULET_KNOWLEDGE_MODEL_DIR,
    RIVULET_KNOWLEDGE_PRELOAD: fileURLToPath(new URL("../../sample-knowledge", import.meta.url)),
    RIVULET_LLM_TARGETS: "[]",
  });
  try {
    await knowing(own.url);
    const fetched = [];
    site.answers.set("/token", () => {
      fetched.push(own.token("ann", { tenant: "default" }));
      return { token: fetched.at(-1) };
    });
    const head = "";
    const body = `<rivulet-chat server="${own.url}" token-url="/token"></rivulet-chat>${site.tag("")}`;
    const { page, close } = await site.open(browser, { head, body, connect: own.url });
    await launcher(page).click();
    await box(page).fill("How long can I return a tent?");
    await page.keyboard.press("Enter");
    const citation = answers(page).getByRole("link", { name: /^Source 1: / });
    await citation.click();
    await page.getByRole("dialog", { name: "Source 1" }).getByText("60 days").waitFor();
    assert.equal(fetched.length, 1, "one token is enough for a while");
    const { sessions } = await (await own.request("/api/v1/sessions", fetched[0])).json();
    assert.equal(sessions.length, 1, "the conversation is hers");
    await close();
  } finally {
    await own.stop();
  }
});

test("whoever signs in next on the same page begins anew, and the same one goes on", async () => {
  const own = await OwnGateway.start({ RIVULET_SERVER_ALLOWED_ORIGINS: site.origin });
  try {
    const body = `<rivulet-chat server="${own.url}"></rivulet-chat>`;
    const { page, close } = await site.open(browser, {
      head: site.tag(""),
      body,
      connect: own.url,
    });
    const as = (name) =>
      page.evaluate(
        (token) => {
          document.querySelector("rivulet-chat").token = token;
        },
        own.token(name, { tenant: "default" }),
      );
    await as("ann");
    await launcher(page).click();
    await box(page).fill("Tell me about tents.");
    await page.keyboard.press("Enter");
    await page.getByRole("button", { name: "Copy answer" }).waitFor();
    const again = page.waitForEvent("websocket");
    await as("ann");
    await (await again).waitForEvent("framereceived", ({ payload }) => payload.includes("welcome"));
    assert.equal(await answers(page).count(), 1);
    await box(page).fill("Ann's alone");
    await as("bob");
    await answers(page).waitFor({ state: "detached" });
    assert.equal(await box(page).inputValue(), "");
    await box(page).fill("And huts?");
    await page.keyboard.press("Enter");
    await page.getByRole("button", { name: "Copy answer" }).waitFor();
    const bobs = await own.request("/api/v1/sessions", own.token("bob", { tenant: "default" }));
    assert.deepEqual(
      (await bobs.json()).sessions.map(({ title }) => title),
      ["And huts?"],
    );
    await close();
  } finally {
    await own.stop();
  }
});

test("a keyboard is all it takes, and the focus comes back to where it was", async () => {
  const conversation = new Conversation();
  const { page, close } = await site.open(browser, { scripted: conversation });
  await launcher(page).waitFor();
  await page.keyboard.press("Tab");
  assert.equal(await focused(page), "Open chat");
  await page.keyboard.press("Enter");
  await box(page).waitFor();
  await page.waitForFunction(() => document.querySelector("rivulet-chat").isOpen);
  await page.keyboard.type("How long can I return a tent?");
  await page.keyboard.press("Enter");
  while (!conversation.heard.some(({ type }) => type === "send"))
    await new Promise((done) => setTimeout(done, 5));
  conversation.begin();
  conversation.sources(SOURCES);
  conversation.write("Within **60 days** [1].");
  conversation.done();
  const citation = page.getByRole("link", { name: "Source 1: Returns" });
  await citation.waitFor();
  for (let at = 0; (await focused(page)) !== "Source 1: Returns"; at++) {
    assert.ok(at < 20, "the citation is reached");
    await page.keyboard.press("Shift+Tab");
  }
  await page.keyboard.press("Enter");
  const card = page.getByRole("dialog", { name: "Source 1" });
  await card.getByText("Within 60 days, unused.").waitFor();
  await page.keyboard.press("Escape");
  await card.waitFor({ state: "hidden" });
  await hasFocus(page, "Source 1: Returns");
  assert.ok(await box(page).isVisible(), "the first Escape closes no more than the card");
  await page.keyboard.press("Escape");
  await box(page).waitFor({ state: "hidden" });
  await hasFocus(page, "Open chat");
  await close();
});

for (const [width, height] of [
  [320, 640],
  [768, 900],
  [1280, 800],
])
  for (const colorScheme of ["light", "dark"])
    test(`at ${width} pixels, ${colorScheme}, everything is in sight and accessible`, async () => {
      const options = { viewport: { width, height }, colorScheme, reducedMotion: "reduce" };
      const { conversation, page, close } = await openScripted({ options });
      assert.deepEqual(await violations(page), []);
      await ask(page, conversation, "How long can I return a tent?");
      conversation.sources(SOURCES);
      conversation.write(
        "Within **60 days** [1].\n\n```js\nlet a = 1;\n```\n\n| a | b |\n|---|---|\n| 1 | 2 |",
      );
      conversation.done();
      await page.getByRole("button", { name: "Copy answer" }).waitFor();
      await page.getByRole("columnheader", { name: "a" }).waitFor();
      await page.getByText("Sources (2)").click();
      assert.deepEqual(await violations(page), []);
      const panel = await page.locator(".panel").boundingBox();
      assert.ok(panel.x >= 0 && panel.x + panel.width <= width, JSON.stringify(panel));
      assert.ok(panel.y >= 0 && panel.y + panel.height <= height, JSON.stringify(panel));
      assert.equal(panel.width === width && panel.height === height, width === 320, "a sheet");
      const wide = await page.evaluate(() => document.documentElement.scrollWidth);
      assert.ok(wide <= width, "the page is not wider for it");
      await page.getByRole("link", { name: "Source 1: Returns" }).click();
      assert.deepEqual(await violations(page), []);
      await close();
    });

test("from right to left, in the words of its locale", async () => {
  const head = site.tag('data-locale="ar"');
  const { conversation, page, close } = await openScripted({ head });
  await ask(page, conversation, "كم يومًا؟");
  conversation.write("خلال **60 يومًا**.");
  conversation.done();
  await page.getByRole("button", { name: "انسخ الإجابة" }).waitFor();
  const { x } = await page.locator(".panel").boundingBox();
  assert.equal(x, 20, "it stands on the other side");
  assert.deepEqual(await violations(page), []);
  await close();
});

test("it speaks the language of the page", async () => {
  const body = '<div lang="de-AT"><rivulet-chat></rivulet-chat></div>';
  const { page, close } = await openScripted({ head: site.tag(""), body });
  await page.getByRole("button", { name: "Neue Unterhaltung" }).waitFor();
  await close();
});

const HOSTILE = `
  * { all: unset !important; color: red !important; --text: red; --ground: lime; --accent: red !important; --line: red; }
  body * { display: none !important; position: static !important; }
  html { font-size: 60px; letter-spacing: 1em; line-height: 4; text-transform: uppercase; }
  button, dialog, textarea { display: none !important; }
  rivulet-chat { transform: scale(3); opacity: 0.1; visibility: hidden; }
  ::slotted(*), :defined { font-size: 60px !important; direction: rtl; }`;

/** How the open panel stands, and looks. */
const looks = (page) =>
  page.evaluate(() => {
    const root = document.querySelector("rivulet-chat").shadowRoot;
    return [...root.querySelectorAll("*")].map((element) => {
      const { color, fontSize, display, direction, letterSpacing, opacity, backgroundColor } =
        getComputedStyle(element);
      const { x, y, width, height } = element.getBoundingClientRect();
      const box = [x, y, width, height].map(Math.round);
      const colours = [color, backgroundColor];
      return [
        element.localName,
        colours,
        fontSize,
        display,
        direction,
        letterSpacing,
        opacity,
        box,
      ];
    });
  });

test("what a page's own rules do to everything does nothing to it", async () => {
  const seen = [];
  for (const css of ["", HOSTILE]) {
    const { conversation, page, close } = await openScripted({
      css,
      options: { reducedMotion: "reduce" },
    });
    await ask(page, conversation, "How long?");
    conversation.write("Within **60 days**.");
    conversation.done();
    await page.getByRole("button", { name: "Copy answer" }).waitFor();
    seen.push(await looks(page));
    await close();
  }
  assert.deepEqual(seen[1], seen[0]);
  assert.ok(seen[0].length > 20);
});

test("a citation gives the focus back, but not to who has pressed something else", async () => {
  const { conversation, page, close } = await openScripted();
  await ask(page, conversation, "How long?");
  conversation.sources(SOURCES);
  conversation.write("Within **60 days** [1].");
  conversation.done();
  const citation = answers(page).getByRole("link", { name: /^Source 1: / });
  const card = page.getByRole("dialog", { name: "Source 1" });
  await citation.click();
  await card.waitFor();
  await page.keyboard.press("Escape");
  await card.waitFor({ state: "hidden" });
  await hasFocus(page, "Source 1: Returns");
  await citation.click();
  await card.waitFor();
  await box(page).click();
  await card.waitFor({ state: "hidden" });
  // The card hears of it later than the box.
  await page.evaluate(() => new Promise((done) => setTimeout(() => requestAnimationFrame(done))));
  await hasFocus(page, "Message");
  await close();
});

test("what is typed in it is no shortcut of the page", async () => {
  const { page, close } = await openScripted();
  await page.evaluate(() => {
    window.pressed = [];
    for (const name of ["keydown", "keypress", "keyup"])
      document.addEventListener(name, ({ key }) => window.pressed.push(key));
  });
  await box(page).fill("");
  await page.keyboard.type("a/?");
  assert.equal(await box(page).inputValue(), "a/?");
  assert.deepEqual(await page.evaluate(() => window.pressed), []);
  await close();
});

test("a page may give it colours and style its parts", async () => {
  const css = `
    rivulet-chat { --rv-surface: rgb(1, 2, 3); --rv-radius: 3px; }
    rivulet-chat::part(header) { border-bottom-width: 7px; }`;
  const head = site.tag('data-accent="#ffee00" data-theme="dark" data-position="start"');
  const { page, close } = await openScripted({ css, head });
  const shown = await page.evaluate(() => {
    const root = document.querySelector("rivulet-chat").shadowRoot;
    const of = (query) => getComputedStyle(root.querySelector(query));
    return {
      surface: of(".head").backgroundColor,
      border: of(".head").borderBottomWidth,
      radius: of(".panel").borderTopLeftRadius,
      accent: of(".launcher").backgroundColor,
      ink: of(".launcher").color,
      left: root.querySelector(".panel").getBoundingClientRect().x,
    };
  });
  assert.deepEqual(shown, {
    surface: "rgb(1, 2, 3)",
    border: "7px",
    radius: "3px",
    accent: "rgb(255, 238, 0)",
    ink: "rgb(0, 0, 0)",
    left: 20,
  });
  await close();
});

test("two on one page have a conversation each", async () => {
  const body = ["one", "two"]
    .map(
      (name) => `<rivulet-chat mode="inline" id="${name}" greeting="I am ${name}"></rivulet-chat>`,
    )
    .join("");
  const css = "rivulet-chat { --rv-height: 300px }";
  const { page, close } = await site.open(browser, { head: site.tag(""), body, css });
  const [one, two] = ["one", "two"].map((id) => page.locator(`#${id}`));
  await one.getByText("I am one").waitFor();
  await two.getByText("I am two").waitFor();
  await one.getByRole("textbox").fill("Tell me about tents.");
  await one.getByRole("textbox").press("Enter");
  await one.getByRole("button", { name: "Copy answer" }).waitFor();
  assert.equal(await two.getByRole("article").count(), 0);
  assert.deepEqual(await violations(page), []);
  await two.evaluate((chat) => chat.remove());
  await one.getByRole("textbox").fill("And huts?");
  await one.getByRole("textbox").press("Enter");
  await one.getByRole("button", { name: "Stop" }).click();
  await one.locator(".note").getByText("You stopped this answer").waitFor();
  await close();
});

test("a connection that is cut costs no letter, and is told of", async () => {
  const { conversation, page, close } = await openScripted();
  await ask(page, conversation, "How long?");
  const words = Array.from({ length: 60 }, (_, at) => `word${at} `);
  for (const [at, word] of words.entries()) {
    conversation.write(word);
    if (at % 20 === 10) conversation.close(1006);
  }
  await page.getByText("word59").waitFor();
  conversation.done();
  await page.getByRole("button", { name: "Copy answer" }).waitFor();
  assert.equal(
    (await answers(page).locator(".markdown").innerText()).trim(),
    words.join("").trim(),
  );
  await page.context().setOffline(true);
  await page.getByText("Offline. Messages are sent when the network is back.").waitFor();
  await page.context().setOffline(false);
  await page.getByText("Offline.").waitFor({ state: "hidden" });
  await close();
});

test("a finished answer is announced once", async () => {
  const { conversation, page, close } = await openScripted();
  await page.evaluate(() => {
    window.said = [];
    const region = document
      .querySelector("rivulet-chat")
      .shadowRoot.querySelector("[aria-live=polite]");
    new MutationObserver(() => window.said.push(region.textContent)).observe(region, {
      childList: true,
    });
  });
  await ask(page, conversation, "How long?");
  for (let at = 0; at < 300; at++) conversation.write(`word${at} `);
  conversation.done();
  await page.getByRole("button", { name: "Copy answer" }).waitFor();
  const said = await page.evaluate(() => window.said);
  assert.ok(said.length <= 2, said.join("\n"));
  assert.match(said.at(-1), /^Answer: word0 .* word299/);
  await close();
});

const CHART = {
  title: "Sales",
  data: { values: [1, 2, 3].map((at) => ({ month: `m${at}`, sold: at * 10 })) },
  layer: [
    {
      mark: "bar",
      encoding: {
        x: { field: "month", type: "ordinal" },
        y: { field: "sold", type: "quantitative" },
      },
    },
  ],
};

test("tools, a chart and what waits for approval are cards in it", async () => {
  const { conversation, page, close } = await openScripted();
  await ask(page, conversation, "How were the sales?");
  conversation.write("Let me see.");
  conversation.call("c_1", { tool: "chart", title: "Draw a chart" });
  const media = "application/vnd.vegalite.v5+json";
  const about = { kind: "chart", title: "Sales", media };
  const chart = conversation.made("f_1", JSON.stringify(CHART), about);
  conversation.result("c_1", "ok", { summary: "Drawn", artifacts: [chart] });
  conversation.call("c_2", { tool: "letter", title: "Write a letter", args: { to: "Asha" } });
  conversation.wait("c_2");
  conversation.done("awaiting_approval");
  await page.getByRole("img", { name: "Sales" }).waitFor();
  const approval = page.getByRole("group", { name: "Approval: Write a letter" });
  await approval.getByText("Asha").waitFor();
  assert.deepEqual(await violations(page), []);
  await approval.getByRole("button", { name: "Approve" }).focus();
  await page.keyboard.press("Enter");
  await page.locator('.tool[data-status="approved"]').waitFor();
  assert.ok((await focused(page)).includes("Write a letter"), "the focus stays at the card");
  assert.equal(conversation.heard.filter(({ type }) => type === "approve").length, 1);
  await page.getByRole("button", { name: "Good answer" }).click();
  await page.waitForFunction(() =>
    document.querySelector("rivulet-chat").shadowRoot.querySelector(".thumb[aria-pressed=true]"),
  );
  await close();
});

test("a page can open it, ask, begin anew, and hears what happens", async () => {
  const conversation = new Conversation();
  const { page, close } = await site.open(browser, { scripted: conversation });
  await launcher(page).waitFor();
  await page.evaluate(async () => {
    const chat = document.querySelector("rivulet-chat");
    window.heard = [];
    for (const name of ["rv-open", "rv-close", "rv-message", "rv-run-done", "rv-error"])
      document.addEventListener(name, ({ type, detail }) => window.heard.push([type, detail]));
    await chat.ask("How long?");
  });
  while (!conversation.heard.some(({ type }) => type === "send"))
    await new Promise((done) => setTimeout(done, 5));
  conversation.answer("Within 60 days.");
  await page.getByText("Within 60 days.").waitFor();
  conversation.restart();
  await page.evaluate(() => document.querySelector("rivulet-chat").newConversation());
  await answers(page).waitFor({ state: "detached" });
  await page.evaluate(() => document.querySelector("rivulet-chat").toggle());
  const heard = await page.evaluate(() => window.heard);
  assert.deepEqual(
    heard.map(([type]) => type),
    ["rv-open", "rv-message", "rv-run-done", "rv-message", "rv-close"],
  );
  assert.deepEqual(
    [heard[1][1].text, heard[2][1].status, heard[3][1].text, heard[3][1].status],
    ["How long?", "complete", "Within 60 days.", "complete"],
  );
  await close();
});

test("in other words and at another place the conversation goes on, with what was being written", async () => {
  const body = '<rivulet-chat storage="none"></rivulet-chat>';
  const { page, close } = await site.open(browser, { head: site.tag(""), body });
  await launcher(page).click();
  await box(page).fill("Tell me about tents.");
  await page.keyboard.press("Enter");
  await page.getByRole("button", { name: "Copy answer" }).waitFor();
  await box(page).fill("And about");
  await page.evaluate(() => {
    const chat = document.querySelector("rivulet-chat");
    chat.setAttribute("locale", "de");
    chat.setAttribute("greeting", "Guten Tag!");
    chat.setAttribute("mode", "inline");
  });
  await page.getByRole("button", { name: "Antwort kopieren" }).waitFor();
  assert.equal(await page.getByRole("textbox").inputValue(), "And about");
  await page.evaluate(() =>
    document.querySelector("rivulet-chat").setAttribute("storage", "local"),
  );
  await page.getByRole("button", { name: "Antwort kopieren" }).waitFor({ state: "detached" });
  await page.getByText("Guten Tag!").waitFor();
  assert.equal(await page.getByRole("textbox").inputValue(), "");
  await close();
});

test("what a page has said before the program came still holds", async () => {
  const { page, close } = await site.open(browser, {
    head: "",
    body: "<rivulet-chat></rivulet-chat>",
  });
  const token = await page.evaluate(async (src) => {
    const chat = document.querySelector("rivulet-chat");
    chat.token = "t";
    document.head.append(Object.assign(document.createElement("script"), { type: "module", src }));
    await customElements.whenDefined("rivulet-chat");
    return chat.token;
  }, `${site.gateway}/widget.js?version=2`);
  assert.equal(token, "t");
  await launcher(page).waitFor();
  await close();
});

test("what cannot be loaded can be tried again", async () => {
  const conversation = new Conversation();
  const { page, misdeeds } = await site.open(browser, { scripted: conversation });
  await launcher(page).waitFor();
  await page.route(/widget-panel/, (route) => route.abort());
  await launcher(page).click();
  const again = page.getByRole("button", { name: "The chat could not be loaded" });
  await again.waitFor();
  await page.unroute(/widget-panel/);
  await again.click();
  await box(page).waitFor();
  assert.deepEqual(
    misdeeds.filter((text) => !/ERR_FAILED|Failed to fetch dynamically imported/.test(text)),
    [],
  );
  await page.context().close();
});
