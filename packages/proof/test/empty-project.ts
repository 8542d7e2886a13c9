/**
 * An empty project in a temporary folder, into which packages are installed from their packed tarballs. Nothing is
 * fetched: what they want beside themselves is linked from this workspace.
 */
import { execFile } from "node:child_process";
import { mkdir, mkdtemp, readdir, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join, resolve } from "node:path";
import { promisify } from "node:util";

const run = promisify(execFile);
const packages = resolve(import.meta.dirname, "../..");
const modules = resolve(packages, "../node_modules");

export type PackageName = "client" | "react" | "ai-sdk" | "widget";

export class EmptyProject {
  readonly folder: string;

  private constructor(folder: string) {
    this.folder = folder;
  }

  /** `linked`: packages of others, by name. Nothing is left where it fails. */
  static async with(names: PackageName[], linked: string[] = []): Promise<EmptyProject> {
    const project = new EmptyProject(await mkdtemp(join(tmpdir(), "rivulet-packed-")));
    try {
      await project.#fill(names, linked);
      return project;
    } catch (error) {
      await project.remove();
      throw error;
    }
  }

  async write(files: Readonly<Record<string, string>>): Promise<void> {
    for (const [name, text] of Object.entries(files))
      await writeFile(join(this.folder, name), text);
  }

  /** What the compiler says of it, strictly and with all declarations looked at; empty where it is content. */
  async typeErrors(
    moduleResolution: "bundler" | "nodenext",
    options: object = {},
  ): Promise<string> {
    const module = moduleResolution === "bundler" ? "esnext" : "nodenext";
    const compilerOptions = { strict: true, target: "es2022", module, moduleResolution };
    const config = { compilerOptions: { ...compilerOptions, noEmit: true, types: [], ...options } };
    await this.write({ "tsconfig.json": JSON.stringify(config) });
    try {
      await this.run(join(modules, ".bin/tsc"), "--noEmit");
      return "";
    } catch (error) {
      return (error as { stdout: string }).stdout;
    }
  }

  /** Runs a program to its end and gives what it printed. Rejects when it fails. */
  async run(program: string, ...args: string[]): Promise<string> {
    const { stdout } = await run(program, args, { cwd: this.folder, timeout: 60_000 });
    return stdout;
  }

  async remove(): Promise<void> {
    await rm(this.folder, { recursive: true });
  }

  async #fill(names: PackageName[], linked: string[]): Promise<void> {
    await this.write({ "package.json": '{ "private": true, "type": "module" }' });
    for (const name of names) await this.#npm("pack", join(packages, name));
    const files = await readdir(this.folder);
    const tarballs = files.filter((file) => file.endsWith(".tgz")).map((file) => `./${file}`);
    await this.#npm("install", "--offline", "--legacy-peer-deps", "--omit=dev", ...tarballs);
    for (const name of linked) await this.#link(name);
  }

  async #npm(...args: string[]): Promise<void> {
    await this.run("npm", ...args, "--no-audit", "--no-fund", "--ignore-scripts", "--silent");
  }

  async #link(name: string): Promise<void> {
    const path = join(this.folder, "node_modules", name);
    await mkdir(dirname(path), { recursive: true });
    await symlink(join(modules, name), path);
  }
}
