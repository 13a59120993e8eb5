/**
 * Where an output is written before it takes its place: a hidden folder beside it, whose name says for what and by which
 * process. What a process that was killed has left is known by that name, and goes with the next run that writes there.
 * write-file-atomic is for one file whose bytes are at hand, and syncs no folder; an output is several files of any size.
 */
import { randomUUID } from "node:crypto";
import { lstatSync, readdirSync, realpathSync, renameSync, rmSync, statSync } from "node:fs";
import fs from "node:fs/promises";
import path from "node:path";
import { hasEnded } from "../../src/ended.ts";
import { tell } from "../../src/process/child.ts";
import { renamed } from "../../src/rename.ts";
import { removeRecorded } from "./data-files.ts";

/** A place to write in, which exists until `remove` is called. */
export interface Staging {
  readonly folder: string;
  /** Removes what is left in it, and files of weights that were recorded there and that no model names any more. */
  remove(): Promise<void>;
}

/** A name takes 255 bytes at most, and a character up to 4. */
const LONGEST_NAME = 50;
/** What was at the target while another takes its place, where the two cannot be exchanged at once. */
const ASIDE = ".old";
/** The stagings of this process: a leftover may have its number. */
const active = new Set<string>();

/**
 * Makes the staging of a target, whose folder must exist; see {@link clearLeftovers}.
 * @throws the system's errors
 */
export async function stage(target: string): Promise<Staging> {
  clearLeftovers(target);
  const place = placeOf(target);
  const folder = path.join(path.dirname(place), `${prefixOf(place)}${process.pid}-${randomUUID().slice(0, 8)}`);
  active.add(folder);
  tell({ target: place });
  try {
    await fs.mkdir(folder);
  } catch (cause) {
    active.delete(folder);
    throw cause;
  }
  return {
    folder,
    async remove() {
      discard(place, folder);
      active.delete(folder);
    },
  };
}

/** What stands aside of a staging. */
export const asideOf = (staging: string): string => `${staging}${ASIDE}`;

/**
 * Takes away what killed processes left of writing to this target, and puts back what one had set aside. What cannot be
 * removed stays, until a later run.
 */
export function clearLeftovers(target: string): void {
  const place = placeOf(target);
  const parent = path.dirname(place);
  const prefix = prefixOf(place);
  const stagings = new Set<string>();
  for (const name of quietly(() => readdirSync(parent)) ?? []) {
    const [, pid, random] = /^(\d+)-([0-9a-f]{8})(?:\.old)?$/.exec(name.slice(prefix.length)) ?? [];
    if (!name.startsWith(prefix) || pid === undefined) continue;
    const folder = path.join(parent, `${prefix}${pid}-${random}`);
    if (Number(pid) === process.pid ? !active.has(folder) : hasEnded(Number(pid))) stagings.add(folder);
  }
  for (const folder of stagings) discard(place, folder);
}

/** Where a target is: a link to a folder stays one, and what it points to is replaced. */
export function placeOf(target: string): string {
  const place = path.resolve(target);
  const isLink = quietly(() => lstatSync(place))?.isSymbolicLink() === true;
  return isLink && quietly(() => statSync(place))?.isDirectory() ? realpathSync(place) : place;
}

/** Renames; when it is done, it stays done also where the power fails. */
export async function move(from: string, to: string): Promise<void> {
  await renamed(from, to);
  await syncFolder(path.dirname(to));
}

/** Makes names in a folder last, where the system knows how. */
export async function syncFolder(folder: string): Promise<void> {
  try {
    const handle = await fs.open(folder, "r");
    try {
      await handle.sync();
    } finally {
      await handle.close();
    }
  } catch {}
}

const prefixOf = (place: string): string => `.${path.basename(place).slice(0, LONGEST_NAME)}.longconv-`;

function discard(place: string, folder: string): void {
  const aside = asideOf(folder);
  const isAside = quietly(() => statSync(aside)) !== undefined;
  if (isAside && quietly(() => statSync(place)) === undefined) quietly(() => renameSync(aside, place));
  else if (isAside) quietly(() => rmSync(aside, { recursive: true, force: true }));
  quietly(() => {
    // Where that fails, the record stays for a later run.
    removeRecorded(folder, path.dirname(place));
    rmSync(folder, { recursive: true, force: true });
  });
}

/** The result, or undefined for an error of the system. */
function quietly<T>(action: () => T): T | undefined {
  try {
    return action();
  } catch {
    return undefined;
  }
}
