/** The side of the supervised process: what it tells its parent, and how its parent stops it. */
import { Worker } from "node:worker_threads";
import { LongConvError } from "../errors.ts";
import { carried } from "./carried-error.ts";
import { type Channel, letterBox, sendLetter } from "./letters.ts";
import type { Limits } from "./limits.ts";
import type { Answer, Call, CallProgress } from "./messages.ts";

/** What the parent has to know should the process end before it could say so itself. */
export interface Told {
  readonly limits?: Limits;
  /** Models that are run. */
  readonly files?: readonly string[];
  /** What is being done, such as "checking". */
  readonly doing?: string;
  /** How far that is, and of how much, where it is known. */
  readonly far?: { readonly done: number; readonly total: number | undefined };
  /** Something is about to be written there. */
  readonly target?: string;
  /** How long the work may take to stop, ms, where that is longer than work usually may. */
  readonly graceMs?: number;
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

/** What a call gives, and bytes beside it. */
export interface Given {
  readonly value: unknown;
  readonly bytes?: Iterable<Uint8Array>;
}

/**
 * A process that answers one call and ends. To be called first in it.
 * @param work does what is called; `say` sends what the caller's `onProgress` is given
 */
export function answerCall(
  work: (call: Omit<Call, "bytes">, bytes: readonly Uint8Array[], say: (...args: unknown[]) => void) => Promise<Given>,
): void {
  const say = (...args: unknown[]) => {
    const message: CallProgress = { progress: args };
    if (process.connected) process.send?.(message, undefined, undefined, () => undefined);
  };
  const take = letterBox(async (value, bytes) => {
    const call = value as Omit<Call, "bytes">;
    tell({ files: call.files });
    const { given, answer } = await work(call, bytes, say).then(
      (given) => ({ given, answer: { value: given.value } satisfies Answer }),
      (error: unknown) => ({ given: undefined, answer: { error: carried(error) } satisfies Answer }),
    );
    // a caller that has ended hears nothing
    await sendLetter(process as Channel, answer, given?.bytes).catch(() => undefined);
    if (process.connected) process.disconnect();
  });
  beSupervised(take);
  // the call is still to come
  process.channel?.ref();
}
