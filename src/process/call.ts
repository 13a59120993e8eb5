/** Calls a function in a process of its own, which is watched: the library's side of what the command does for all its work. */
import { type ChildProcess, fork } from "node:child_process";
import { fileURLToPath } from "node:url";
import { LongConvError } from "../errors.ts";
import { uncarried } from "./carried-error.ts";
import { letterBox, sendLetter } from "./letters.ts";
import { CHANNELS } from "./lifeline.ts";
import { type ProcessOptions, refuseLimits } from "./limits.ts";
import type { Answer, Call, CallProgress } from "./messages.ts";
import { errorOfEnd, supervise } from "./supervise.ts";

/** What a call gives. */
export interface Returned {
  readonly value: unknown;
  readonly bytes: readonly Uint8Array[];
}

/** How long the work may take to stop by itself, ms. */
const GRACE_MS = 300;

/**
 * Calls a function of a program; the process has ended, and its temporary files are gone, when this settles.
 * @param program takes a call as a letter, and answers with one: see `answerCall`
 * @param signals end the process; the reason of the first that is aborted is thrown
 * @param onProgress what the call reports; where it throws, the process is ended and that is thrown
 * @throws LongConvError usage for limits that are none; memory-exceeded, time-exceeded, runtime-failed where the process was
 *   ended or ended itself; what the function throws
 */
export async function callApart(
  program: URL,
  call: Call,
  limits: ProcessOptions,
  signals: readonly (AbortSignal | undefined)[],
  onProgress: (...args: never[]) => void,
): Promise<Returned> {
  refuseLimits(limits);
  for (const signal of signals) signal?.throwIfAborted();
  const child = start(program);
  let answer: Answer | undefined;
  let bytes: readonly Uint8Array[] = [];
  let failure: { readonly error: unknown } | undefined;
  const giveUp = (error: unknown) => {
    failure ??= { error };
    supervised.stop(GRACE_MS);
  };
  const take = letterBox((value, beside) => {
    answer = value as Answer;
    bytes = beside;
  });
  const supervised = supervise(child, { memory: limits.memory, timeout: limits.timeout }, (message) => {
    if (take(message) || failure) return;
    try {
      onProgress(...((message as CallProgress).progress as never[]));
    } catch (error) {
      giveUp(error);
    }
  });
  const listeners = signals.map((signal) => {
    const abort = () => giveUp(signal!.reason);
    signal?.addEventListener("abort", abort, { once: true });
    return () => signal?.removeEventListener("abort", abort);
  });
  const { name, args, files } = call;
  // a process that has ended takes nothing more, and its end says why
  sendLetter(child, { name, args, files }, call.bytes).catch((error) => {
    if (error instanceof LongConvError) giveUp(error);
  });
  const ended = await supervised.ended.catch(notStarted).finally(() => {
    for (const remove of listeners) remove();
  });
  if (failure) throw failure.error;
  if (!answer) throw errorOfEnd(ended);
  if ("error" in answer) throw uncarried(answer.error);
  return { value: answer.value, bytes };
}

/** Of the options that this Node was given, those that say how large its heap may be. */
const HEAP = /^--max-/;

function start(program: URL): ChildProcess {
  return fork(fileURLToPath(program), {
    // what Node or ONNX Runtime say when they crash
    stdio: ["ignore", "ignore", "inherit", ...CHANNELS],
    execArgv: process.execArgv.filter((option) => HEAP.test(option)),
    serialization: "advanced",
  });
}

function notStarted(cause: Error): never {
  const reason = `a process of its own cannot be started: ${cause.message}`;
  throw new LongConvError("runtime-failed", reason, {}, "Free processes or memory, and try again.", cause);
}
