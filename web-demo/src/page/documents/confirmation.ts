/** Asks before something that cannot be undone, at the place where it was asked for. */
import { make } from "../element";

export interface Question {
  readonly question: string;
  /** What follows from a yes. */
  readonly consequence: string;
  readonly yes: string;
  readonly no: string;
  confirmed(): void;
  /** To be told where the focus goes. */
  kept(): void;
}

/** Puts the question into `place`, which should have nothing else in it. The focus is on the harmless answer. */
export function confirm(place: HTMLElement, asked: Question): void {
  const yes = make("button", {
    type: "button",
    className: "button button-bad",
    textContent: asked.yes,
  });
  const no = make("button", { type: "button", className: "button", textContent: asked.no });
  const box = make(
    "div",
    { className: "confirmation" },
    make(
      "p",
      {},
      make("strong", { textContent: asked.question, dir: "auto" }),
      ` ${asked.consequence}`,
    ),
    make("div", { className: "confirmation-row" }, no, yes),
  );
  box.setAttribute("role", "group");
  box.setAttribute("aria-label", `${asked.question} ${asked.consequence}`);
  const close = (): void => {
    box.remove();
    asked.kept();
  };
  no.addEventListener("click", close);
  yes.addEventListener("click", () => {
    box.remove();
    asked.confirmed();
  });
  box.addEventListener("keydown", (event) => {
    if (event.key !== "Escape") return;
    event.stopPropagation();
    close();
  });
  place.replaceChildren(box);
  no.focus();
}
