/**
 * A session in a process of its own. For models that are not trusted; and for worker threads: after a run, onnxruntime-node's
 * binding ends the process if its thread has been terminated meanwhile (microsoft/onnxruntime issues 13086 and 20084). Here
 * that process is another one.
 */
import { fork } from "node:child_process";
import { once } from "node:events";
import type { Socket } from "node:net";
import { fileURLToPath } from "node:url";
import { LongConvError } from "../../../src/errors.ts";
import { Tensor } from "../../../src/ort-tensor.ts";
import { uncarried } from "../../../src/process/carried-error.ts";
import { letterBox, sendLetter } from "../../../src/process/letters.ts";
import { CHANNELS, LIFELINE } from "../../../src/process/lifeline.ts";
import type { ProcessOptions } from "../../../src/process/limits.ts";
import type { Answer } from "../../../src/process/messages.ts";
import { errorOfEnd, supervise } from "../../../src/process/supervise.ts";
import type { ModelSource } from "../../sessions/backend.ts";
import type { Tensor as AnyTensor, InferenceSession } from "../../sessions/ort.ts";
import { type Description, mapped, type Opening, type Parts, partsOf, type Run } from "./messages.ts";

type Feeds = Readonly<Record<string, AnyTensor>>;

/** For a worker thread's model, which is trusted as one of the main thread is. */
export const UNLIMITED: ProcessOptions = { memory: Number.POSITIVE_INFINITY };

/**
 * Opens a session in a process that ends with this thread.
 * @param limits the time is that of opening it, and of each run
 * @throws Error with ONNX Runtime's message; LongConvError memory-exceeded, time-exceeded, and runtime-failed where the process
 *   cannot be started or crashed, aborted with the signal's reason as its cause: all of them also from a run
 */
export async function openApart(
  source: ModelSource,
  options: InferenceSession.SessionOptions,
  limits: ProcessOptions,
): Promise<InferenceSession> {
  const process = start(typeof source === "string" ? source : undefined, limits);
  const path = typeof source === "string" ? source : undefined;
  const opening: Opening = { path, options };
  const said = await process.ask<Description>(opening, typeof source === "string" ? [] : [source]).catch((error) => {
    process.end();
    throw error;
  });
  const run = async (feeds: Feeds, wanted?: unknown, more?: InferenceSession.RunOptions) => {
    const fetches = Array.isArray(wanted) || wanted === undefined ? {} : (wanted as Record<string, AnyTensor | null>);
    const names = Array.isArray(wanted)
      ? (wanted as string[])
      : wanted === undefined
        ? undefined
        : Object.keys(fetches);
    const asked: Run = { feeds: mapped(feeds, partsOf), wanted: names, options: more };
    const parts = await process.ask<Readonly<Record<string, Parts>>>(asked);
    return Object.fromEntries(Object.entries(parts).map(([name, part]) => [name, filled(fetches[name], part)]));
  };
  return {
    ...said,
    run: run as InferenceSession["run"],
    release: process.end,
    startProfiling() {},
    endProfiling() {},
  };
}

/** The values, in the tensor that was given for them where there is one. */
function filled(tensor: AnyTensor | null | undefined, { type, data, dims }: Parts): AnyTensor {
  if (!tensor || Array.isArray(data)) return new Tensor(type, data as Float32Array, dims);
  (tensor.data as Float32Array).set(data as Float32Array);
  return tensor;
}

/** The process: asked one thing after the other, and no reason for this thread to go on while it is not. */
function start(file: string | undefined, { memory, timeout, signal }: ProcessOptions) {
  const program = fileURLToPath(new URL(`./work${import.meta.url.slice(-3)}`, import.meta.url));
  const stdio = ["ignore", "ignore", "inherit", ...CHANNELS] as const;
  const child = fork(program, { stdio: [...stdio], execArgv: [], serialization: "advanced" });
  const waiting: ((answer: Answer) => void)[] = [];
  const take = letterBox((answer) => waiting.shift()!(answer as Answer));
  const supervised = supervise(child, { memory }, take);
  const abort = () => supervised.stop(0);
  if (signal?.aborted) abort();
  signal?.addEventListener("abort", abort, { once: true });
  const gone = supervised.ended.then((ended) => {
    signal?.removeEventListener("abort", abort);
    if (signal?.aborted)
      throw new LongConvError("aborted", "stopped by the signal", { file }, undefined, signal.reason);
    const limits = { memory: ended.limits.memory, timeout };
    throw errorOfEnd({ ...ended, limits, told: { files: file ? [file] : [] } });
  });
  gone.catch(() => undefined);
  const handles = [child, child.channel!, child.stdio[LIFELINE] as Socket];
  const idle = () => {
    for (const handle of handles) handle.unref();
  };
  let last: Promise<unknown> = Promise.resolve();
  let closed = false;
  const ask = async <T>(value: unknown, bytes: readonly Uint8Array[] = []): Promise<T> => {
    if (closed) throw new Error("the session is closed");
    // it may take a letter and answer it on its way to its end
    if (signal?.aborted) return gone;
    const answer = new Promise<Answer>((resolve) => waiting.push(resolve));
    for (const handle of handles) handle.ref();
    const inTime = timeout === undefined ? undefined : supervised.within(timeout);
    const sent = sendLetter(child, value, bytes);
    // a process that has ended takes nothing more, and its end says why
    const answered = sent.then(
      () => answer,
      () => gone,
    );
    const got = await Promise.race([answered, gone]).finally(inTime);
    if (waiting.length === 0) idle();
    if ("error" in got) throw uncarried(got.error);
    return got.value as T;
  };
  return {
    /** The answer to a letter, after those to the letters before. */
    ask<T>(value: unknown, bytes?: readonly Uint8Array[]): Promise<T> {
      const result = last.then(() => ask<T>(value, bytes));
      last = result.then(
        () => undefined,
        () => undefined,
      );
      return result;
    },
    async end() {
      closed = true;
      if (child.exitCode !== null || child.signalCode !== null) return;
      for (const handle of handles) handle.ref();
      if (child.connected) child.disconnect();
      await once(child, "exit");
    },
  };
}
