/** What one can do with the whole of a conversation: pass its link on, save it, print it. */
import type { RivuletClient } from "@rivulet/client";
import { Problem, problemText } from "../documents/problem";
import { copyText } from "../page/copy-button";
import { byId } from "../page/element";
import { fileName, save } from "../page/save";
import type { ConversationsApi, WholeConversation } from "./api";
import { asJson, asMarkdown } from "./take-along";
import { titleOf } from "./words";

/** So many messages are printed at most, the newest: a browser lays all of them out at once. */
const MOST_PRINTED = 2_000;
const NOT_LOADED = "the earlier messages could not be loaded yet: try again in a moment";

export interface SharingParts {
  readonly api: ConversationsApi;
  /** The address to be passed on. */
  address(session: string | null): string;
  /** Resolves when all that is loaded is shown. */
  shown(): Promise<void>;
  tell(text: string): void;
}

export class Sharing {
  readonly #client: RivuletClient;
  readonly #parts: SharingParts;
  readonly #dialog = byId<HTMLDialogElement>("sharing");
  readonly #problem = byId("sharing-problem");
  readonly #whole = ["save-markdown", "save-json", "print"].map((id) =>
    byId<HTMLButtonElement>(id),
  );

  constructor(client: RivuletClient, parts: SharingParts) {
    this.#client = client;
    this.#parts = parts;
    byId("share").addEventListener("click", () => this.#open());
    byId("sharing-close").addEventListener("click", () => this.#dialog.close());
    byId("copy-link").addEventListener("click", () => void this.#copy());
    const [markdown, json, print] = this.#whole;
    markdown?.addEventListener("click", () =>
      this.#act(() => this.#save("text/markdown", asMarkdown)),
    );
    json?.addEventListener("click", () => this.#act(() => this.#save("application/json", asJson)));
    print?.addEventListener("click", () => this.#act(() => this.#print()));
    this.#dialog.addEventListener("click", (event) => {
      // Beside it: whatever is within has elements of its own, up to the edge.
      if (event.target === this.#dialog) this.#dialog.close();
    });
    // Escape closes it, and must not stop an answer as well.
    this.#dialog.addEventListener("keydown", (event) => event.stopPropagation());
  }

  #open(): void {
    const isEmpty = this.#client.conversation.messages.length === 0;
    for (const button of this.#whole) button.disabled = isEmpty;
    this.#problem.hidden = true;
    this.#dialog.showModal();
  }

  async #copy(): Promise<void> {
    const { session, conversation } = this.#client;
    const link = this.#parts.address(conversation.messages.length > 0 ? session : null);
    const copied = await copyText(link);
    this.#dialog.close();
    this.#parts.tell(copied ? "The link to this conversation was copied." : link);
  }

  async #save(media: string, write: (whole: WholeConversation) => string): Promise<void> {
    const { session } = this.#client;
    if (session === null) return;
    const whole = await this.#parts.api.whole(session);
    save(new Blob([write(whole)], { type: media }), fileName(titleOf(whole), media));
    this.#dialog.close();
  }

  async #print(): Promise<void> {
    const { session } = this.#client;
    // Another one may be opened meanwhile, or Escape was pressed: nobody waits for it any more.
    const isLeft = (): boolean => this.#client.session !== session || !this.#dialog.open;
    while (this.#client.conversation.older && this.#count < MOST_PRINTED) {
      const before = this.#count;
      await this.#client.loadOlder();
      if (isLeft()) return;
      // They are on their way already, for who has asked for them elsewhere; a part of it would pass for all of it.
      if (this.#count === before) throw new Problem(0, "not_loaded", NOT_LOADED);
    }
    await this.#parts.shown();
    if (isLeft()) return;
    this.#dialog.close();
    window.print();
  }

  get #count(): number {
    return this.#client.conversation.messages.length;
  }

  #act(work: () => Promise<void>): void {
    if (this.#dialog.ariaBusy === "true") return;
    this.#dialog.ariaBusy = "true";
    this.#problem.hidden = true;
    work()
      .catch((error: unknown) => {
        this.#problem.textContent = problemText(error);
        this.#problem.hidden = false;
      })
      .finally(() => {
        this.#dialog.ariaBusy = null;
      });
  }
}
