import { defineConfig } from "vitest/config";

// Tests wait for events, however busy the machine is.
export default defineConfig({ test: { testTimeout: 60_000 } });
