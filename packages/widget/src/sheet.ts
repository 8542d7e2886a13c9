/**
 * How the panel stands over the page: beside it where there is room; on a small screen as a sheet over all of it, behind
 * which nothing can be reached, and which the keyboard of the screen does not cover.
 */

const SMALL = "(max-width: 480px), (max-height: 420px)";

export class Sheet {
  readonly #dialog: HTMLDialogElement;
  readonly #small = matchMedia(SMALL);
  readonly #turned = (): void => {
    // The other way of standing there.
    if (this.#dialog.open) this.open();
  };
  readonly #fit = (): void => {
    const { height, offsetTop } = window.visualViewport ?? { height: innerHeight, offsetTop: 0 };
    this.#dialog.style.setProperty("--seen-height", `${height}px`);
    this.#dialog.style.setProperty("--seen-top", `${offsetTop}px`);
  };

  /** `close`: the user wants it closed. */
  constructor(dialog: HTMLDialogElement, close: () => void) {
    this.#dialog = dialog;
    dialog.addEventListener("cancel", (event) => {
      if (event.target !== dialog) return;
      event.preventDefault();
      close();
    });
    this.#small.addEventListener("change", this.#turned);
    for (const name of ["resize", "scroll"])
      window.visualViewport?.addEventListener(name, this.#fit);
  }

  open(): void {
    const isSmall = this.#small.matches;
    const inside = this.#focused();
    this.#dialog.close();
    this.#dialog.toggleAttribute("data-small", isSmall);
    this.#fit();
    if (isSmall) this.#dialog.showModal();
    else this.#dialog.show();
    inside?.focus();
  }

  close(): void {
    this.#dialog.close();
  }

  end(): void {
    this.#small.removeEventListener("change", this.#turned);
    for (const name of ["resize", "scroll"])
      window.visualViewport?.removeEventListener(name, this.#fit);
  }

  #focused(): HTMLElement | null {
    const root = this.#dialog.getRootNode();
    const focused = root instanceof ShadowRoot ? root.activeElement : null;
    return focused instanceof HTMLElement && this.#dialog.contains(focused) ? focused : null;
  }
}
