/** The card in which one signs in, and the line that says that a sign-in will be over soon. */
import { make } from "../page/element";
import type { SignIn, Standing, Why } from "./sign-in";

const TEXT: Readonly<Record<Why, string>> = {
  first: "This gateway wants to know who is asking.",
  stray: "That sign-in was not begun in this tab, so it was not used. Sign in here.",
  refused: "The gateway did not take that sign-in.",
  forbidden: "That sign-in does not let you use this page. Sign in as somebody who may.",
  ended: "Your sign-in has ended. Sign in to go on; everything is still here.",
  revoked: "Your access was taken back. Sign in to go on; everything is still here.",
};

export interface CardHooks {
  /** What is being written; it has to survive the way to the place where one signs in. */
  draft(): string;
  /** Leaves the page for another address. */
  go(address: string): void;
  /** Tells those who do not see the card. */
  say(text: string): void;
  /** Where the focus belongs when the card has gone. */
  back(): void;
}

export class SignInCard {
  readonly #signIn: SignIn;
  readonly #hooks: CardHooks;
  readonly #place: HTMLElement;
  readonly #why = make("p", { className: "sign-in-why" });
  readonly #elsewhere = make("button", { type: "button", className: "button button-strong" });
  readonly #token = make("input", {
    type: "password",
    id: "sign-in-token",
    autocomplete: "off",
    spellcheck: false,
    required: true,
  });
  readonly #remember = make("input", { type: "checkbox", id: "sign-in-remember" });
  readonly #error = make("p", { className: "sign-in-error", id: "sign-in-error", hidden: true });
  readonly #submit = make("button", {
    type: "submit",
    className: "button button-strong",
    textContent: "Sign in",
  });
  readonly #cancel = make("button", {
    type: "button",
    className: "button",
    textContent: "Not now",
  });
  readonly #byToken = make("details", { className: "sign-in-token" });
  readonly #form = make("form", { className: "sign-in-card" });
  readonly #ending = make("div", { className: "sign-in-ending" });
  readonly #endingText = make("p");
  #asked = false;
  #shown = "";

  constructor(signIn: SignIn, place: HTMLElement, hooks: CardHooks) {
    this.#signIn = signIn;
    this.#place = place;
    this.#hooks = hooks;
    this.#build();
    signIn.on("change", () => this.#show());
    this.#show();
  }

  /** Shows the card because the user wants it. */
  open(): void {
    this.#asked = true;
    this.#show();
    this.#focus();
  }

  #build(): void {
    const title = make("h2", { id: "sign-in-title", textContent: "Sign in" });
    const renew = make("button", { type: "button", className: "button", textContent: "Renew" });
    renew.addEventListener("click", () => this.open());
    this.#ending.append(this.#endingText, renew);
    this.#error.setAttribute("role", "alert");
    this.#token.setAttribute("aria-describedby", this.#error.id);
    const label = make("label", { htmlFor: this.#token.id, textContent: "Token or API key" });
    const remember = make(
      "label",
      { className: "sign-in-remember" },
      this.#remember,
      "Remember in this tab",
    );
    const actions = make("div", { className: "sign-in-actions" }, this.#cancel, this.#submit);
    this.#byToken.append(
      make("summary", { textContent: "Use a token or an API key" }),
      label,
      this.#token,
      this.#error,
    );
    this.#form.append(title, this.#why, this.#elsewhere, this.#byToken, remember, actions);
    this.#form.setAttribute("aria-labelledby", title.id);
    this.#form.addEventListener("submit", (event) => {
      event.preventDefault();
      void this.#enter();
    });
    this.#elsewhere.addEventListener("click", () => this.#depart());
    this.#byToken.addEventListener("toggle", () => this.#show());
    this.#cancel.addEventListener("click", () => this.#close());
    remember.hidden = !this.#signIn.remembers;
    this.#place.append(this.#ending, this.#form);
  }

  #show(): void {
    const { standing, url } = this.#signIn;
    const needed = standing.name === "needed";
    const ending = standing.name === "in" ? standing.endsAt : null;
    const open = needed || this.#asked;
    this.#form.hidden = !open;
    this.#ending.hidden = open || ending === null;
    this.#place.hidden = this.#form.hidden && this.#ending.hidden;
    if (ending !== null) this.#endingText.textContent = endingText(ending);
    this.#why.textContent = needed ? TEXT[standing.why] : "Nothing is interrupted meanwhile.";
    this.#cancel.hidden = needed;
    this.#elsewhere.hidden = url === null;
    if (url !== null) this.#elsewhere.textContent = `Sign in at ${new URL(url).host}`;
    // The only way needs no cover.
    this.#byToken.classList.toggle("only", url === null);
    if (url === null) this.#byToken.open = true;
    this.#submit.hidden = !this.#byToken.open;
    this.#tell(standing, ending);
  }

  /** Once for each turn of events. */
  #tell(standing: Standing, ending: number | null): void {
    const text = standing.name === "needed" ? TEXT[standing.why] : ending && endingText(ending);
    if (text === this.#shown || !text) {
      this.#shown = text || "";
      return;
    }
    this.#shown = text;
    this.#hooks.say(text);
    // Whoever is writing goes on writing.
    if (standing.name === "needed" && this.#hooks.draft() === "") this.#focus();
  }

  #focus(): void {
    if (this.#elsewhere.hidden) this.#token.focus();
    else this.#elsewhere.focus();
  }

  async #enter(): Promise<void> {
    const token = this.#token.value.trim();
    if (token === "" || this.#submit.disabled) return;
    this.#submit.disabled = true;
    this.#error.hidden = true;
    const refusal = await this.#signIn.enter(token, this.#remember.checked);
    this.#submit.disabled = false;
    this.#token.setAttribute("aria-invalid", String(refusal !== null));
    if (refusal === null) {
      this.#token.value = "";
      this.#close();
      return;
    }
    this.#error.textContent = refusal;
    this.#error.hidden = false;
    this.#token.focus();
    this.#token.select();
  }

  #depart(): void {
    const draft = this.#hooks.draft();
    const address = this.#signIn.depart({ remember: this.#remember.checked, draft });
    if (address !== null) this.#hooks.go(address);
    else {
      this.#error.textContent =
        "This browser keeps nothing for this page, so a way back cannot be known.";
      this.#error.hidden = false;
      this.#byToken.open = true;
    }
  }

  #close(): void {
    this.#asked = false;
    this.#show();
    this.#hooks.back();
  }
}

function endingText(at: number): string {
  const time = new Date(at).toLocaleTimeString([], { hour: "2-digit", minute: "2-digit" });
  return `Your sign-in ends at ${time}. Renew it, and nothing is interrupted.`;
}
