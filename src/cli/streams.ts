/** stdout and stderr: that nobody reads them, or that their disk is full, ends no work and hides no verdict. */
import { fstatSync, fsyncSync, writeSync } from "node:fs";
import { LongConvError } from "../errors.ts";

/** Why stdout is written no more. */
let ended: NodeJS.ErrnoException | undefined;
const end = (error: NodeJS.ErrnoException) => {
  ended ??= error;
};
process.stdout.on("error", end);
process.stderr.on("error", () => undefined);

/**
 * Writes to stdout.
 * @returns false where it cannot be written any more: what remains is the exit code
 */
export function out(text: string): boolean {
  if (ended) return false;
  try {
    if (isFile()) writeFully(text);
    else process.stdout.write(text);
  } catch (error) {
    end(error as NodeJS.ErrnoException);
  }
  return ended === undefined;
}

/** Writes to stderr, if it can be written. */
export function err(text: string): void {
  try {
    process.stderr.write(text);
  } catch {}
}

/**
 * Waits until stdout is written.
 * @returns what went wrong; undefined also where a reader has seen enough (`| head`)
 */
export async function flushed(): Promise<LongConvError | undefined> {
  if (!ended && isFile()) syncFile();
  else if (!ended) await new Promise((resolve) => process.stdout.write("", resolve));
  if (!ended || ended.code === "EPIPE") return undefined;
  const full = ended.code === "ENOSPC" || ended.code === "EDQUOT";
  const reason = full ? "the disk is full" : `cannot be written (${ended.code ?? ended.message})`;
  return new LongConvError("file-unwritable", reason, { file: "stdout" }, "The output is not complete.", ended);
}

/** Files and devices, but no pipes and terminals. */
function isFile(): boolean {
  const { fd, isTTY } = process.stdout;
  if (typeof fd !== "number" || isTTY) return false;
  const stat = fstatSync(fd);
  return stat.isFile() || stat.isCharacterDevice();
}

// process.stdout takes a file that was written in part for written.
function writeFully(text: string): void {
  const bytes = Buffer.from(text);
  for (let done = 0; done < bytes.length; ) done += writeSync(process.stdout.fd, bytes, done);
}

/** Some file systems say only now that they are full. */
function syncFile(): void {
  try {
    fsyncSync(process.stdout.fd);
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    // a device that cannot be synced has nothing to sync
    if (code !== "EINVAL" && code !== "ENOTSUP" && code !== "EROFS") end(error as NodeJS.ErrnoException);
  }
}
