/** Seeded random numbers, so that the same model always converts to the same bytes and a refusal can be repeated. */
import { uniformFloat64 } from "pure-rand/distribution/uniformFloat64";
import { xoroshiro128plus } from "pure-rand/generator/xoroshiro128plus";

/**
 * Uniform numbers in [0, 1).
 *
 * @param seed any integer; equal seeds give equal sequences
 */
export function uniform(seed: number): () => number {
  const generator = xoroshiro128plus(seed);
  return () => uniformFloat64(generator);
}

/** Uniform numbers in [-1, 1). */
export function signed(seed: number): () => number {
  const next = uniform(seed);
  return () => 2 * next() - 1;
}

/** Standard normal numbers by Box and Muller from uniform ones. */
export function normal(seed: number): () => number {
  const next = uniform(seed);
  return () => Math.sqrt(-2 * Math.log(1 - next())) * Math.cos(2 * Math.PI * next());
}
