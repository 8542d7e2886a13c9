/** Who is asking: what the page says, or what its server says at `token-url`. */
import { NotSignedIn } from "@rivulet/client";
import type { Token } from "./api";

/** `given`: what the page has set by now. A token is fetched once, and again when it is no longer taken. */
export class Tokens {
  readonly #given: () => Token | null;
  readonly #url: string | null;
  #fetched: Promise<string | null> | null = null;

  constructor(given: () => Token | null, url: string | null) {
    this.#given = given;
    this.#url = url;
  }

  /** Who asks at the page's server may be somebody else by now. */
  forget(): void {
    this.#fetched = null;
  }

  readonly token = async (expired: boolean): Promise<string | null> => {
    const given = this.#given();
    if (given !== null) return typeof given === "function" ? given(expired) : given;
    if (this.#url === null) return null;
    if (expired) this.forget();
    this.#fetched ??= fetched(this.#url);
    const asked = this.#fetched;
    try {
      return await asked;
    } catch (error) {
      if (this.#fetched === asked) this.forget();
      throw error;
    }
  };
}

/** As `{"token": "…"}`, of the page's own session there. */
async function fetched(url: string): Promise<string | null> {
  const response = await fetch(new URL(url, document.baseURI), { cache: "no-store" });
  if (response.status === 401 || response.status === 403)
    throw new NotSignedIn("the page's server gives no token");
  if (!response.ok) throw new Error(`the page's server answered with status ${response.status}`);
  const { token } = (await response.json()) as { token?: unknown };
  if (token !== null && typeof token !== "string")
    throw new Error("what the page's server answered has no token");
  return token;
}
