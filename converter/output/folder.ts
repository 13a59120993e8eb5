/** Writes a folder whole or not at all: into a temporary sibling, then renamed. */
import { existsSync } from "node:fs";
import fs from "node:fs/promises";
import path from "node:path";
import { LongConvError } from "../../src/errors.ts";

/** One file of the folder. */
export interface FolderFile {
  /** Relative to the folder, with "/". */
  readonly name: string;
  /** Writes it to that path, whose folder exists. */
  write(file: string): Promise<void>;
}

export interface FolderOptions {
  /** Replace an existing folder, after the new one is complete; default false. */
  readonly force?: boolean;
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

/** A copy of another file. */
export const copiedFile = (name: string, from: string): FolderFile => ({
  name,
  write: (file) => fs.copyFile(from, file, fs.constants.COPYFILE_EXCL),
});

/**
 * Writes the files into a temporary folder beside `folder`, then gives it its name. An existing folder is set aside
 * until then and comes back if the last step fails.
 * @throws LongConvError file-exists, file-unwritable, aborted, and what a file's `write` throws
 */
export async function writeFolder(
  files: readonly FolderFile[],
  folder: string,
  options: FolderOptions = {},
): Promise<void> {
  const { force = false, signal } = options;
  const unique = `${process.pid}.${Math.random().toString(36).slice(2)}`;
  const beside = (what: string) =>
    path.join(path.dirname(path.resolve(folder)), `.${path.basename(path.resolve(folder))}.${unique}.${what}`);
  const temporary = beside("tmp");
  try {
    await fs.mkdir(temporary);
    for (const { name, write } of files) {
      signal?.throwIfAborted();
      const file = path.join(temporary, ...name.split("/"));
      await fs.mkdir(path.dirname(file), { recursive: true });
      await write(file);
    }
    signal?.throwIfAborted();
    await moveInto(temporary, folder, beside("old"), force);
  } catch (cause) {
    throw asFolderError(cause, folder);
  } finally {
    await fs.rm(temporary, { recursive: true, force: true }).catch(() => undefined);
  }
}

async function moveInto(temporary: string, folder: string, backup: string, force: boolean): Promise<void> {
  const replaces = existsSync(folder) && (await fs.readdir(folder)).length > 0;
  if (!replaces) {
    // A rename replaces an empty folder, except on Windows.
    if (existsSync(folder)) await fs.rmdir(folder);
    return fs.rename(temporary, folder);
  }
  if (!force) throw new LongConvError("file-exists", "exists already", { file: folder }, "Use `force` to replace it.");
  await fs.rename(folder, backup);
  try {
    await fs.rename(temporary, folder);
  } catch (cause) {
    await fs.rename(backup, folder);
    throw cause;
  }
  await fs.rm(backup, { recursive: true, force: true });
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
