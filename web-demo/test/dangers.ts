/** Everything that could run code or fetch something: it must never be there. */
export function dangers(root: HTMLElement): string[] {
  const found: string[] = [];
  for (const element of root.querySelectorAll("*")) {
    const name = element.localName;
    if (
      /^(script|style|img|iframe|object|embed|svg|math|form|input|meta|link|base|video|audio|source|template)$/.test(
        name,
      )
    )
      found.push(name);
    for (const { name: attribute, value } of element.attributes) {
      if (/^on|^style$|^src|^srcset$|^formaction$|^id$|^name$/.test(attribute))
        found.push(`${name}[${attribute}]`);
      if (attribute === "href" && !/^(https?:\/\/|mailto:)/.test(value)) found.push(value);
    }
    if (name === "a" && element.getAttribute("rel") !== "noopener noreferrer nofollow")
      found.push("a without rel");
  }
  return found;
}
