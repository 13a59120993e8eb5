/** Random numbers are uniform across seeds, as well as within one. */
import { expect, test } from "vitest";
import { normal, uniform } from "./random.ts";

/** χ² of the numbers' counts in equal parts of [0, 1). */
function chiSquared(numbers: readonly number[], parts: number): number {
  const counts = new Array<number>(parts).fill(0);
  for (const number of numbers) counts[Math.floor(number * parts)]!++;
  const expected = numbers.length / parts;
  return counts.reduce((sum, count) => sum + (count - expected) ** 2 / expected, 0);
}
/** χ² with 31 degrees of freedom is above this once in a million. */
const LIMIT = 81;

test.each([
  ["small", 0],
  ["negative", -2000],
  ["of more than 32 bits", 2 ** 40],
])("the first and the second draws of seeds one after the other are uniform: %s", (_, from) => {
  const draws = Array.from({ length: 2000 }, (_, index) => {
    const next = uniform(from + index);
    return [next(), next()] as const;
  });
  for (const which of [0, 1])
    expect(
      chiSquared(
        draws.map((pair) => pair[which]!),
        32,
      ),
    ).toBeLessThan(LIMIT);
});

test("all bits of a seed count", () => {
  const first = (seed: number) => uniform(seed)();
  const seeds = Array.from({ length: 53 }, (_, bit) => 2 ** bit);
  expect(new Set([0, -1, Number.MAX_SAFE_INTEGER, ...seeds].map(first)).size).toBe(seeds.length + 3);
  expect(first(7)).toBe(first(7));
});

test("normal numbers have mean 0 and variance 1", () => {
  const next = normal(3);
  const numbers = Array.from({ length: 10_000 }, next);
  const mean = numbers.reduce((sum, value) => sum + value, 0) / numbers.length;
  const variance = numbers.reduce((sum, value) => sum + (value - mean) ** 2, 0) / numbers.length;
  expect(Math.abs(mean)).toBeLessThan(0.05);
  expect(Math.abs(variance - 1)).toBeLessThan(0.07);
});
