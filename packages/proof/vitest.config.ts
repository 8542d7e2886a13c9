import { defineConfig } from "vitest/config";

// They run npm and compilers, however busy the machine is.
export default defineConfig({ test: { testTimeout: 120_000, hookTimeout: 120_000 } });
