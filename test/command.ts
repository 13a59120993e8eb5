/** Runs the built command `longconv-ssm` as a user would: a process of its own, its output in pipes. */
import { spawn } from "node:child_process";
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { expect } from "vitest";
import { ERROR_EXIT_CODES, type ErrorCode } from "../src/errors.ts";

export const COMMAND = fileURLToPath(new URL("../dist/src/cli/main.js", import.meta.url));

/** How a process ended and what it wrote. */
export interface Ended {
  /** Exit code; null where a signal ended it. */
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

export interface RunOptions {
  readonly cwd?: string;
  /** Variables beside those of this process; undefined ones are taken away. */
  readonly env?: Readonly<Record<string, string | undefined>>;
  /** Limit of the size of a file that the process may write, blocks of 512 bytes: a full disk. */
  readonly fileBlocks?: number;
  /** Sends Ctrl-C once this is true of what was written so far. */
  readonly interruptWhen?: (stdout: string, stderr: string) => boolean;
}

/** Runs the command with these arguments. */
export function longconv(args: readonly string[], options: RunOptions = {}): Promise<Ended> {
  const { cwd, fileBlocks, interruptWhen } = options;
  const env = { ...process.env, ...options.env };
  if (!existsSync(COMMAND)) throw new Error(`${COMMAND} is missing: run \`npm run build\` first`);
  const argv = [COMMAND, ...args];
  const child =
    fileBlocks === undefined
      ? spawn(process.execPath, argv, { cwd, env })
      : spawn("sh", ["-c", `ulimit -f ${fileBlocks}; exec "$0" "$@"`, process.execPath, ...argv], { cwd, env });
  const output = { stdout: "", stderr: "" };
  let interrupted = false;
  const interrupt = () => {
    if (interrupted || !interruptWhen?.(output.stdout, output.stderr)) return;
    interrupted = true;
    child.kill("SIGINT");
  };
  for (const name of ["stdout", "stderr"] as const)
    child[name].setEncoding("utf8").on("data", (chunk: string) => {
      output[name] += chunk;
      interrupt();
    });
  return new Promise((resolve, reject) => {
    child.on("error", reject).on("close", (code) => resolve({ code, ...output }));
  });
}

/** The error that --json gives, with what people read on stderr held against it. */
export function errorOf({ code, stdout, stderr }: Ended): {
  code: ErrorCode;
  reason: string;
  file?: string;
  node?: string;
} {
  const { error } = JSON.parse(stdout);
  expect(stderr).toContain(`[${error.code}]`);
  expect(stderr).toContain(error.reason);
  expect(stderr).not.toMatch(/ at .*\.js:\d+/);
  expect(code).toBe(ERROR_EXIT_CODES[error.code as ErrorCode]);
  expect(code).not.toBe(0);
  return error;
}

/** A folder that {@link remove} takes away. */
export interface Scratch {
  readonly folder: string;
  /** A path in it. */
  at(...names: string[]): string;
  remove(): void;
}

export function scratch(): Scratch {
  const folder = mkdtempSync(path.join(tmpdir(), "longconv-test-"));
  return {
    folder,
    at: (...names) => path.join(folder, ...names),
    remove: () => rmSync(folder, { recursive: true, force: true }),
  };
}

/** Every file below a folder with its bytes, hidden ones too: what must not change. */
export function contents(folder: string): Map<string, string> {
  const names = readdirSync(folder, { recursive: true, encoding: "utf8" });
  const entries = names.sort().map((name): [string, string] => {
    const file = path.join(folder, name);
    return [name, statSync(file).isDirectory() ? "folder" : readFileSync(file).toString("base64")];
  });
  return new Map(entries);
}

/** Converts small exported models into folders by these names, exactly, over 64 lags. */
export async function convertInto(dir: Scratch, models: Readonly<Record<string, string>>): Promise<void> {
  for (const [name, source] of Object.entries(models)) {
    const { code, stderr } = await longconv(["convert", source, "-o", dir.at(name), "--exact", "--horizon", "64"]);
    expect(code, stderr).toBe(0);
  }
}
