/**
 * A prefix cache in a folder, a file for each state: "LCPREFIX", the SHA-256 of all that follows, the number of tokens
 * (uint32, little-endian), the tokens, then the state as `stateToBytes` writes it. A file's name is that SHA-256.
 */

import { createHash } from "node:crypto";
import { mkdir, open, readdir, rm, stat } from "node:fs/promises";
import { join } from "node:path";
import { checkArguments } from "../../src/checks.ts";
import { hasEnded } from "../../src/ended.ts";
import { LongConvError } from "../../src/errors.ts";
import { readInput } from "../../src/read-input.ts";
import { renamed } from "../../src/rename.ts";
import type { PrefixCache } from "../kept/cache.ts";
import { stateFromBytes, stateToBytes } from "../model/state-file.ts";

const MAGIC = Buffer.from("LCPREFIX");
const HASHED = MAGIC.length + 32;
const ENDING = ".prefix";
/** A file on its way, and the process that writes it. */
const PART = /\.(\d+)\.part$/;

/** What was read from a folder, and what was not, with the reason. */
export interface RestoredPrefixes {
  readonly states: number;
  readonly skipped: readonly { readonly file: string; readonly error: LongConvError }[];
}

/**
 * Writes what a cache keeps into a folder, and deletes what it no longer keeps of what was written there. Each file is
 * written whole or not at all, also where the machine stops.
 *
 *     await restorePrefixes(cache, "prefixes");
 *     process.once("SIGTERM", () => savePrefixes(cache, "prefixes"));
 *
 * @returns how many states are there
 * @throws LongConvError file-unwritable
 */
export async function savePrefixes(cache: PrefixCache, folder: string): Promise<number> {
  checkArguments({ cache: ["cache", cache], folder: ["path", folder] });
  const kept = new Set<string>();
  try {
    await mkdir(folder, { recursive: true });
    const there = new Set(await readdir(folder));
    for await (const { ids, state } of cache.all()) {
      const tokens = Buffer.from(Uint32Array.of(ids.length, ...ids).buffer);
      const content = Buffer.concat([tokens, await stateToBytes(cache.model, state)]);
      const hash = createHash("sha256").update(content).digest();
      const name = `${hash.toString("hex")}${ENDING}`;
      kept.add(name);
      if (!there.has(name)) await writeWhole(join(folder, name), Buffer.concat([MAGIC, hash, content]));
    }
    for (const name of there)
      if (isLeftover(name) || (name.endsWith(ENDING) && !kept.has(name))) await rm(join(folder, name), { force: true });
  } catch (error) {
    if (error instanceof LongConvError) throw error;
    const reason = `the prefixes cannot be written: ${(error as Error).message}`;
    throw new LongConvError("file-unwritable", reason, { file: folder }, undefined, error);
  }
  return kept.size;
}

/** What a process that was killed has left of a file. */
function isLeftover(name: string): boolean {
  const [, pid] = PART.exec(name) ?? [];
  return pid !== undefined && hasEnded(Number(pid));
}

/** A file that is there whole, or not. */
async function writeWhole(file: string, bytes: Buffer): Promise<void> {
  const part = `${file}.${process.pid}.part`;
  try {
    const handle = await open(part, "w");
    try {
      await handle.writeFile(bytes);
      await handle.sync();
    } finally {
      await handle.close();
    }
    await renamed(part, file);
  } catch (error) {
    await rm(part, { force: true });
    throw error;
  }
}

/**
 * Puts what a folder holds into a cache, what was written last most recently used. What is damaged, or of another model,
 * is not taken, and named in the result.
 * @returns nothing restored where the folder is not there
 */
export async function restorePrefixes(cache: PrefixCache, folder: string): Promise<RestoredPrefixes> {
  checkArguments({ cache: ["cache", cache], folder: ["path", folder] });
  const names = (await readdir(folder).catch(() => [])).filter((name) => name.endsWith(ENDING));
  const files = await Promise.all(
    names.map(async (name) => ({ file: join(folder, name), at: (await stat(join(folder, name))).mtimeMs })),
  );
  const skipped: { file: string; error: LongConvError }[] = [];
  let states = 0;
  for (const { file } of files.sort((a, b) => a.at - b.at)) {
    try {
      const { ids, bytes } = parse(await readInput(file), file);
      await cache.keep(ids, await stateFromBytes(cache.model, bytes));
      states++;
    } catch (error) {
      if (!(error instanceof LongConvError)) throw error;
      skipped.push({ file, error });
    }
  }
  return { states, skipped };
}

function parse(bytes: Buffer, file: string): { readonly ids: number[]; readonly bytes: Uint8Array } {
  const damaged = (why: string) => new LongConvError("bad-input", `the saved prefix is damaged: ${why}`, { file });
  if (bytes.length < HASHED + 4 || !bytes.subarray(0, MAGIC.length).equals(MAGIC)) throw damaged("it is cut off");
  const content = bytes.subarray(HASHED);
  if (!createHash("sha256").update(content).digest().equals(bytes.subarray(MAGIC.length, HASHED)))
    throw damaged("its checksum does not match");
  const count = content.readUInt32LE(0);
  const ids = Array.from({ length: count }, (_, at) => content.readUInt32LE(4 + 4 * at));
  return { ids, bytes: new Uint8Array(content.subarray(4 + 4 * count)) };
}
