/** Style sheets that are made by program: a page's policy asks nothing of them. */
import messages from "../../../web-demo/src/styles/messages.css?inline";
import panel from "./styles/panel.css?inline";

export const PANEL = `${messages}\n${panel}`;

/** One sheet for all widgets of a page, by its text. */
const sheets = new Map<string, CSSStyleSheet>();

export function adopt(root: ShadowRoot, text: string): void {
  let sheet = sheets.get(text);
  if (sheet === undefined) {
    sheet = new CSSStyleSheet();
    sheet.replaceSync(text);
    sheets.set(text, sheet);
  }
  if (!root.adoptedStyleSheets.includes(sheet)) root.adoptedStyleSheets.push(sheet);
}
