/** Where a sequence is cut, in every way of reading it. */
import { describe, expect, test } from "vitest";
import { cutsOf } from "./trials.ts";

/** How many positions each call reads. */
const callsOf = (way: Parameters<typeof cutsOf>[0], length: number) =>
  cutsOf(way, length, 0).map((end, i, ends) => end - (ends[i - 1] ?? 0));

describe("cutsOf", () => {
  test("token by token, a longer sequence has single steps at both ends and in the middle", () => {
    const singles = (count: number) => new Array<number>(count).fill(1);
    expect(callsOf("token by token", 128)).toEqual([...singles(24), 32, ...singles(16), 32, ...singles(24)]);
    expect(callsOf("token by token", 65)).toEqual([...singles(40), 1, ...singles(24)]);
    expect(callsOf("token by token", 67).filter((call) => call > 1)).toEqual([2]);
  });

  test("token by token, a short one has nothing else, and neither has a step file", () => {
    for (const length of [1, 2, 3, 16, 64]) expect(callsOf("token by token", length)).toEqual(Array(length).fill(1));
    expect(callsOf("step file", 128)).toEqual(Array(128).fill(1));
  });

  test("every way reads all of it", () => {
    for (const way of ["whole", "last position", "token by token", "cut at random", "padded", "step file"] as const)
      for (const length of [1, 2, 31, 100, 513]) expect(callsOf(way, length).reduce((a, b) => a + b, 0)).toBe(length);
  });
});
