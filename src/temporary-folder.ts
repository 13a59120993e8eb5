/** Folders among the system's temporary files: named, and gone afterwards, however the process ends. */
import { mkdtempSync, rmSync } from "node:fs";
import { readdir, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { hasEnded } from "./ended.ts";

export interface TemporaryFolder {
  readonly path: string;
  /** Removes it with all that is in it; a second call does nothing. */
  remove(): Promise<void>;
}

const NAME = /^longconv-ssm-(\d+)-/;
const open = new Set<string>();

/** A new folder, `longconv-ssm-PID-…`. Those of processes that were killed are removed. */
export async function temporaryFolder(): Promise<TemporaryFolder> {
  await removeLeftovers();
  // at once: a process that ends between making and noting it would leave it
  const folder = mkdtempSync(path.join(tmpdir(), `longconv-ssm-${process.pid}-`));
  if (open.size === 0) process.on("exit", removeOpen);
  open.add(folder);
  return {
    path: folder,
    async remove() {
      await rm(folder, { recursive: true, force: true });
      open.delete(folder);
      if (open.size === 0) process.off("exit", removeOpen);
    },
  };
}

function removeOpen(): void {
  for (const folder of open) rmSync(folder, { recursive: true, force: true });
}

/** Removes the folders of processes that have ended. */
export async function removeLeftovers(): Promise<void> {
  for (const name of await readdir(tmpdir())) {
    const pid = NAME.exec(name)?.[1];
    if (pid === undefined || !hasEnded(Number(pid))) continue;
    // another user's, or being removed by another process
    await rm(path.join(tmpdir(), name), { recursive: true, force: true }).catch(() => undefined);
  }
}
