import { cpSync } from "node:fs";
import { defineConfig, type Plugin } from "vitest/config";

/** Where `npm run dev` finds a running gateway; the built page always talks to its own origin. */
const gateway = process.env.RIVULET_URL ?? "http://127.0.0.1:8080";

/** The gateway serves the widget beside its pages, as that package is built. */
const widget: Plugin = {
  name: "widget",
  apply: "build",
  closeBundle() {
    for (const part of ["widget.js", "assets"])
      cpSync(`../packages/widget/dist/${part}`, `dist/${part}`, { recursive: true });
  },
};

export default defineConfig({
  plugins: [widget],
  // Relative addresses, so that the page also works behind a proxy that adds a path.
  base: "./",
  build: {
    target: "es2022",
    // The gateway's content security policy has no `data:` for scripts, styles and fonts: keep
    // every asset a file of its own.
    assetsInlineLimit: 0,
    rolldownOptions: { input: ["index.html", "admin.html", "docs.html"] },
    modulePreload: { polyfill: false },
    reportCompressedSize: true,
  },
  server: { proxy: { "/api": { target: gateway, ws: true } } },
  // Tests wait for events, however busy the machine is.
  test: { include: ["test/**/*.test.ts"], testTimeout: 60_000 },
});
