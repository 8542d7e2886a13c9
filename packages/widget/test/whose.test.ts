/** What becomes of a conversation when another token is set while it is open. */
import { NotSignedIn } from "@rivulet/client";
import { describe, expect, it, vi } from "vitest";
import { connected, gateway, newClient, until } from "../../client/test/client-at-gateway.js";
import { Whose } from "../src/whose";

/** Somebody who has asked one question, and got an answer. */
async function asked(token: () => string | null) {
  gateway.token = "ann";
  gateway.onQuestion = (answer) => {
    answer.write("Because");
    answer.done();
  };
  const client = newClient({ token });
  const left = vi.fn();
  const whose = new Whose(client, left);
  await connected(client);
  client.send("Why?");
  await until(client, () => client.conversation.messages.at(-1)?.verified);
  return { client, left, whose, session: client.session };
}

/** What the gateway does with a session of somebody else: for them it is not there. */
function hide(session: string | null): void {
  gateway.sessions.delete(session ?? "");
}

describe("another token", () => {
  it("of the same user lets the conversation go on", async () => {
    let token = "ann";
    const { client, left, whose, session } = await asked(() => token);
    token = gateway.token = "ann-2";
    whose.changed();
    expect(whose.isAsking).toBe(true);
    await until(client, () => client.state.name === "connected");
    expect([whose.isAsking, client.session]).toEqual([false, session]);
    expect(client.conversation.messages).toHaveLength(2);
    expect(gateway.heard.at(-1)).toMatchObject({ type: "hello", token: "ann-2" });
    expect(left).not.toHaveBeenCalled();
  });

  it("of another user begins anew, and what did not go out is never said in their name", async () => {
    let token = "ann";
    const { client, left, whose, session } = await asked(() => token);
    gateway.intercept = ({ type }) => type === "send";
    client.send("Ann's alone");
    token = gateway.token = "bob";
    hide(session);
    whose.changed();
    await until(client, () => client.state.name === "connected" && client.session !== session);
    expect(client.conversation.messages).toEqual([]);
    expect(client.outgoing).toEqual([]);
    expect(left).toHaveBeenCalledOnce();
    const hello = gateway.heard.findLastIndex((frame) => frame.token === "bob");
    expect(gateway.heard.slice(hello).some(({ type }) => type === "send")).toBe(false);
  });

  it("of nobody leaves the conversation, and asks once more at most", async () => {
    let signedIn = true;
    const { client, left, whose } = await asked(() => {
      if (!signedIn) throw new NotSignedIn();
      return "ann";
    });
    signedIn = false;
    whose.changed();
    await until(client, () => left.mock.calls.length > 0 && client.state.name === "closed");
    expect(client.conversation.messages).toEqual([]);
    expect([whose.isAsking, left.mock.calls.length]).toEqual([false, 1]);
  });

  it("before there is a connection is used by the first one", () => {
    const client = newClient();
    new Whose(client, () => {}).changed();
    expect(client.state.name).toBe("idle");
  });
});
