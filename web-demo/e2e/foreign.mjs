/** Pages of somebody else: of another origin than the gateway's, with a policy that lets in nothing but the widget. */
import assert from "node:assert/strict";
import { createServer } from "node:http";

/** What a page has around the widget. */
const page = (head, body) => `<!doctype html>
<html lang="en">
<head>
<meta name="viewport" content="width=device-width">
<title>A shop</title>
${head}
</head>
<body><main><h1>Tents and huts</h1><p>Welcome to the shop.</p>${body}</main></body>
</html>`;

export class ForeignSite {
  origin;
  /** The address of the gateway, once it is known. */
  gateway;
  /** Answers requests besides those of pages: an object by path. */
  answers = new Map();
  #pages = new Map();
  #styles = new Map();
  #server;

  static async start() {
    const site = new ForeignSite();
    site.#server = createServer((request, response) => site.#answer(request.url, response));
    await new Promise((resolve) => site.#server.listen(0, "127.0.0.1", resolve));
    site.origin = `http://127.0.0.1:${site.#server.address().port}`;
    return site;
  }

  stop() {
    this.#server.close();
  }

  /** The tag that a page needs, with these attributes of its own. */
  tag(attributes = 'data-assistant=""') {
    return `<script type="module" src="${this.gateway}/widget.js" ${attributes}></script>`;
  }

  /**
   * Opens a page with `head` in its head and `body` in its body, and these rules in a style sheet of its own. `connect`:
   * the gateway that it talks to, where that is another one. `scripted`: the conversation behind all sockets, in the place
   * of the gateway's.
   */
  async open(browser, wanted = {}) {
    const { head = this.tag(), body = "", css = "", scripted, options = {} } = wanted;
    const { connect = this.gateway } = wanted;
    const path = `/page-${this.#pages.size}`;
    const link = css === "" ? "" : `<link rel="stylesheet" href="${path}.css">`;
    this.#styles.set(`${path}.css`, css);
    this.#pages.set(path, { text: page(link + head, body), connect });
    const context = await browser.newContext({
      viewport: { width: 1280, height: 800 },
      ...options,
    });
    await scripted?.behind(context);
    const opened = await context.newPage();
    const misdeeds = [];
    opened.on("console", (message) => {
      if (["error", "warning"].includes(message.type())) misdeeds.push(message.text());
    });
    opened.on("pageerror", (error) => misdeeds.push(String(error)));
    opened.on("request", (request) => {
      const { origin, protocol } = new URL(request.url());
      if (![this.origin, this.gateway, connect].includes(origin) && protocol !== "blob:")
        misdeeds.push(`request to ${request.url()}`);
    });
    await opened.goto(this.origin + path);
    const close = async () => {
      assert.deepEqual(misdeeds, []);
      await context.close();
    };
    return { page: opened, misdeeds, close };
  }

  #answer(path, response) {
    const known = this.answers.get(path);
    if (known !== undefined) {
      response.setHeader("content-type", "application/json");
      response.end(JSON.stringify(known()));
    } else if (this.#styles.has(path)) {
      response.setHeader("content-type", "text/css");
      response.end(this.#styles.get(path));
    } else if (this.#pages.has(path)) {
      const { text, connect } = this.#pages.get(path);
      const sockets = connect.replace(/^http/, "ws");
      response.setHeader("content-type", "text/html; charset=utf-8");
      response.setHeader(
        "content-security-policy",
        `default-src 'none'; script-src ${this.gateway}; style-src 'self'; ` +
          `connect-src 'self' ${connect} ${sockets}`,
      );
      response.end(text);
    } else {
      // Also the picture that a browser asks for by itself, which is no fault of a page.
      response.statusCode = path === "/favicon.ico" ? 204 : 404;
      response.end();
    }
  }
}
