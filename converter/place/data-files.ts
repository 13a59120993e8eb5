/**
 * Files of weights beside a model. Each has the name of its content, so that a new model never writes over the weights of
 * the old one; those that no model names any more are removed, if they were recorded where the model was staged.
 */
import { closeSync, openSync, readdirSync, readFileSync, readSync, rmSync, statSync } from "node:fs";
import fs from "node:fs/promises";
import path from "node:path";

const RECORD = "data-files.json";
/** Digits of a SHA-256. */
const DIGITS = 16;
const CHUNK_BYTES = 2 ** 20;

/** The name of a file of weights with this SHA-256 (hexadecimal), for a model file. */
export const contentName = (file: string, sha256: string): string =>
  `${path.basename(file, ".onnx")}.${sha256.slice(0, DIGITS)}.onnx_data`;

/**
 * Paths of the files that hold weights of the model at this path and belong to no other by their name: those of its own
 * content, and as other tools call them (model.onnx_data, model.onnx.data). None where there is no model.
 * @throws the system's errors
 */
export function dataFilesOf(file: string): string[] {
  const [folder, whole] = [path.dirname(path.resolve(file)), path.basename(file)];
  const stem = path.basename(file, ".onnx");
  const content = new RegExp(`^\\.[0-9a-f]{${DIGITS}}\\.onnx_data$`);
  const belongs = (name: string) =>
    (name.startsWith(`${stem}.`) && content.test(name.slice(stem.length))) ||
    name.startsWith(`${whole}_data`) ||
    [`${whole}.data`, `${stem}.data`].includes(name);
  const candidates = orNothing(() => readdirSync(folder), []).filter((name) => name !== whole && belongs(name));
  return [...namedIn(file, candidates)].map((name) => path.join(folder, name));
}

/** Notes in a staging folder which files of weights may be of no use when the staging is removed. */
export async function recordDataFiles(staging: string, names: readonly string[]): Promise<void> {
  if (names.length === 0) return;
  await fs.writeFile(path.join(staging, RECORD), JSON.stringify(names), { flag: "wx" });
}

/**
 * Removes the files that were recorded in a staging folder and that no model beside it names.
 * @throws the system's errors
 */
export function removeRecorded(staging: string, folder: string): void {
  const names = readRecord(path.join(staging, RECORD));
  if (names.length === 0) return;
  const there = readdirSync(folder);
  const unnamed = new Set(names.filter((name) => there.includes(name)));
  // Also a copy that was put aside: model.onnx.bak
  const models = there.filter((name) => name.includes(".onnx") && !unnamed.has(name) && isFile(folder, name));
  for (const model of models) {
    if (unnamed.size === 0) return;
    for (const name of namedIn(path.join(folder, model), [...unnamed])) unnamed.delete(name);
  }
  for (const name of unnamed) rmSync(path.join(folder, name), { force: true });
}

const isFile = (folder: string, name: string): boolean =>
  statSync(path.join(folder, name), { throwIfNoEntry: false })?.isFile() === true;

function readRecord(file: string): string[] {
  const text = orNothing(() => readFileSync(file, "utf8"), "");
  // Cut off, where the process was killed before anything was in its place.
  if (!text.endsWith("]")) return [];
  // Names only: nothing outside of the folder is ever removed.
  return (JSON.parse(text) as string[]).filter((name) => path.basename(name) === name);
}

/** The result, or something else where there is no such file (any more). */
function orNothing<T>(read: () => T, nothing: T): T {
  try {
    return read();
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return nothing;
    throw error;
  }
}

/** Which of these names stand in a file. It is read in pieces, since a model may have gigabytes. */
function namedIn(file: string, names: readonly string[]): Set<string> {
  const found = new Set<string>();
  const wanted = names.map((name) => ({ name, bytes: Buffer.from(name) }));
  const overlap = wanted.reduce((most, { bytes }) => Math.max(most, bytes.length), 0);
  if (overlap === 0) return found;
  const handle = orNothing(() => openSync(file, "r"), undefined);
  if (handle === undefined) return found;
  try {
    const buffer = Buffer.alloc(overlap + CHUNK_BYTES);
    for (let kept = 0, got = 1; got > 0 && found.size < names.length; ) {
      got = readSync(handle, buffer, kept, CHUNK_BYTES, null);
      const window = buffer.subarray(0, kept + got);
      for (const { name, bytes } of wanted) if (window.includes(bytes)) found.add(name);
      kept = Math.min(overlap, window.length);
      window.copyWithin(0, window.length - kept);
    }
  } finally {
    closeSync(handle);
  }
  return found;
}
