/** Continuous batching: sequences join and leave a running batch at any step, each with its own settings and state. */

import { checkArguments, checkCount } from "../../../src/checks.ts";
import { LongConvError } from "../../../src/errors.ts";
import { beyondClaim } from "../../../src/reach.ts";
import type { Model } from "../../model/model.ts";
import { disposeState } from "../../model/state.ts";
import type { GenerateOptions, Piece, Pieces } from "../options.ts";
import { createSequence } from "../sequence.ts";
import { createAdmission } from "./admission.ts";
import { createChannel } from "./channel.ts";
import { endRow, isGone, type Row, type Sink } from "./row.ts";
import { createStepping, type Paused } from "./stepping.ts";

export interface BatchOptions {
  /**
   * Sequences in a step at most; the others wait. Default 64, or fewer where the model claims no more rows, or 1 where it
   * takes one sequence only.
   */
  readonly maxBatchSize?: number;
  /**
   * Pieces that may wait for their consumer. A sequence with so many makes no more until half of them are taken, and the
   * others go on without it; its state waits outside the batch. Default 64.
   */
  readonly maxUnread?: number;
  /** Go on past the model's claim: with more rows, and in every sequence that does not say otherwise. Default false. */
  readonly beyond?: boolean;
}

export interface GenerateBatchOptions extends BatchOptions {
  /** Takes the error of a row that fails or is aborted, at once. Default: the first is thrown when all rows have ended. */
  readonly onError?: (row: number, error: unknown) => void;
}

/** A batch that runs while it has sequences. */
export interface Batch {
  /**
   * Lets a sequence join at the next step. Its pieces are those that `generate` would give.
   * @throws LongConvError bad-input, token-out-of-range, state-mismatch, beyond-claim, beyond-positions
   */
  add(options: GenerateOptions): Pieces;
  /** Sequences in the batch, and those that wait: for their prompt to be read, or for their consumer. */
  readonly size: { readonly running: number; readonly waiting: number };
  /** Ends every sequence and refuses new ones. */
  close(): void;
}

/**
 * Starts an empty batch. Every step runs all sequences together; a prompt that joins is read slice by slice, with a
 * step of the others between any two slices.
 *
 *     const batch = createBatch(model);
 *     async function answer(prompt: string) {
 *       let text = "";
 *       for await (const piece of batch.add({ prompt, stop: "\n" })) text += piece.text;
 *       return text;
 *     }
 *     console.log(await Promise.all([answer("In the beginning"), answer("And it came to pass")]));
 *
 * @throws LongConvError bad-input; beyond-claim where `maxBatchSize` is more rows than the model claims
 */
export function createBatch(model: Model, options: BatchOptions = {}): Batch {
  checkArguments({ model: ["loaded", model], options: ["options", options] });
  const run = startBatch(model, options);
  return {
    add(request) {
      const channel = createChannel<Piece>({ limit: run.maxUnread, onReturn: () => leave(), onRoom: run.wake });
      const leave = run.add(request, channel);
      return channel;
    },
    get size() {
      return run.size();
    },
    close: run.close,
  };
}

/**
 * Generates from several prompts (or states) at once, each with its own settings; rows finish independently, also those
 * that fail: the others go on, and when they have ended, the iteration throws the first error, unless `onError` takes it.
 *
 *     const requests = ["In the beginning", "And God said"].map((prompt) => ({ prompt, maxNewTokens: 32 }));
 *     for await (const { row, text } of generateBatch(model, requests)) texts[row] += text;
 *
 * Several continuations of one prompt, which is read once:
 *
 *     const state = await read(model, ["In the beginning"]);
 *     generateBatch(model, [1, 2, 3].map((seed) => ({ state, seed })));
 *
 * @throws LongConvError bad-input, token-out-of-range, state-mismatch, beyond-claim, beyond-positions before anything is run
 */
export async function* generateBatch(
  model: Model,
  requests: readonly GenerateOptions[],
  given: GenerateBatchOptions = {},
): AsyncGenerator<Piece & { readonly row: number }, undefined> {
  checkArguments({ model: ["loaded", model], requests: ["list", requests], options: ["options", given] });
  const { onError, ...options } = given;
  const run = startBatch(model, options);
  const channel = createChannel<Piece & { readonly row: number }>({ limit: run.maxUnread, onRoom: run.wake });
  let open = requests.length;
  let failure: { readonly error: unknown } | undefined;
  const ended = () => {
    if (--open > 0) return;
    if (failure) channel.fail(failure.error);
    else channel.end();
  };
  try {
    for (const [row, request] of requests.entries()) {
      run.add(request, {
        push: (piece) => channel.push({ ...piece, row }),
        get full() {
          return channel.full;
        },
        end: ended,
        fail(error) {
          try {
            if (onError) onError(row, error);
            else failure ??= { error };
          } catch (thrown) {
            failure ??= { error: thrown };
          }
          ended();
        },
      });
    }
    if (open > 0) yield* channel;
  } finally {
    run.close();
  }
}

function startBatch(model: Model, options: BatchOptions) {
  const { maxBatchSize, maxUnread, beyond } = checked(model, options);
  const admission = createAdmission(model);
  const stepping = createStepping(model);
  let paused: Paused[] = [];
  let running = false;
  let closed = false;
  let wake = () => {};

  const add = (request: GenerateOptions, sink: Sink): (() => void) => {
    if (closed) throw new LongConvError("bad-input", "the batch is closed");
    const sequence = createSequence(model, request, { beyond });
    refuseAlone(request);
    const row: Row = { sequence, options: request, sink, made: [], usage: undefined, left: false, over: false };
    if (row.sequence.maxNewTokens === 0) endRow(row);
    else admission.add(row);
    wake();
    if (!running) start();
    return () => {
      row.left = true;
      wake();
    };
  };

  const start = (): void => {
    running = true;
    // Not before the caller is done: what is added in one go joins in one go.
    queueMicrotask(() => void pump());
  };

  const pump = async (): Promise<void> => {
    try {
      while (admission.rows.length + stepping.size + paused.length > 0 && !closed) {
        resume();
        const admitted = await admission.next(maxBatchSize - stepping.size);
        if (admitted) await stepping.join(admitted);
        paused.push(...(await stepping.pause(admission.canGoOn)));
        await stepping.step();
        if (stepping.idle && !admission.canGoOn) await someRoom();
      }
      if (closed) await clear();
      else stepping.clear();
    } catch (error) {
      await clear(error);
    }
    running = false;
    // What was added while the others were ended
    if (admission.rows.length > 0) start();
  };

  /** Rows whose consumers have caught up join again; those that have ended give up their states. */
  const resume = (): void => {
    const before = paused;
    paused = [];
    for (const each of before) {
      if (isGone(each.row)) disposeState(each.state);
      else if (each.row.sink.full) paused.push(each);
      else admission.resume(each.row, each.state);
    }
  };

  /** Until a consumer takes a piece, leaves or aborts, another sequence is added, or the batch is closed. */
  const someRoom = async (): Promise<void> => {
    const rows = [...stepping.rows, ...admission.rows, ...paused.map(({ row }) => row)];
    if (closed || rows.length === 0 || rows.some((row) => isGone(row) || !row.sink.full)) return;
    const signals = new Set(rows.map((row) => row.options.signal));
    await new Promise<void>((resolve) => {
      wake = () => resolve();
      for (const signal of signals) signal?.addEventListener("abort", wake);
    });
    for (const signal of signals) signal?.removeEventListener("abort", wake);
    wake = () => {};
  };

  const clear = async (error?: unknown): Promise<void> => {
    stepping.clear(error);
    for (const { row, state } of paused) {
      endRow(row, error);
      disposeState(state);
    }
    paused = [];
    await admission.clear(error);
  };

  return {
    add,
    maxUnread,
    wake: () => wake(),
    size: () => ({ running: stepping.size, waiting: admission.rows.length + paused.length }),
    close: () => {
      closed = true;
      wake();
    },
  };
}

/** @throws LongConvError bad-input for options of one sequence that steps alone */
function refuseAlone({ drafter, history }: GenerateOptions): void {
  if (!drafter && !history) return;
  const reason = `${drafter ? "drafter" : "history"} is an option of generate: in a batch, all sequences step together`;
  throw new LongConvError("bad-input", reason, {}, "Leave it out, or generate alone.");
}

function checked(model: Model, options: BatchOptions): Required<BatchOptions> {
  const { beyond = false, maxUnread = 64 } = options;
  const claimed = beyond ? Infinity : (model.claim?.rows ?? Infinity);
  const { maxBatchSize = model.batchSize ?? Math.min(64, claimed) } = options;
  checkCount("maxBatchSize", maxBatchSize, 1);
  checkCount("maxUnread", maxUnread, 1);
  if (model.batchSize !== undefined && (model.batchSize > 1 || maxBatchSize > 1)) {
    const reason = `the model takes batches of exactly ${model.batchSize}, and here sequences join and leave at any step`;
    throw new LongConvError("bad-input", reason, { file: model.file }, "Use a model whose batch size is not fixed.");
  }
  if (maxBatchSize > claimed) throw beyondClaim(`a batch of ${maxBatchSize} rows`, model.claim!, model.file);
  return { maxBatchSize, maxUnread, beyond };
}
