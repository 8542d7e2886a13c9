import { mkdtemp, readdir, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, describe, expect, it, vi } from "vitest";
import { EmptyProject, type PackageName } from "./empty-project.js";

afterEach(() => vi.unstubAllEnvs());

describe("an empty project", () => {
  it("leaves nothing where it cannot be made, and says why", async () => {
    const folder = await mkdtemp(join(tmpdir(), "rivulet-none-"));
    vi.stubEnv("TMPDIR", folder);
    try {
      const made = EmptyProject.with(["no-such-package" as PackageName]);
      await expect(made).rejects.toThrow("no-such-package");
      expect(await readdir(folder)).toEqual([]);
    } finally {
      await rm(folder, { recursive: true });
    }
  });
});
