/**
 * Sampling methods: a row each, applied in this order to the tokens that are still possible. Adding a method is adding
 * a row here and its option to {@link MethodOptions}. They mean what transformers' logits warpers mean.
 */
import { argmax, type Candidates, kthLargest, narrow, probabilities } from "./candidates.ts";

export interface MethodOptions {
  /** Divides the logits; 0 is greedy. Default 1 where any sampling setting is given, else 0. */
  readonly temperature?: number;
  /** Keep the k most likely tokens; 0 keeps all. */
  readonly topK?: number;
  /** Keep the fewest most likely tokens whose probabilities sum to at least this (Holtzman et al. 2020); 1 keeps all. */
  readonly topP?: number;
  /** Keep tokens at least this fraction as likely as the most likely one (Nguyen et al. 2024); 0 keeps all. */
  readonly minP?: number;
}

export interface Method {
  /** What the option must be, for the error. */
  readonly range: string;
  readonly valid: (value: number) => boolean;
  /** A value that changes nothing. */
  readonly neutral: number;
  readonly apply: (candidates: Candidates, value: number) => Candidates;
}

export const METHODS: { readonly [name in keyof Required<MethodOptions>]: Method } = {
  // Before the temperature, which does not change the order: the rest then has k tokens to look at.
  topK: { range: "an integer of at least 0", valid: (k) => Number.isInteger(k) && k >= 0, neutral: 0, apply: topK },
  temperature: {
    range: "a number of at least 0",
    valid: (value) => value >= 0 && value < Number.POSITIVE_INFINITY,
    neutral: 1,
    apply: scale,
  },
  topP: { range: "a number above 0 and at most 1", valid: (p) => p > 0 && p <= 1, neutral: 1, apply: topP },
  minP: { range: "a number from 0 to 1", valid: (p) => p >= 0 && p <= 1, neutral: 0, apply: minP },
};

function scale({ ids, logits }: Candidates, temperature: number): Candidates {
  const scaled = new Float64Array(logits.length);
  // Less the largest, which changes no probability: near temperature 0 the others, and not it, leave the range of numbers.
  const largest = logits[argmax(logits)] ?? 0;
  for (let index = 0; index < scaled.length; index++) scaled[index] = (logits[index]! - largest) / temperature;
  return { ids, logits: scaled };
}

function topK(candidates: Candidates, k: number): Candidates {
  if (k >= candidates.ids.length) return candidates;
  const threshold = kthLargest(candidates.logits, k);
  return narrow(candidates, (index) => candidates.logits[index]! >= threshold);
}

function topP(candidates: Candidates, p: number): Candidates {
  const probability = probabilities(candidates);
  // Tokens below (1 - p) / n sum to less than 1 - p, so the nucleus never needs them: sort only the others.
  const least = (1 - p) / probability.length;
  const likely: number[] = [];
  for (const value of probability) if (value >= least) likely.push(value);
  const sorted = Float64Array.from(likely).sort();
  let sum = 0;
  let first = sorted.length;
  while (first > 0 && sum < p) sum += sorted[--first]!;
  const threshold = sorted[first] ?? 0;
  // Of tokens exactly as likely as the last one that is needed, only as many as are needed, lowest ids first.
  let ties = sorted.subarray(first).lastIndexOf(threshold) + 1;
  return narrow(candidates, (at) => probability[at]! > threshold || (probability[at] === threshold && ties-- > 0));
}

function minP(candidates: Candidates, fraction: number): Candidates {
  const { logits } = candidates;
  const least = logits[argmax(logits)]! + Math.log(fraction);
  return narrow(candidates, (index) => logits[index]! >= least);
}
