/** A single file that a command writes: refused before the work begins, and there whole or not at all. */
import { existsSync, statSync } from "node:fs";
import fs from "node:fs/promises";
import path from "node:path";
import { refuseTarget } from "../../converter/output/target.ts";
import { move, type Staging, stage } from "../../converter/place/staging.ts";
import { LongConvError } from "../errors.ts";
import { filesRead } from "./model-files.ts";

/** What the command reads, none of which is ever overwritten, and whether another file may be. */
export interface Claim {
  /** Model files; what belongs to them counts as well. */
  readonly models: readonly string[];
  /** Further files; undefined ones are left out. */
  readonly inputs?: readonly (string | undefined)[];
  /** Replace what is there, once the new file is complete. */
  readonly force?: boolean | undefined;
}

/** A place that may be written to. */
export interface OutputFile {
  readonly path: string;
  /** Writes in a hidden folder beside the place, then renames. */
  write(content: string | Uint8Array): Promise<void>;
}

/**
 * Says early whether a file may be written.
 * @throws LongConvError file-exists where something is there that is not to be replaced; file-unwritable where its
 *   folder is missing; from `write` also where the disk is full
 */
export async function outputFile(file: string, { models, inputs = [], force = false }: Claim): Promise<OutputFile> {
  const read = inputs.filter((each) => each !== undefined);
  // what is not there yet is no input
  if (existsSync(file)) for (const model of models) read.push(...(await filesRead(model)));
  const refuse = () => {
    refuseSpecial(file);
    refuseTarget({ kind: "file", path: file }, read, force);
  };
  refuse();
  return { path: file, write: (content) => replace(file, content, refuse) };
}

/** A rename would take a device or a pipe away. */
function refuseSpecial(file: string): void {
  // asked once: whoever deletes it meanwhile has it replaced all the same
  const found = statSync(file, { throwIfNoEntry: false });
  if (!found || found.isFile() || found.isDirectory()) return;
  throw new LongConvError("file-exists", "is a device or a pipe", { file }, "Give the path of a file.");
}

async function replace(file: string, content: string | Uint8Array, refuse: () => void): Promise<void> {
  let staging: Staging | undefined;
  try {
    staging = await stage(file);
    const staged = path.join(staging.folder, "content");
    await fs.writeFile(staged, content, { flag: "wx", flush: true });
    refuse();
    await move(staged, file);
  } catch (cause) {
    throw unwritable(cause, file);
  } finally {
    await staging?.remove();
  }
}

function unwritable(cause: unknown, file: string): unknown {
  const { code } = cause as NodeJS.ErrnoException;
  if (cause instanceof LongConvError || code === undefined) return cause;
  const reason = code === "ENOSPC" || code === "EDQUOT" ? "the disk is full" : `cannot be written (${code})`;
  const remedy = "Choose a folder that can be written and has room.";
  return new LongConvError("file-unwritable", `${reason}; nothing was written`, { file }, remedy, cause);
}
