/** Several texts of one prompt, the most probable first. */

import { checkArguments, checkCount, notValid } from "../../../src/checks.ts";
import { createPrefixCache } from "../../kept/cache.ts";
import type { Model } from "../../model/model.ts";
import { generateBatch } from "../batch/batch.ts";
import type { FinishReason, GenerateOptions } from "../options.ts";
import { logProbability } from "./probability.ts";

export interface BestOptions extends Omit<GenerateOptions, "history" | "drafter" | "returnLogits"> {
  /** Texts that are wanted. Default 1. */
  readonly n?: number;
  /** Texts that are made, of which the `n` most probable are wanted. Default `n`. */
  readonly bestOf?: number;
}

export interface Continuation {
  /** Which of the texts it is that were made: it is the one that `generate` makes with `seed + index`. */
  readonly index: number;
  readonly tokens: readonly number[];
  readonly text: string;
  /** Sum of the natural logarithms of its tokens' probabilities, before sampling changed them. */
  readonly logProbability: number;
  readonly finish: FinishReason | undefined;
}

/**
 * Samples several texts in one batch and returns the best first: those with the largest log probability a token. The
 * prompt is read once, and each text starts from its state.
 *
 *     const texts = await nBest(model, { prompt: "In the beginning", n: 2, bestOf: 5, temperature: 0.8, seed: 1 });
 *
 * @throws LongConvError bad-input where nothing is left to chance, so that all would be the same; what `generate` throws
 */
export async function nBest(model: Model, given: BestOptions): Promise<Continuation[]> {
  checkArguments({ model: ["loaded", model], options: ["options", given] });
  const { n = 1, bestOf = n, ...options } = given;
  checkCount("n", n, 1);
  checkCount("bestOf", bestOf, n);
  if (bestOf === Number.POSITIVE_INFINITY) throw notValid("bestOf", "a number", bestOf);
  const { seed, temperature, topK, topP, minP } = { ...model.defaults, ...options };
  const draws = [seed, temperature, topK, topP, minP].some((each) => each !== undefined) && temperature !== 0;
  if (bestOf > 1 && !draws)
    throw notValid("`temperature`", "above 0 for several texts, which else are all the same", temperature);
  const cache = options.state ? undefined : (options.cache ?? createPrefixCache(model));
  const requests = Array.from({ length: bestOf }, (_, index) => ({
    ...{ ...options, returnLogits: true },
    ...(cache && { cache }),
    ...(seed !== undefined && { seed: seed + index }),
  }));
  const made = requests.map((_, index) => ({
    ...{ index, tokens: [] as number[], text: "", logProbability: 0 },
    finish: undefined as FinishReason | undefined,
  }));
  for await (const { row, token, text, finish, logits } of generateBatch(model, requests, {
    beyond: options.beyond ?? false,
  })) {
    const each = made[row]!;
    each.tokens.push(token);
    each.text += text;
    each.finish = finish;
    each.logProbability += logProbability(logits!, token);
  }
  const rank = (each: Continuation) => each.logProbability / Math.max(1, each.tokens.length);
  return made.toSorted((a, b) => rank(b) - rank(a) || a.index - b.index).slice(0, n);
}
