/** Seeded random numbers, so that the same model always converts to the same bytes. */

/**
 * Uniform numbers in [0, 1) from a 32-bit seed (mulberry32, Tommy Ettinger; period 2³², enough for sketches).
 *
 * @param seed any integer; equal seeds give equal sequences
 */
export function uniform(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let z = state;
    z = Math.imul(z ^ (z >>> 15), z | 1);
    z ^= z + Math.imul(z ^ (z >>> 7), z | 61);
    return ((z ^ (z >>> 14)) >>> 0) / 2 ** 32;
  };
}

/** Standard normal numbers by Box and Muller from uniform ones. */
export function normal(seed: number): () => number {
  const next = uniform(seed);
  return () => Math.sqrt(-2 * Math.log(1 - next())) * Math.cos(2 * Math.PI * next());
}
