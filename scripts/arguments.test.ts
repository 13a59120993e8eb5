/** Every script refuses what it does not know, before it does anything. */
import { execFileSync } from "node:child_process";
import { readdirSync, readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { afterEach, describe, expect, it, vi } from "vitest";

const FOLDER = fileURLToPath(new URL(".", import.meta.url));
/** Files that others import and nobody runs. */
const PARTS =
  /^(adversary|arguments|compare|deepfilter|denoise|edits|long-run|million|model-files|processor|random-kernels|recurrence|root|roundoff-cases|serve-process|stepper|tcn|web-measure|web-site)\.ts$/;
const files = readdirSync(FOLDER).filter((name) => /\.(ts|mjs)$/.test(name) && !/\.test\.ts$/.test(name));
const scripts = files.filter((name) => name.endsWith(".ts") && !PARTS.test(name));

/** Runs a script in this process with arguments of its own; process.exit ends it. */
async function exitOf(script: string, args: readonly string[]): Promise<string> {
  vi.resetModules();
  const path = `${FOLDER}${script}`;
  vi.spyOn(process, "argv", "get").mockReturnValue(["node", path, ...args]);
  vi.spyOn(console, "error").mockImplementation(() => {});
  vi.spyOn(process, "exit").mockImplementation((code) => {
    throw new Error(`exit ${code}`);
  });
  try {
    await import(/* @vite-ignore */ path);
  } catch (error) {
    return (error as Error).message;
  }
  return "ran";
}

afterEach(() => vi.restoreAllMocks());

describe.each(scripts)("%s", (script) => {
  it("refuses an unknown option, and more words than it takes", async () => {
    expect(await exitOf(script, ["--nonsense", "1"])).toBe("exit 2");
    expect(await exitOf(script, new Array<string>(12).fill("nonsense"))).toBe("exit 2");
  });
});

it.each([
  ["certify-fuzz.ts", "--count", "120"],
  ["certify-fuzz.ts", "many"],
  ["fuzz.ts", "--count", "NaN"],
  ["fuzz.ts", "--seed"],
  ["reduction-table.ts", "prices"],
  ["lowering-bench.ts", "stepp"],
  ["scaling.ts", "--rounds", "-3"],
  ["paper-model.ts", "model.onnx", "layer=3"],
  ["prompt-slices.ts"],
])("%s %s %s is refused", async (script, ...args) => {
  expect(await exitOf(script, args.filter(Boolean))).toBe("exit 2");
});

it.each(files.filter((name) => name.endsWith(".mjs")))("%s refuses arguments", (script) => {
  const run = () => execFileSync(process.execPath, [`${FOLDER}${script}`, "--nonsense"], { stdio: "pipe" });
  expect(run).toThrow(expect.objectContaining({ status: 2 }));
});

it("reads the command line in one place", () => {
  for (const name of scripts) {
    const text = readFileSync(`${FOLDER}${name}`, "utf8");
    expect(text, name).not.toMatch(/argv\.slice|argv\[[2-9]|argv\.indexOf|parseArgs\(/);
  }
});
