/** A button that puts text on the clipboard and says so. */
import { make } from "./element";
import { english, type Say } from "./say";

const SAID_FOR_MS = 2_000;

export function copyButton(
  label: string,
  text: () => string,
  say: Say = english,
): HTMLButtonElement {
  const button = make("button", { type: "button", className: "copy", textContent: label });
  button.addEventListener("click", () => void copyAndTell(button, label, text(), say));
  return button;
}

async function copyAndTell(
  button: HTMLElement,
  label: string,
  text: string,
  say: Say,
): Promise<void> {
  button.textContent = (await copyText(text)) ? say("Copied") : say("Not allowed");
  setTimeout(() => {
    button.textContent = label;
  }, SAID_FOR_MS);
}

export async function copyText(text: string): Promise<boolean> {
  try {
    await navigator.clipboard.writeText(text);
    return true;
  } catch {
    // Pages without https have no clipboard object; the old way still works there.
    return copyBySelection(text);
  }
}

function copyBySelection(text: string): boolean {
  const before = document.activeElement;
  const field = make("textarea", { value: text, className: "visually-hidden" });
  document.body.append(field);
  field.select();
  const copied = document.execCommand("copy");
  field.remove();
  if (before instanceof HTMLElement) before.focus();
  return copied;
}
