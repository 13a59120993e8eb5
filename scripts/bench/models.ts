/** The models of the benchmarks: the paper's size with random weights, exported and converted in several ways. */
import { spawn } from "node:child_process";
import { existsSync, statSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { PAPER_SIZE, writeTnn } from "../paper-model.ts";

/** What one run of `convert` cost. */
export interface Conversion {
  readonly file: string;
  readonly seconds: number;
  /** Largest resident memory of the process, bytes. */
  readonly peakBytes: number;
}

const COMMAND = fileURLToPath(new URL("../../src/cli/main.js", import.meta.url));
/** Loaded before the command: writes the process's peak memory (kB) to file descriptor 3 when it ends. */
const WATCH = `data:text/javascript,import fs from "node:fs";process.on("exit",()=>fs.writeSync(3,String(process.resourceUsage().maxRSS)))`;

/** Writes the exported model once; returns its path. */
export async function paperModel(folder: string): Promise<string> {
  const file = `${folder}/paper.onnx`;
  if (!existsSync(file)) await writeTnn(file, PAPER_SIZE);
  return file;
}

export const bytesOf = (file: string): number => statSync(file).size;

/** Converts in a process of its own, as a user would. */
export function convertAlone(source: string, file: string, options: readonly string[]): Promise<Conversion> {
  const started = performance.now();
  const child = spawn(
    process.execPath,
    ["--import", WATCH, COMMAND, "convert", source, "-o", file, "--force", ...options],
    { stdio: ["ignore", "ignore", "inherit", "pipe"] },
  );
  let kilobytes = "";
  child.stdio[3]!.on("data", (chunk: Buffer) => {
    kilobytes += chunk.toString();
  });
  return new Promise((resolve, reject) => {
    child.on("error", reject).on("close", (code) => {
      if (code !== 0) reject(new Error(`convert ${options.join(" ")} ended with ${code}`));
      else resolve({ file, seconds: (performance.now() - started) / 1000, peakBytes: 1024 * Number(kilobytes) });
    });
  });
}

/** The same, or the file of an earlier run where there is one. */
export async function converted(
  source: string,
  file: string,
  options: readonly string[],
  reuse: boolean,
): Promise<string> {
  if (!(reuse && existsSync(file))) await convertAlone(source, file, options);
  return file;
}
