/** Writes a folder whole or not at all: into a hidden sibling, which then takes its place at once. */
import fs from "node:fs/promises";
import path from "node:path";
import { LongConvError } from "../../src/errors.ts";
import { type Asking, refuseOther } from "../compare/staged.ts";
import { writeNewModel } from "../file/write.ts";
import type { Model } from "../graph/graph.ts";
import { exchange } from "../place/exchange.ts";
import { asideOf, move, placeOf, type Staging, stage, syncFolder } from "../place/staging.ts";

/** One file of the folder. */
export interface FolderFile {
  /** Relative to the folder, with "/". */
  readonly name: string;
  /** Writes it to that path, whose folder exists. */
  write(file: string): Promise<unknown>;
}

export interface FolderOptions {
  /** Replace an existing folder, after the new one is complete; default false. */
  readonly force?: boolean;
  /** Throws where the existing folder must stay after all; asked right before it is replaced. */
  readonly refuse?: () => void;
  /** Stops the writing; nothing is left behind. */
  readonly signal?: AbortSignal | undefined;
}

/** A file with this text. */
export const textFile = (name: string, text: string): FolderFile => ({
  name,
  write: async (file) => {
    const handle = await fs.open(file, "wx");
    try {
      await handle.writeFile(text);
      await handle.sync();
    } finally {
      await handle.close();
    }
  },
});

/** A model, which must answer as the one that it was made from before it takes its place. */
export const modelFile = (
  name: string,
  written: Model,
  options: Parameters<typeof writeNewModel>[2],
  source: Model,
  asking: Asking = {},
): FolderFile => ({
  name,
  write: async (file) => {
    await writeNewModel(written, file, options);
    await refuseOther(source, { ...asking, file, written });
  },
});

/** A copy of another file. */
export const copiedFile = (name: string, from: string): FolderFile => ({
  name,
  async write(file) {
    await fs.copyFile(from, file, fs.constants.COPYFILE_EXCL);
    const handle = await fs.open(file, "r+");
    try {
      await handle.sync();
    } finally {
      await handle.close();
    }
  },
});

/**
 * Writes the files into a hidden folder beside `folder`, which then takes its place: by a rename where nothing or an empty
 * folder is there, else by an exchange of the two, so that at every moment the old folder or the new one is there, whole.
 * Where the system knows no exchange (Windows; a file system over a network; no koffi) the old one is set aside first: a
 * process that is killed between the two renames leaves both, hidden, and the next run puts the old one back.
 * @throws LongConvError file-exists, file-unwritable, aborted, and what a file's `write` throws
 */
export async function writeFolder(
  files: readonly FolderFile[],
  folder: string,
  options: FolderOptions = {},
): Promise<void> {
  const { signal } = options;
  const place = placeOf(folder);
  let staging: Staging | undefined;
  try {
    staging = await stage(place);
    for (const { name, write } of files) {
      signal?.throwIfAborted();
      const file = path.join(staging.folder, ...name.split("/"));
      await fs.mkdir(path.dirname(file), { recursive: true });
      await write(file);
    }
    signal?.throwIfAborted();
    await takePlace(staging.folder, place, options);
  } catch (cause) {
    throw asFolderError(cause, folder);
  } finally {
    await staging?.remove();
  }
}

/** What is at the place may come and go meanwhile; not for ever. */
const MOST_TRIES = 10;

async function takePlace(staged: string, place: string, { force = false, refuse }: FolderOptions): Promise<void> {
  for (let left = MOST_TRIES; ; left--) {
    try {
      const there = await namesAt(place);
      if (!there?.length) {
        // Only on Windows a rename does not replace an empty folder.
        if (there && process.platform === "win32") await fs.rmdir(place);
        return await move(staged, place);
      }
      if (!force)
        throw new LongConvError("file-exists", "exists already", { file: place }, "Use `force` to replace it.");
      refuse?.();
      if (exchange(staged, place)) return await syncFolder(path.dirname(place));
      return await setAside(staged, place);
    } catch (cause) {
      const changed = ["ENOENT", "ENOTEMPTY", "EEXIST"].includes((cause as NodeJS.ErrnoException).code ?? "");
      if (!changed || left === 0) throw cause;
    }
  }
}

/** Names in a folder; undefined where there is none. */
async function namesAt(folder: string): Promise<readonly string[] | undefined> {
  try {
    return await fs.readdir(folder);
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code === "ENOENT") return undefined;
    throw cause;
  }
}

/** Where the second rename fails, what stands aside is put back when the staging is removed. */
async function setAside(staged: string, place: string): Promise<void> {
  await move(place, asideOf(staged));
  await move(staged, place);
  await fs.rm(asideOf(staged), { recursive: true, force: true }).catch(() => undefined);
}

function asFolderError(cause: unknown, folder: string): unknown {
  const { code, name, cause: inner } = cause as NodeJS.ErrnoException & { cause?: unknown };
  const where = { file: folder };
  if (name === "AbortError" || code === "aborted")
    return new LongConvError("aborted", "stopped; nothing was written", where, undefined, cause);
  // A failed write of one file names a temporary path, which is of no use to anybody.
  const io =
    cause instanceof LongConvError && cause.code === "file-unwritable" ? (inner as NodeJS.ErrnoException) : cause;
  const errno = (io as NodeJS.ErrnoException | undefined)?.code;
  if ((cause instanceof LongConvError && io === cause) || typeof errno !== "string") return cause;
  const full = errno === "ENOSPC" || errno === "EDQUOT";
  const reason = full ? "the disk is full; nothing was written" : `cannot be written (${errno}); nothing was written`;
  const remedy = "Choose a folder that can be written and has room.";
  return new LongConvError("file-unwritable", reason, where, remedy, cause);
}
