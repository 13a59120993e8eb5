/** The side of the supervised process: what it tells its parent, and how its parent stops it. */
import { Worker } from "node:worker_threads";
import { LongConvError } from "../errors.ts";
import type { Limits } from "./limits.ts";

/** What the parent has to know should the process end before it could say so itself. */
export interface Told {
  readonly limits?: Limits;
  /** Models that are run. */
  readonly files?: readonly string[];
  /** What is being done, such as "checking". */
  readonly doing?: string;
  /** Something is about to be written there. */
  readonly target?: string;
  /** The result was given. */
  readonly answered?: boolean;
}

/** The message with which the parent stops the process. */
export const STOP = "stop";

const stopping = new AbortController();
let supervised = false;

/**
 * To be called first in a process that {@link supervise} watches.
 * @param onMessage messages other than the parent's stop
 */
export function beSupervised(onMessage?: (message: unknown) => void): void {
  supervised = true;
  const stop = () => stopping.abort(new LongConvError("aborted", "stopped; nothing was written"));
  // A terminal and a service manager signal both processes, others the parent alone: only its word counts.
  for (const name of ["SIGINT", "SIGTERM", "SIGHUP"]) process.on(name, () => undefined);
  process.on("disconnect", stop);
  process.on("message", (message) => (message === STOP ? stop() : onMessage?.(message)));
  process.channel?.unref();
  // a thread of its own: this one is held by ONNX Runtime for as long as it computes
  new Worker(new URL(`./watchdog${import.meta.url.slice(-3)}`, import.meta.url)).unref();
}

/** Whether a parent watches this process and stops it. */
export const isSupervised = (): boolean => supervised;

/** Aborted once the parent stops the process, or has ended. */
export const stopSignal: AbortSignal = stopping.signal;

/** Tells the parent, if there is one that watches. */
export function tell(told: Told): void {
  // a parent that has ended hears nothing
  if (supervised && process.connected) process.send?.({ told }, undefined, undefined, () => undefined);
}
