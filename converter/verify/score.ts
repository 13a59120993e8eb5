/** Compares two rows of logits after another: argmax, KL divergence, perplexity, largest difference by position. */
import { larger } from "../compare/differences.ts";

/** What a comparison of language models says. */
export interface Score {
  /** Positions compared. */
  readonly positions: number;
  /** Positions at which the most probable token differs. */
  readonly argmaxDiffers: number;
  /** Largest gap between the original's top two logits at a position where the argmax differs; 0 where none does. */
  readonly largestGap: number;
  /** KL(original ‖ converted), nats a position. */
  readonly klMean: number;
  readonly klLargest: number;
  /** Perplexity of the next token within the window; NaN where windows have no next token. */
  readonly perplexity: { readonly original: number; readonly converted: number };
  /** Largest |difference| of two logits. */
  readonly largest: number;
  /** The same by position: [from, to), powers of two. */
  readonly byPosition: readonly { readonly from: number; readonly to: number; readonly largest: number }[];
}

/** A running comparison. */
export interface Scorer {
  /**
   * Adds a position.
   * @param original [vocabulary] logits
   * @param converted [vocabulary] logits
   * @param position in the window, from 0
   * @param next the token that follows in the window, where there is one
   */
  add(original: ArrayLike<number>, converted: ArrayLike<number>, position: number, next: number | undefined): void;
  score(): Score;
}

/** An empty comparison. */
export function createScorer(): Scorer {
  let [positions, argmaxDiffers, largestGap, klSum, klLargest, largest, scored] = [0, 0, 0, 0, 0, 0, 0];
  const loss = { original: 0, converted: 0 };
  const buckets: number[] = [];
  return {
    add(original, converted, position, next) {
      const p = summary(original);
      const q = summary(converted);
      let [apart, kl] = [0, 0];
      for (let k = 0; k < original.length; k++) {
        const difference = original[k]! - converted[k]!;
        apart = larger(apart, Math.abs(difference));
        kl += Math.exp(original[k]! - p.logSum) * difference;
      }
      kl = Math.max(0, kl - p.logSum + q.logSum);
      positions++;
      if (p.argmax !== q.argmax) {
        argmaxDiffers++;
        largestGap = Math.max(largestGap, p.gap);
      }
      klSum += kl;
      klLargest = Math.max(klLargest, kl);
      largest = larger(largest, apart);
      const bucket = Math.floor(Math.log2(position + 1));
      buckets[bucket] = larger(buckets[bucket] ?? 0, apart);
      if (next === undefined) return;
      scored++;
      loss.original += p.logSum - original[next]!;
      loss.converted += q.logSum - converted[next]!;
    },
    score: () => ({
      positions,
      argmaxDiffers,
      largestGap,
      klMean: klSum / positions,
      klLargest,
      perplexity: { original: Math.exp(loss.original / scored), converted: Math.exp(loss.converted / scored) },
      largest,
      byPosition: Array.from(buckets, (value, k) => ({ from: 2 ** k - 1, to: 2 ** (k + 1) - 1, largest: value ?? 0 })),
    }),
  };
}

/** log Σ exp, the first largest entry, and how far the next one is below it. */
function summary(logits: ArrayLike<number>): { logSum: number; argmax: number; gap: number } {
  let argmax = 0;
  let second = -Infinity;
  for (let k = 1; k < logits.length; k++) {
    if (logits[k]! > logits[argmax]!) {
      second = logits[argmax]!;
      argmax = k;
    } else if (logits[k]! > second) second = logits[k]!;
  }
  const top = logits[argmax]!;
  let sum = 0;
  for (let k = 0; k < logits.length; k++) sum += Math.exp(logits[k]! - top);
  return { logSum: top + Math.log(sum), argmax, gap: top - second };
}
