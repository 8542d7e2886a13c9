/** The words of the panel in the languages that there are tables for, each loaded where it is spoken. */
import { english, type Say, sayBy } from "../../../web-demo/src/page/say";
import type { Locale } from "./settings";

export type Table = Readonly<Record<string, string>>;

const TABLES: Readonly<Record<Exclude<Locale, "en">, () => Promise<{ default: Table }>>> = {
  de: () => import("./locales/de"),
  hi: () => import("./locales/hi"),
  ar: () => import("./locales/ar"),
};

export async function sayIn(locale: Locale): Promise<Say> {
  return locale === "en" ? english : sayBy((await TABLES[locale]()).default);
}
