/** Seeded random numbers, the project's only source of them: the same seed, the same draws. */
import { uniformFloat64 } from "pure-rand/distribution/uniformFloat64";
import { xoroshiro128plusFromState } from "pure-rand/generator/xoroshiro128plus";

/**
 * Uniform numbers in [0, 1).
 *
 * @param seed any safe integer; equal seeds give equal sequences, and those of neighbours have nothing in common
 */
export function uniform(seed: number): () => number {
  const generator = xoroshiro128plusFromState(stateOf(seed));
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

/**
 * A generator's state of 128 bits, by splitmix64 (Steele, Lea and Flood 2014) from all 64 bits of the seed.
 * xoroshiro128plus(seed) of pure-rand puts the seed itself there and gives it back as its first draw.
 */
function stateOf(seed: number): number[] {
  let counter = BigInt(seed);
  const words: number[] = [];
  for (let half = 0; half < 2; half++) {
    counter = BigInt.asUintN(64, counter + 0x9e3779b97f4a7c15n);
    let z = BigInt.asUintN(64, (counter ^ (counter >> 30n)) * 0xbf58476d1ce4e5b9n);
    z = BigInt.asUintN(64, (z ^ (z >> 27n)) * 0x94d049bb133111ebn);
    z ^= z >> 31n;
    words.push(Number(z >> 32n) | 0, Number(z & 0xffffffffn) | 0);
  }
  return words;
}
