// @vitest-environment jsdom
import { NotSignedIn } from "@rivulet/client";
import { afterEach, describe, expect, it, vi } from "vitest";
import { Tokens } from "../src/tokens";

const fetching = vi.fn<typeof fetch>();
vi.stubGlobal("fetch", fetching);
afterEach(() => void fetching.mockReset());

const answer = (body: unknown, status = 200) => new Response(JSON.stringify(body), { status });

describe("the token", () => {
  it("is what the page gives, before what its server would", async () => {
    const asked: boolean[] = [];
    const { token } = new Tokens((): ((expired: boolean) => string) => {
      return (expired) => {
        asked.push(expired);
        return "given";
      };
    }, "/token");
    expect([await token(false), await token(true)]).toEqual(["given", "given"]);
    expect(asked).toEqual([false, true]);
    expect(await new Tokens(() => "fixed", null).token(false)).toBe("fixed");
    expect(await new Tokens(() => null, null).token(false)).toBeNull();
    expect(fetching).not.toHaveBeenCalled();
  });

  it("is fetched once, and again when it is no longer taken", async () => {
    fetching.mockImplementation(async () => answer({ token: `t${fetching.mock.calls.length}` }));
    const { token } = new Tokens(() => null, "/token");
    expect(await Promise.all([token(false), token(false)])).toEqual(["t1", "t1"]);
    expect(await token(true)).toBe("t2");
    expect(await token(false)).toBe("t2");
    expect(String(fetching.mock.calls[0]?.[0])).toBe(new URL("/token", location.href).href);
  });

  it("is fetched anew when somebody else may be there, and a late failure of the old one takes nothing away", async () => {
    const tokens = new Tokens(() => null, "/token");
    let fail: (error: Error) => void = () => {};
    fetching.mockReturnValueOnce(new Promise((_, reject) => (fail = reject)));
    const old = tokens.token(false);
    tokens.forget();
    fetching.mockResolvedValueOnce(answer({ token: "t2" }));
    expect(await tokens.token(false)).toBe("t2");
    fail(new Error("late"));
    await expect(old).rejects.toThrow("late");
    expect(await tokens.token(false)).toBe("t2");
    expect(fetching).toHaveBeenCalledTimes(2);
  });

  it("is asked for again after a failure, which says whether somebody has to sign in", async () => {
    const { token } = new Tokens(() => null, "/token");
    fetching.mockResolvedValueOnce(answer({}, 401));
    await expect(token(false)).rejects.toBeInstanceOf(NotSignedIn);
    fetching.mockResolvedValueOnce(answer({}, 500));
    await expect(token(false)).rejects.toThrow("status 500");
    fetching.mockResolvedValueOnce(answer({ access: "t" }));
    await expect(token(false)).rejects.toThrow("has no token");
    fetching.mockResolvedValueOnce(answer({ token: null }));
    expect(await token(false)).toBeNull();
  });
});
