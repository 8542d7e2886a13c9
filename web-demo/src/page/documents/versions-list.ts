/** What a document was before, and the way back to it. */
import type { VersionList } from "../../documents/wire";
import { dateText, sizeText } from "../../documents/words";
import { make } from "../element";

export interface VersionEvents {
  download(version: number): Promise<void>;
  rollBack(version: number): Promise<void>;
}

/** `act`: runs what was asked for, and tells when it fails. */
export function versionsList(
  { versions, indexed_version: answers }: VersionList,
  newest: number,
  events: VersionEvents,
  act: (button: HTMLButtonElement, step: () => Promise<void>) => void,
): HTMLElement {
  const list = make("ol", { className: "version-list" });
  list.setAttribute("aria-label", "Versions");
  for (const { version, name, bytes, created_at: at } of versions) {
    const notes = [version === answers && "answers now", version === newest && "the newest"];
    const facts = [`Version ${version}`, name, sizeText(bytes), dateText(at), ...notes];
    const button = (label: string, step: () => Promise<void>): HTMLButtonElement => {
      const made = make("button", { type: "button", className: "copy", textContent: label });
      made.setAttribute("aria-label", `${label}: version ${version}`);
      act(made, step);
      return made;
    };
    const item = make(
      "li",
      {},
      make("span", { textContent: facts.filter(Boolean).join(" · "), dir: "auto" }),
    );
    item.append(button("Download", () => events.download(version)));
    if (version !== newest) item.append(button("Go back to it", () => events.rollBack(version)));
    list.append(item);
  }
  return list;
}
