/** What a process that runs models may take. */
import { totalmem } from "node:os";
import { LongConvError } from "../errors.ts";

/** Limits of a process of its own. */
export interface Limits {
  /** Resident memory in bytes. Default: half of the machine's, or of what its container may have. */
  readonly memory?: number | undefined;
  /** Time from its start, in ms. Default: any. */
  readonly timeout?: number | undefined;
}

/** A process of its own for work on models that are not trusted. */
export interface ProcessOptions extends Limits {
  /** Ends the process once it is aborted, also while ONNX Runtime computes; its reason is thrown. */
  readonly signal?: AbortSignal | undefined;
}

/** The longest time that a timer of Node takes. */
const MOST_MS = 2 ** 31 - 1;

/** @throws LongConvError usage, naming the option */
export function refuseLimits({ memory, timeout }: Limits): void {
  if (memory !== undefined && !(Number.isFinite(memory) && memory > 0))
    throw new LongConvError("usage", `memory is ${memory}: it must be a number of bytes above 0`);
  if (timeout !== undefined && !(timeout > 0 && timeout <= MOST_MS))
    throw new LongConvError("usage", `timeout is ${timeout}: it must be ms above 0, at most ${MOST_MS}`);
}

/** Bytes of {@link Limits} where none are given. */
export function defaultMemory(): number {
  const container = process.constrainedMemory();
  const machine = totalmem();
  return Math.floor((container > 0 && container < machine ? container : machine) / 2);
}
