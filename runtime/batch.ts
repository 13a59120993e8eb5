/** Continuous batching: sequences join and leave a running batch at any step, each with its own settings and state. */
import { LongConvError } from "../src/errors.ts";
import { createChannel } from "./channel.ts";
import type { GenerateOptions, Piece } from "./options.ts";
import { languageOf, readSlices, readTokens, retire, throwIfAborted } from "./read.ts";
import { createSequence, type Sequence } from "./sequence.ts";
import type { Model } from "./session.ts";
import { concatStates, disposeState, type State, sliceState } from "./state.ts";

export interface BatchOptions {
  /** Sequences in a step at most; the others wait. Default 64, or the model's own batch size where that is fixed. */
  readonly maxBatchSize?: number;
}

/** A batch that runs while it has sequences. */
export interface Batch {
  /**
   * Lets a sequence join at the next step. Its pieces are those that `generate` would give.
   * @throws LongConvError bad-input, token-out-of-range, state-mismatch
   */
  add(options: GenerateOptions): AsyncIterableIterator<Piece, undefined>;
  /** Sequences in the batch, and sequences that wait for their prompt to be read. */
  readonly size: { readonly running: number; readonly waiting: number };
  /** Ends every sequence and refuses new ones. */
  close(): void;
}

/** Where a row's pieces go. */
interface Sink {
  push(piece: Piece): void;
  end(): void;
  fail(error: unknown): void;
}

interface Row {
  readonly sequence: Sequence;
  readonly options: GenerateOptions;
  readonly sink: Sink;
  /** The consumer has left. */
  left: boolean;
  /** Its sink has been told the end. */
  over: boolean;
}

/** Reads a slice of a prompt a call; the last gives the state after it. */
type Reader = AsyncIterator<void, State>;

/** For a sequence whose prompt has been read before. */
const already = (state: State): Reader => ({ next: async () => ({ done: true, value: state }) });

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
 */
export function createBatch(model: Model, options: BatchOptions = {}): Batch {
  const run = startBatch(model, options);
  return {
    add(request) {
      const channel = createChannel<Piece>(() => leave());
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
 * Generates from several prompts (or states) at once, each with its own settings; rows finish independently.
 *
 *     const requests = ["In the beginning", "And God said"].map((prompt) => ({ prompt, maxNewTokens: 32 }));
 *     for await (const { row, text } of generateBatch(model, requests)) texts[row] += text;
 *
 * Several continuations of one prompt, which is read once:
 *
 *     const state = await read(model, [model.tokenizer.encode("In the beginning")]);
 *     generateBatch(model, [1, 2, 3].map((seed) => ({ state, seed })));
 */
export async function* generateBatch(
  model: Model,
  requests: readonly GenerateOptions[],
  options: BatchOptions = {},
): AsyncGenerator<Piece & { readonly row: number }, undefined> {
  const run = startBatch(model, options);
  const channel = createChannel<Piece & { readonly row: number }>(() => run.close());
  let open = requests.length;
  try {
    for (const [row, request] of requests.entries()) {
      run.add(request, {
        push: (piece) => channel.push({ ...piece, row }),
        end: () => --open === 0 && channel.end(),
        fail: (error) => channel.fail(error),
      });
    }
    if (open > 0) yield* channel;
  } finally {
    run.close();
  }
}

function startBatch(model: Model, { maxBatchSize = model.batchSize ?? 64 }: BatchOptions) {
  if (!Number.isInteger(maxBatchSize) || maxBatchSize < 1) {
    throw new LongConvError("bad-input", `maxBatchSize must be a positive integer, got ${maxBatchSize}`);
  }
  let waiting: Row[] = [];
  let rows: Row[] = [];
  let state: State | undefined;
  let spare: State | undefined;
  let joining: { readonly rows: Row[]; readonly reader: Reader } | undefined;
  let running = false;
  let closed = false;

  const add = (options: GenerateOptions, sink: Sink): (() => void) => {
    if (closed) throw new LongConvError("bad-input", "the batch is closed");
    const row: Row = { sequence: createSequence(model, options), options, sink, left: false, over: false };
    if (row.sequence.maxNewTokens === 0) end(row);
    else waiting.push(row);
    if (!running) {
      running = true;
      // Not before the caller is done: what is added in one go joins in one go.
      queueMicrotask(() => void pump());
    }
    return () => {
      row.left = true;
    };
  };

  const pump = async (): Promise<void> => {
    try {
      while (rows.length + waiting.length > 0 || joining) {
        await join();
        await advance();
      }
    } catch (error) {
      for (const row of [...rows, ...waiting, ...(joining?.rows ?? [])]) end(row, error);
      waiting = [];
      joining = undefined;
      replace([], undefined);
    }
    running = false;
  };

  /** One slice of the prompts that join; when it was the last, their rows come below the others. */
  const join = async (): Promise<void> => {
    joining ??= startJoining();
    if (!joining) return;
    const { rows: joined, reader } = joining;
    if (joined.every(gone)) {
      joining = undefined;
      await reader.return?.();
      return;
    }
    let slice: IteratorResult<void, State>;
    try {
      slice = await reader.next();
    } catch (error) {
      // Those that run already are not touched.
      for (const row of joined) end(row, error);
      joining = undefined;
      return;
    }
    if (!slice.done) return;
    joining = undefined;
    const added = slice.value;
    const all = state ? await concatStates(model, [state, added]) : added;
    if (all !== added && joined.every((row) => row.options.state !== added)) disposeState(added);
    replace([...rows, ...joined], all);
  };

  const startJoining = () => {
    waiting = waiting.filter((row) => !gone(row));
    const group = nextGroup(model, waiting, maxBatchSize - rows.length);
    if (group.length === 0) return undefined;
    waiting = waiting.filter((row) => !group.includes(row));
    const prompts = group.map((row) => row.sequence.ids);
    const start = group[0]!.options.state;
    const onPrompt = group.length === 1 ? group[0]!.options.onPrompt : undefined;
    const reader = prompts[0]!.length > 0 ? readSlices(model, prompts, { state: start, onPrompt }) : already(start!);
    return { rows: group, reader };
  };

  /** Every row chooses its token; those that end leave; the others read theirs. */
  const advance = async (): Promise<void> => {
    if (!state) return;
    const { vocabulary } = languageOf(model);
    const kept: number[] = [];
    const tokens: number[] = [];
    for (const [index, row] of rows.entries()) {
      if (gone(row)) continue;
      try {
        const piece = row.sequence.choose(state.logits!.subarray(index * vocabulary, (index + 1) * vocabulary));
        row.sink.push(piece);
        if (piece.finish) end(row);
        else {
          kept.push(index);
          tokens.push(piece.token);
        }
      } catch (error) {
        end(row, error);
      }
    }
    if (kept.length === 0) return replace([], undefined);
    if (kept.length < rows.length) {
      const left = rows;
      const { logits: _read, ...rest } = state;
      replace(
        kept.map((index) => left[index]!),
        await sliceState(model, rest, kept),
      );
    }
    const next = await readTokens(model, tokens, state, spare);
    const old = state;
    state = next;
    spare = held(old) ? undefined : retire(model, old);
  };

  /** The state of a single row may be the one that the caller gave. */
  const held = (old: State): boolean => rows.some((row) => row.options.state === old);

  const replace = (newRows: Row[], newState: State | undefined): void => {
    if (state && state !== newState && !held(state)) disposeState(state);
    rows = newRows;
    state = newState;
    spare = undefined;
  };

  const end = (row: Row, error?: unknown): void => {
    if (row.over) return;
    row.over = true;
    if (error === undefined) row.sink.end();
    else row.sink.fail(error);
  };

  /** Whether a row has ended: its consumer has left, or has aborted it (then it is told). */
  const gone = (row: Row): boolean => {
    if (closed || row.left) end(row);
    else {
      try {
        throwIfAborted(row.options.signal);
      } catch (error) {
        end(row, error);
      }
    }
    return row.over;
  };

  return {
    add,
    size: () => ({ running: rows.length, waiting: waiting.length + (joining?.rows.length ?? 0) }),
    close: () => {
      closed = true;
    },
  };
}

/**
 * Which waiting rows join together: the first, and, where they can be padded exactly (from nothing, with a mask), those
 * whose padding costs at most as much as their tokens.
 */
function nextGroup(model: Model, waiting: readonly Row[], room: number): Row[] {
  const first = waiting[0];
  if (!first || room < 1) return [];
  if (first.options.state) return [first];
  const group = [first];
  for (const row of waiting.slice(1)) {
    if (group.length === room) break;
    if (row.options.state) continue;
    const lengths = [...group, row].map(({ sequence }) => sequence.ids.length);
    const padded = Math.max(...lengths) * lengths.length;
    const total = lengths.reduce((sum, length) => sum + length, 0);
    if (model.language?.hasMask ? padded <= 2 * total : padded === total) group.push(row);
  }
  return group;
}
