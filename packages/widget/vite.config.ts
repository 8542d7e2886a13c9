import { defineConfig, type Plugin } from "vitest/config";

/** As many pixels as `rem` stands for on the page of the gateway. */
const REM_PX = 16;

/**
 * The style sheets of the page, for the shadow of an element on a page of others: no measure comes from that page's root,
 * its variables are those of the frame, which no rule of that page reaches, and how narrow the panel is counts instead of
 * the window.
 */
const shadowed: Plugin = {
  name: "shadowed",
  enforce: "pre",
  transform(code, id) {
    if (!/\/styles\/[\w-]+\.css\?inline$/.test(id)) return null;
    return code
      .replace(/@media \((max|min)-width: /g, "@container ($1-width: ")
      .replace(/(\d*\.?\d+)rem\b/g, (_, count) => `${Number(count) * REM_PX}px`)
      .replace(/:root\b/g, ".frame");
  },
};

/** What is not taken of marked, which is a program of one file: what makes HTML, and a parser that is made at once. */
const withoutHtml: Plugin = {
  name: "without-html",
  enforce: "pre",
  transform(code, id) {
    if (!id.endsWith("/marked.esm.js")) return null;
    const made = code.search(/var \w+=new \w+;function \w+\(\w+,\w+\)\{return \w+\.parse\(/);
    const exported = /export\{([^}]+)\}/.exec(code)?.[1];
    if (made < 0 || exported === undefined) throw new Error("marked is made otherwise by now");
    const taken = exported.split(",").filter((one) => TAKEN.test(one));
    return { code: `${code.slice(0, made)}export{${taken.join(",")}};`, map: null };
  },
};
const TAKEN = / as (?:Hooks|Lexer|Tokenizer|defaults)$/;

export default defineConfig({
  base: "./",
  plugins: [shadowed, withoutHtml],
  build: {
    target: "es2022",
    // As old as a browser may be: `light-dark()` is its own, and so are popovers.
    cssTarget: ["chrome123", "firefox125", "safari17.5"],
    lib: { entry: "src/widget.ts", formats: ["es"] },
    rolldownOptions: {
      output: {
        // Nothing but the launcher is at an address that stays; what it loads is named by its content.
        entryFileNames: "widget.js",
        chunkFileNames: "assets/widget-[name]-[hash].js",
        minify: true,
      },
    },
  },
  // Tests wait for events, however busy the machine is.
  test: { include: ["test/**/*.test.ts"], testTimeout: 60_000 },
});
