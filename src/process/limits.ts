/** What a process that runs models may take. */
import { totalmem } from "node:os";

/** Limits of a process of its own. */
export interface Limits {
  /** Resident memory in bytes. Default: half of the machine's, or of what its container may have. */
  readonly memory?: number | undefined;
  /** Time from its start, in ms. Default: any. */
  readonly timeout?: number | undefined;
}

/** Bytes of {@link Limits} where none are given. */
export function defaultMemory(): number {
  const container = process.constrainedMemory();
  const machine = totalmem();
  return Math.floor((container > 0 && container < machine ? container : machine) / 2);
}
