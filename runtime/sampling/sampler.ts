/** From logits to a token: penalties on all logits, then the methods' table, then a reproducible draw. */

import { notValid } from "../../src/checks.ts";
import { LongConvError } from "../../src/errors.ts";
import { uniform } from "../../src/random.ts";
import { allTokens, argmax, probabilities } from "./candidates.ts";
import { METHODS, type MethodOptions } from "./methods.ts";

/** What a processor may look at. */
export interface SamplingContext {
  /** Ids of the prompt and of what was generated, oldest first. What a `state` has read before is not among them. */
  readonly ids: readonly number[];
  /** How many of them were generated. */
  readonly generated: number;
}

/** Changes logits [vocabulary] in place before a token is chosen: biases, bans, grammars. */
export type LogitsProcessor = (logits: Float32Array, context: SamplingContext) => void;

export interface SamplingOptions extends MethodOptions {
  /**
   * Makes tokens that have occurred less likely: logits are divided (or multiplied, below 0) by this (Keskar et al. 2019).
   * 1 is off. Those of the prompt and of this generation count; what a `state` has read before is not known.
   */
  readonly repetitionPenalty?: number;
  /** Makes a draw reproducible. Default: different every time. */
  readonly seed?: number;
  /** Called in order after the repetition penalty and before the sampling methods. */
  readonly processors?: LogitsProcessor | readonly LogitsProcessor[];
}

/** Chooses tokens for one sequence. */
export interface Sampler {
  /** Whether `choose` changes the logits that it is given. */
  readonly changesLogits: boolean;
  /** @param logits [vocabulary] @throws LongConvError runtime-failed where they are not numbers */
  choose(logits: Float32Array): number;
  /** Goes on as if it had chosen this token. */
  accept(token: number): void;
}

/**
 * A sampler after the ids of the prompt.
 * @throws LongConvError bad-input for a setting out of its range
 */
export function createSampler(options: SamplingOptions, promptIds: readonly number[] = []): Sampler {
  const names = Object.keys(METHODS) as (keyof MethodOptions)[];
  for (const name of names) {
    const value = options[name];
    if (value === undefined || (typeof value === "number" && METHODS[name].valid(value))) continue;
    throw notValid(name, METHODS[name].range, value);
  }
  const { repetitionPenalty = 1, seed } = options;
  if (!(Number.isFinite(repetitionPenalty) && repetitionPenalty > 0))
    throw notValid("repetitionPenalty", "a number above 0", repetitionPenalty);
  if (seed !== undefined && !Number.isSafeInteger(seed)) throw notValid("seed", "an integer of at most 53 bits", seed);

  const draws = seed !== undefined || names.some((name) => options[name] !== undefined);
  const greedy = !draws || options.temperature === 0;
  const active = names.filter((name) => options[name] !== undefined && options[name] !== METHODS[name].neutral);
  const random = uniform(seed ?? Math.floor(Math.random() * Number.MAX_SAFE_INTEGER));
  const processors = [options.processors ?? []].flat();
  const wrong = processors.find((processor) => typeof processor !== "function");
  if (wrong !== undefined) throw notValid("a processor", "a function", wrong);
  const remembers = processors.length > 0 || repetitionPenalty !== 1;
  const ids = remembers ? [...promptIds] : [];
  const seen = new Set(ids);
  let generated = 0;

  const choose = (logits: Float32Array): number => {
    if (repetitionPenalty !== 1) penalise(logits, seen, repetitionPenalty);
    for (const processor of processors) processor(logits, { ids, generated });
    const token = greedy ? argmax(logits) : draw(logits);
    if (token < 0) {
      throw new LongConvError("runtime-failed", "no token can be chosen: the logits are NaN or all -Infinity");
    }
    note(token);
    return token;
  };

  const note = (token: number): void => {
    generated++;
    if (!remembers) return;
    ids.push(token);
    seen.add(token);
  };

  const accept = (token: number): void => {
    // One number is drawn for each token.
    if (!greedy) random();
    note(token);
  };

  const draw = (logits: Float32Array): number => {
    let candidates = allTokens(logits);
    for (const name of active) candidates = METHODS[name].apply(candidates, options[name]!);
    const probability = probabilities(candidates);
    const aim = random();
    let sum = 0;
    let last = -1;
    for (let index = 0; index < probability.length; index++) {
      if (!(probability[index]! > 0)) continue;
      last = index;
      sum += probability[index]!;
      if (aim < sum) break;
    }
    return candidates.ids[last] ?? -1;
  };

  return { changesLogits: remembers, choose, accept };
}

function penalise(logits: Float32Array, seen: ReadonlySet<number>, penalty: number): void {
  for (const id of seen) {
    const logit = logits[id];
    if (logit !== undefined) logits[id] = logit > 0 ? logit / penalty : logit * penalty;
  }
}
