/** Who is signed in, and the way out. */
import { byId } from "../page/element";
import type { SignIn } from "./sign-in";

export class Account {
  readonly #signIn: SignIn;
  readonly #place = byId("account");
  readonly #name = byId("account-name");
  readonly #in = byId("account-in");
  readonly #out = byId("account-out");

  constructor(signIn: SignIn, { open, leave }: { open(): void; leave(): void }) {
    this.#signIn = signIn;
    this.#in.addEventListener("click", open);
    this.#out.addEventListener("click", leave);
    signIn.on("change", () => this.#show());
    this.#show();
  }

  #show(): void {
    const { standing, url } = this.#signIn;
    const isIn = standing.name === "in";
    this.#out.hidden = !isIn;
    this.#in.hidden = !(standing.name === "anyone" && url !== null);
    this.#name.textContent = isIn && standing.holder ? standing.holder.user : "";
    this.#place.hidden = this.#out.hidden && this.#in.hidden;
  }
}
