/** Files that leave the page: saved by the browser, or shown in a tab. */
import { make } from "./element";

/** As long as a browser may take to begin with it. */
const KEPT_MS = 60_000;
const LONGEST_NAME = 100;

const ENDINGS: Readonly<Record<string, string>> = {
  "application/pdf": "pdf",
  "application/json": "json",
  "application/vnd.vegalite.v5+json": "json",
  "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet": "xlsx",
  "image/jpeg": "jpg",
  "image/png": "png",
  "text/csv": "csv",
  "text/markdown": "md",
  "text/plain": "txt",
};

/** What a browser shows without running anything that is in it. */
const SHOWN: ReadonlySet<string> = new Set([
  "application/pdf",
  "image/jpeg",
  "image/png",
  "text/plain",
]);

export function save(content: Blob, name: string): void {
  make("a", { href: addressOf(content), download: name }).click();
}

export function canShow(media: string): boolean {
  return SHOWN.has(bare(media));
}

/**
 * An empty tab, to be asked for within the click that wants something shown, or else browsers refuse it. It gets the
 * content with the kind that was checked, whatever the gateway's answer says of it. `null`: there is no tab to be had.
 */
export function tabFor(media: string): { show(content: Blob): void; close(): void } | null {
  const tab = canShow(media) ? window.open("about:blank") : null;
  if (!tab) return null;
  return {
    show: (content) => tab.location.replace(addressOf(new Blob([content], { type: bare(media) }))),
    close: () => tab.close(),
  };
}

/** The name of a file for what has this title. */
export function fileName(title: string, media: string): string {
  const safe = title.replace(/[\p{Cc}\p{Cf}<>:"/\\|?*]/gu, "_");
  const name = safe.trim().slice(0, LONGEST_NAME).replace(/^\.+/, "") || "file";
  const ending = ENDINGS[bare(media)];
  return ending === undefined || name.toLowerCase().endsWith(`.${ending}`)
    ? name
    : `${name}.${ending}`;
}

function addressOf(content: Blob): string {
  const address = URL.createObjectURL(content);
  setTimeout(() => URL.revokeObjectURL(address), KEPT_MS);
  return address;
}

const bare = (media: string): string => (media.split(";")[0] ?? "").trim().toLowerCase();
