/** How the elements of the panel are made. */
import { make } from "../../../web-demo/src/page/element";

export { make };

/** Lets a page style it from outside: `rivulet-chat::part(name)`. */
export function part<Kind extends HTMLElement>(element: Kind, ...names: string[]): Kind {
  element.setAttribute("part", names.join(" "));
  return element;
}

export function button(label: string, className: string, press: () => void): HTMLButtonElement {
  const one = make("button", { type: "button", className, textContent: label });
  one.addEventListener("click", press);
  return one;
}
