/** What the assistant that answers remembers of who sits here: to be read, put right, taken along and forgotten. */

import type { Assistant, MemoryItem, RivuletClient } from "@rivulet/client";
import type { MemoriesApi } from "../../memories/api";
import type { Forgetting } from "../../memories/forgetting";
import { Notebook } from "../../memories/notebook";
import { memoryProblem } from "../../memories/words";
import { confirm } from "../documents/confirmation";
import type { SidePanel } from "../documents/side-panel";
import { byId } from "../element";
import { save } from "../save";
import type { StatusVoice } from "../status-voice";
import type { Conversations } from "./conversation-link";
import { MemoryList } from "./memory-list";
import type { MemoryRowEvents } from "./memory-row";
import { TOPIC } from "./memory-voice";

export interface MemoriesPanelParts {
  readonly api: MemoriesApi;
  readonly forgetting: Forgetting;
  readonly panel: SidePanel;
  readonly voice: StatusVoice;
  readonly conversations: Conversations;
  /** Who answers, as far as that is known. */
  current(): Assistant | undefined;
}

export class MemoriesPanel {
  readonly #parts: MemoriesPanelParts;
  readonly #book: Notebook;
  readonly #toggle = byId("memories-toggle");
  readonly #whose = byId("memories-whose");
  readonly #enabled = byId<HTMLInputElement>("memories-enabled");
  readonly #problem = byId("memories-problem");
  readonly #again = byId("memories-again");
  readonly #empty = byId("memories-empty");
  readonly #form = byId<HTMLFormElement>("memories-form");
  readonly #text = byId<HTMLInputElement>("memories-text");
  readonly #facts: MemoryList;
  readonly #earlier: MemoryList;
  readonly #episodes: MemoryList;
  readonly #moreFacts = byId("memories-more-facts");
  readonly #moreEpisodes = byId("memories-more-episodes");
  readonly #forgetAll = byId<HTMLButtonElement>("memories-forget-all");
  /** What went wrong with what was asked for here, beside the loading. */
  #fault: unknown = null;

  constructor(client: RivuletClient, parts: MemoriesPanelParts) {
    this.#parts = parts;
    this.#book = new Notebook(parts.api, () => this.paint());
    const title = byId("side-title");
    const list = (id: string) => new MemoryList(byId(id), title, (item) => this.#eventsOf(item));
    this.#facts = list("memories-facts");
    this.#earlier = list("memories-earlier-list");
    this.#episodes = list("memories-episodes");
    parts.panel.onMemories = () => this.#load();
    parts.forgetting.watch(() => {
      this.#book.drop((id) => parts.forgetting.fate(id) !== undefined);
      this.#load();
    });
    client.on("memory", ({ noted = [] }) => {
      if (noted.length > 0) this.#load();
    });
    this.#mount();
  }

  paint(): void {
    const { panel, current } = this.#parts;
    const assistant = current();
    const name = assistant?.memory ? assistant.name : null;
    this.#toggle.hidden = name === null;
    const isOpen = panel.shows === "memories";
    if (isOpen && name === null && assistant) panel.close();
    if (this.#book.assistant !== null && (!isOpen || this.#book.assistant !== name)) {
      this.#book.close();
      return;
    }
    if (isOpen && name !== null) {
      if (this.#book.assistant !== name) this.#load();
      else this.#paintBook(assistant?.title ?? name);
    }
  }

  #paintBook(title: string): void {
    const { enabled, loading, problem } = this.#book;
    const facts = this.#book.part("fact");
    const episodes = this.#book.part("episode");
    const isShared = [...facts.items, ...episodes.items].some((item) => item.assistant === "*");
    const who = isShared ? `${title} and your other assistants remember` : `${title} remembers`;
    this.#whose.textContent = `This is what ${who} of you.`;
    this.#enabled.disabled = enabled === null;
    this.#enabled.checked = enabled ?? true;
    const holding = facts.items.filter(({ ended_at: ended }) => ended === undefined);
    const earlier = facts.items.filter(({ ended_at: ended }) => ended !== undefined);
    this.#facts.show(holding);
    this.#earlier.show(earlier);
    this.#episodes.show(episodes.items);
    const count = facts.items.length + episodes.items.length;
    byId("memories-facts-part").hidden = facts.items.length === 0;
    byId("memories-episodes-part").hidden = episodes.items.length === 0;
    byId("memories-earlier").hidden = earlier.length === 0;
    byId("memories-earlier-title").textContent = `Earlier (${earlier.length})`;
    this.#moreFacts.hidden = !facts.more;
    this.#moreEpisodes.hidden = !episodes.more;
    const fault = problem ?? this.#fault;
    const words = fault === null ? "" : memoryProblem(fault);
    this.#problem.hidden = words === "";
    if (this.#problem.textContent !== words) this.#problem.textContent = words;
    this.#again.hidden = problem === null;
    this.#empty.hidden = loading || problem !== null || count > 0;
    this.#forgetAll.hidden = count === 0;
    byId("memories").ariaBusy = String(loading);
  }

  #load(): void {
    const { panel, current } = this.#parts;
    const assistant = current();
    if (panel.shows === "memories" && assistant?.memory) void this.#book.open(assistant.name);
  }

  #mount(): void {
    const { panel, api, voice } = this.#parts;
    this.#toggle.addEventListener("click", () => panel.toggleMemories());
    this.#again.addEventListener("click", () => this.#load());
    this.#moreFacts.addEventListener("click", () => void this.#book.more("fact"));
    this.#moreEpisodes.addEventListener("click", () => void this.#book.more("episode"));
    this.#enabled.addEventListener("change", () => {
      const wanted = this.#enabled.checked;
      this.#act(async () => {
        await this.#book.enable(wanted);
        this.#parts.forgetting.tell([]);
        voice.say(TOPIC, wanted ? "It remembers again." : "It remembers nothing from now on.");
      });
    });
    this.#form.addEventListener("submit", (event) => {
      event.preventDefault();
      const text = this.#text.value.trim();
      if (text === "" || this.#form.ariaBusy === "true") return;
      this.#form.ariaBusy = "true";
      this.#act(async () => {
        await this.#book.add(text).finally(() => {
          this.#form.ariaBusy = null;
        });
        this.#text.value = "";
        this.#parts.forgetting.tell([]);
        voice.say(TOPIC, "Noted.");
      });
    });
    byId("memories-export").addEventListener("click", () =>
      this.#act(async () => save(await api.export(), "memories.json")),
    );
    this.#forgetAll.addEventListener("click", () => this.#askAll());
  }

  #askAll(): void {
    confirm(byId("memories-ask"), {
      question: "Forget everything?",
      consequence: "All facts and all that was talked about. This cannot be undone.",
      yes: "Forget everything",
      no: "Keep it",
      confirmed: () => {
        this.#forgetAll.focus();
        this.#act(async () => {
          const gone = await this.#book.forgetAll();
          byId("side-title").focus();
          this.#parts.forgetting.tell(gone);
          this.#parts.voice.say(TOPIC, "Everything is forgotten.");
        });
      },
      kept: () => this.#forgetAll.focus(),
    });
  }

  #eventsOf({ id }: MemoryItem): MemoryRowEvents {
    const { conversations, forgetting, voice } = this.#parts;
    return {
      conversations,
      edit: async (text) => {
        await this.#book.edit(id, text);
        forgetting.tell([]);
      },
      forget: async () => {
        await forgetting.forget(id);
        voice.say(TOPIC, "Forgotten.");
      },
    };
  }

  /** What goes wrong is told above the list. */
  async #attempt(step: () => Promise<void>): Promise<void> {
    this.#fault = null;
    try {
      await step();
    } catch (error) {
      this.#fault = error;
    }
    this.paint();
  }

  #act(step: () => Promise<void>): void {
    void this.#attempt(step);
  }
}
