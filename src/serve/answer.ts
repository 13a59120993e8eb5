/** Several sequences of one request in a model's batch, their pieces as they come. */
import type { GenerateOptions, Piece } from "../../runtime/node.ts";
import { ApiError } from "./errors.ts";
import type { Metrics } from "./metrics.ts";
import type { Served } from "./served.ts";

/** A text that is asked for. */
export interface Choice {
  readonly index: number;
  /** What it goes on from, after `state`. */
  readonly ids: readonly number[];
  readonly options: GenerateOptions;
}

/** A piece of one of them. */
export interface Made {
  readonly index: number;
  readonly piece: Piece;
}

/** What answers take. */
export interface Taken {
  promptTokens: number;
  cachedTokens: number;
  completionTokens: number;
}

/**
 * Puts the sequences into the model's batch. All that is wrong with them is said now, before a piece is waited for.
 * @param taken counts as they go on
 * @param queue sequences that may wait
 * @param signal takes them out once it is aborted: to be aborted also when they are no longer wanted
 * @throws ApiError where the queue is full; LongConvError what `batch.add` throws; while iterating the signal's reason
 */
export function answer(
  served: Served,
  choices: readonly Choice[],
  signal: AbortSignal,
  { taken, queue, metrics }: { taken: Taken; queue: number; metrics: Metrics },
): AsyncGenerator<Made, undefined> {
  const { batch, cache } = served;
  if (!batch) throw new ApiError(400, "no_language_model", `'${served.id}' takes no tokens`, "model");
  const { running, waiting } = batch.size;
  if (waiting + choices.length > queue)
    throw new ApiError(429, "queue_full", `${running} sequences run and ${waiting} wait: ask again later`);
  const added = choices.map(({ ids, options }) => {
    const cached = cache && !options.state && ids.length > 0 ? { cache } : {};
    return batch.add({ ...options, ...cached, inputIds: ids, signal });
  });
  const before = choices.map(() => performance.now());
  const seen = choices.map(() => 0);

  const count = ({ index, piece }: Made): void => {
    const now = performance.now();
    metrics.token(served.id, (now - before[index]!) / 1000, seen[index] === 0);
    before[index] = now;
    seen[index]!++;
    taken.completionTokens++;
    taken.cachedTokens += piece.prompt?.cachedTokens ?? 0;
  };

  const pieces = async function* (): AsyncGenerator<Made, undefined> {
    try {
      for await (const { index, value } of merged(added)) {
        count({ index, piece: value });
        yield { index: choices[index]!.index, piece: value };
      }
      metrics.prompt(served.id, taken.promptTokens, taken.cachedTokens);
    } catch (error) {
      signal.throwIfAborted();
      throw error;
    }
  };
  return pieces();
}

/** Values of several iterators as they come. */
async function* merged<T>(
  sources: readonly AsyncIterator<T, undefined>[],
): AsyncGenerator<{ readonly index: number; readonly value: T }, undefined> {
  const next = (index: number) => {
    const result = sources[index]!.next().then((got) => ({ index, got }));
    // One that fails while another is being awaited is looked at in its turn.
    result.catch(() => undefined);
    return result;
  };
  const open = new Map(sources.map((_, index) => [index, next(index)]));
  while (open.size > 0) {
    const { index, got } = await Promise.race(open.values());
    if (got.done) open.delete(index);
    else {
      open.set(index, next(index));
      yield { index, value: got.value };
    }
  }
}

/** OpenAI's usage. */
export const usageOf = ({ promptTokens, completionTokens, cachedTokens }: Taken) => ({
  prompt_tokens: promptTokens,
  completion_tokens: completionTokens,
  total_tokens: promptTokens + completionTokens,
  prompt_tokens_details: { cached_tokens: cachedTokens },
});

/** OpenAI's word for why a text ended. */
export const finishOf = ({ finish }: Piece): "stop" | "length" | null =>
  finish === undefined ? null : finish.startsWith("stop") ? "stop" : "length";
