/** A seeded source of random choices: the same seed, the same graph. */
import { uniform } from "../../src/random.ts";

export interface Random {
  /** Uniform in [0, 1). */
  next(): number;
  /** A whole number from `low` to `high`, both included. */
  int(low: number, high: number): number;
  chance(probability: number): boolean;
  pick<T>(choices: readonly T[]): T;
  /** Standard normal. */
  normal(): number;
  shuffled<T>(items: readonly T[]): T[];
}

/** A source that depends on the seed alone. */
export function random(seed: number): Random {
  const next = uniform(seed);
  const int = (low: number, high: number) => low + Math.floor(next() * (high - low + 1));
  return {
    next,
    int,
    chance: (probability) => next() < probability,
    pick: (choices) => choices[int(0, choices.length - 1)]!,
    normal: () => Math.sqrt(-2 * Math.log(1 - next())) * Math.cos(2 * Math.PI * next()),
    shuffled(items) {
      const result = [...items];
      for (let i = result.length - 1; i > 0; i--) {
        const k = int(0, i);
        [result[i], result[k]] = [result[k]!, result[i]!];
      }
      return result;
    },
  };
}
