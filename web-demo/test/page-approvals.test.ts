// @vitest-environment jsdom
/** What is asked before a tool is run. */

import type { Approval, RivuletClient } from "@rivulet/client";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import type { Gateway } from "../../packages/client/test/gateway.js";
import type { Answer } from "../../packages/client/test/gateway-session.js";
import { Announcer } from "../src/page/announcer";
import { Composer } from "../src/page/composer";
import { dangers } from "./dangers";
import { openPage } from "./page-answer";

const MARKUP = "<img src=x onerror=alert(1)>";
const ARGS = { name: "Asha Rao", amount: 500_000, terms: { months: 36 } };

let gateway: Gateway;
let client: RivuletClient;
let answer: Answer;
let close: () => Promise<void>;

beforeEach(async () => {
  const page = await openPage("A letter, please.", {
    parts: (client) => {
      const composer = new Composer(client, () => {});
      new Announcer(client);
      return [() => composer.paint()];
    },
  });
  ({ gateway, client, answer, close } = page);
});

afterEach(async () => {
  vi.useRealTimers();
  await close();
});

const all = (selector: string) => [...document.querySelectorAll<HTMLElement>(selector)];
const one = (selector: string) => all(selector)[0] as HTMLElement;
const shown = (look: () => unknown) =>
  vi.waitFor(() => expect(look()).toBeTruthy(), { timeout: 30_000 });
const button = (name: string) =>
  all(".approval button").find(({ textContent }) => textContent === name) as HTMLElement;
const status = () => one(".tool").dataset.status;

async function wait(about: Partial<Approval> = {}, args: unknown = ARGS): Promise<Approval> {
  answer.write("I can write it.");
  answer.call("c_1", { title: "Sanction letter", args });
  const approval = answer.wait("c_1", about);
  answer.done("awaiting_approval");
  await shown(() => client.conversation.messages.at(-1)?.verified);
  return approval;
}

describe("what waits for approval", () => {
  it("says what would be done, who decides, and until when", async () => {
    await wait();
    const group = one(".approval");
    expect(group.getAttribute("role")).toBe("group");
    expect(group.getAttribute("aria-label")).toBe("Approval: Sanction letter");
    const asked = all(".approval-args dl > *").map(({ textContent }) => textContent);
    const terms = '{\n  "months": 36\n}';
    expect(asked).toEqual(["name", "Asha Rao", "amount", "500000", "terms", terms]);
    expect(one(".approval-terms").textContent).toMatch(/^You decide, until /);
    expect(one(".tool-status").textContent).toBe("Waits for approval");
    expect(one("#composer-waiting").hidden, "one may write on").toBe(false);
    expect(one("#composer-text").hasAttribute("disabled")).toBe(false);
    expect(one(".note").hidden).toBe(true);
  });

  it("is carried out when it is approved, once", async () => {
    const approval = await wait();
    const decided = new Promise<Answer>((resolve) => {
      gateway.onDecided = resolve;
    });
    gateway.intercept = ({ type }) => {
      if (type !== "approve") return false;
      expect(button("Approve").ariaDisabled).toBe("true");
      expect(button("Deny").ariaDisabled).toBe("true");
      return false;
    };
    button("Approve").focus();
    button("Approve").click();
    button("Approve").click();
    button("Deny").click();
    const next = await decided;
    next.call("c_2", { title: "Sanction letter" });
    next.result("c_2");
    next.done();
    await shown(() => all(".tool").length === 2);
    expect(all(".approval")).toHaveLength(0);
    expect(all(".tool").map(({ dataset }) => dataset.status)).toEqual(["approved", "ok"]);
    expect(one(".tool-summary").textContent).toBe("by alice");
    expect(document.activeElement, "the focus stays with the card").toBe(one(".tool summary"));
    expect(one("#composer-waiting").hidden).toBe(true);
    const heard = gateway.heard.filter(({ type }) => type === "approve");
    expect(heard).toHaveLength(1);
    expect(heard[0]).toMatchObject({ decision: "approved", digest: approval.digest });
  });

  it("says why a decision was not taken, and can be decided again", async () => {
    const { id } = await wait();
    const session = gateway.sessions.get(client.session ?? "");
    const row = session?.approval(id)?.call.approval;
    if (row) row.digest = "another";
    button("Deny").click();
    await shown(() => !one(".approval-problem").hidden);
    expect(one(".approval-problem").textContent).toContain("has changed");
    expect(button("Deny").ariaDisabled).toBe("false");
    if (row) row.digest = "d".repeat(64);
    button("Deny").click();
    await shown(() => status() === "denied");
    expect(one(".tool-status").textContent).toBe("Denied");
  });

  it("is not for everybody to decide", async () => {
    await wait({ approver: "scope:loans:approve" });
    expect(one(".approval-buttons").hidden).toBe(true);
    expect(one(".approval-question").textContent).toContain("a colleague");
    expect(one(".approval-terms").textContent).toContain("Whoever has “loans:approve” decides");
  });

  it("expires by the clock", async () => {
    await wait({ expires_at: new Date(Date.now() + 300).toISOString() });
    await shown(() => status() === "expired");
    expect(one(".tool-status").textContent).toBe("Expired");
    expect(all(".approval")).toHaveLength(0);
  });

  it("is set aside by the next question", async () => {
    await wait();
    const next = new Promise<Answer>((resolve) => {
      gateway.onQuestion = resolve;
    });
    client.send("Something else");
    (await next).done();
    await shown(() => status() === "superseded");
    expect(one(".tool-status").textContent).toBe("Set aside");
    expect(all(".approval")).toHaveLength(0);
  });

  it("is there again when the conversation is read again", async () => {
    await wait();
    const session = gateway.sessions.get(client.session ?? "");
    if (session) session.epoch = "restarted";
    const again = new Promise((resolve) => client.on("snapshot", resolve));
    gateway.cut();
    await again;
    expect(status()).toBe("waiting");
    button("Approve").click();
    await shown(() => status() === "approved");
  });

  it("is shown as text, whole", async () => {
    const long = `${MARKUP}${"x".repeat(5_000)}`;
    await wait({ approver: MARKUP }, { [MARKUP]: long, list: [MARKUP] });
    expect(dangers(one(".approval"))).toEqual([]);
    expect(all(".approval-args dd")[0]?.textContent).toBe(long);
  });

  it("says so when its arguments are not there", async () => {
    await wait({}, null);
    expect(one(".approval-args").textContent).toBe("Its arguments are too long to be shown.");
  });

  it("is told once to those who listen, and so is what became of it", async () => {
    const heard: string[] = [];
    const region = one("#announcer");
    new MutationObserver(() => heard.push(region.textContent?.trim() ?? "")).observe(region, {
      childList: true,
    });
    answer.call("c_1", { title: "Sanction letter", args: ARGS });
    await shown(() => all(".tool").length === 1);
    answer.wait("c_1");
    answer.done("awaiting_approval");
    await shown(() => heard.join(" ").includes("Answer:"));
    button("Deny").click();
    await shown(() => heard.join(" ").includes("Denied"));
    const told = heard.join(" ");
    expect(told.match(/Sanction letter: Waits for your approval\./g)).toHaveLength(1);
    expect(told.match(/Sanction letter: Denied\./g)).toHaveLength(1);
  });
});
