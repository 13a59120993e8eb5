/** Sampling settings against their definitions. */
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { LongConvError } from "../../src/errors.ts";
import { allTokens, argmax, kthLargest, probabilities } from "./candidates.ts";
import { METHODS, type MethodOptions } from "./methods.ts";
import { createSampler, type SamplingOptions } from "./sampler.ts";

const logitsOf = (probability: readonly number[]) => Float32Array.from(probability, Math.log);
const kept = (name: keyof MethodOptions, value: number, probability: readonly number[]) => [
  ...METHODS[name].apply(allTokens(logitsOf(probability)), value).ids,
];

describe("methods", () => {
  const P = [0.1, 0.4, 0.05, 0.2, 0.25];

  test("top-k keeps the k most likely tokens, and all as likely as the last", () => {
    expect(kept("topK", 2, P)).toEqual([1, 4]);
    expect(kept("topK", 9, P)).toEqual([0, 1, 2, 3, 4]);
    expect(kept("topK", 1, [0.3, 0.3, 0.4])).toEqual([2]);
    expect(kept("topK", 2, [0.3, 0.3, 0.4])).toEqual([0, 1, 2]);
  });

  test("top-p keeps the fewest tokens that reach p", () => {
    expect(kept("topP", 0.35, P)).toEqual([1]);
    expect(kept("topP", 0.6, P)).toEqual([1, 4]);
    expect(kept("topP", 0.7, P)).toEqual([1, 3, 4]);
    expect(kept("topP", 0.94, P)).toEqual([0, 1, 3, 4]);
    expect(kept("topP", 0.6, [0.25, 0.25, 0.25, 0.25])).toEqual([0, 1, 2]);
  });

  test("min-p keeps tokens at least that fraction as likely as the best", () => {
    expect(kept("minP", 0.45, P)).toEqual([1, 3, 4]);
    expect(kept("minP", 1, P)).toEqual([1]);
  });

  test("temperature divides the logits", () => {
    const scaled = probabilities(METHODS.temperature.apply(allTokens(logitsOf([0.2, 0.8])), 0.5));
    expect(scaled[0]).toBeCloseTo(0.04 / 0.68, 6);
    expect(scaled[1]).toBeCloseTo(0.64 / 0.68, 6);
  });

  test("top-p by its definition, for any probabilities", () => {
    const weights = fc.array(fc.integer({ min: 1, max: 50 }), { minLength: 1, maxLength: 40 });
    fc.assert(
      fc.property(weights, fc.integer({ min: 1, max: 99 }), (raw, percent) => {
        const total = raw.reduce((sum, value) => sum + value, 0);
        const p = percent / 100;
        const sorted = raw.map((value) => value / total).sort((a, b) => b - a);
        let sum = 0;
        let count = 0;
        for (; count < sorted.length && sum < p - 1e-9; count++) sum += sorted[count]!;
        // Where the sum meets p up to rounding, one token more or less is right.
        fc.pre(Math.abs(sum - p) > 1e-6);
        const ids = kept(
          "topP",
          p,
          raw.map((value) => value / total),
        );
        expect(ids.length).toBe(count);
        expect(ids.map((id) => raw[id]!).sort((a, b) => b - a)).toEqual(raw.toSorted((a, b) => b - a).slice(0, count));
      }),
    );
  });

  test("k-th largest and argmax agree with sorting", () => {
    const values = fc.array(fc.integer({ min: -20, max: 20 }), { minLength: 1, maxLength: 60 });
    fc.assert(
      fc.property(values, fc.nat(), (list, seed) => {
        const k = 1 + (seed % list.length);
        const data = Float64Array.from(list);
        expect(kthLargest(data, k)).toBe(list.toSorted((a, b) => b - a)[k - 1]);
        expect(argmax(data)).toBe(list.indexOf(Math.max(...list)));
      }),
    );
  });
});

describe("sampler", () => {
  const draws = (options: SamplingOptions, probability: readonly number[], count: number) => {
    const sampler = createSampler(options);
    return Array.from({ length: count }, () => sampler.choose(logitsOf(probability)));
  };

  test("is greedy by default and at temperature 0, the first of equals", () => {
    expect(draws({}, [0.2, 0.4, 0.4], 3)).toEqual([1, 1, 1]);
    expect(draws({ temperature: 0, topK: 3, seed: 7 }, [0.2, 0.1, 0.7], 3)).toEqual([2, 2, 2]);
  });

  test("near temperature 0 draws are the greedy choice", () => {
    for (const temperature of [1e-5, 1e-310, Number.MIN_VALUE])
      expect(draws({ temperature, seed: 1 }, [0.2, 0.1, 0.7], 3)).toEqual([2, 2, 2]);
  });

  test("draws the same with the same seed, otherwise with another", () => {
    const uniform = new Array<number>(32).fill(1 / 32);
    expect(draws({ seed: 5 }, uniform, 20)).toEqual(draws({ seed: 5 }, uniform, 20));
    expect(draws({ seed: 5 }, uniform, 20)).not.toEqual(draws({ seed: 6 }, uniform, 20));
    expect(draws({ temperature: 1 }, uniform, 20)).not.toEqual(draws({ temperature: 1 }, uniform, 20));
  });

  test("draws as often as the probabilities say", () => {
    const probability = [0.5, 0.125, 0, 0.375];
    const count = 40_000;
    const seen = [0, 0, 0, 0];
    for (const token of draws({ seed: 1 }, probability, count)) seen[token]!++;
    // Five standard deviations
    for (const [token, p] of probability.entries()) {
      expect(Math.abs(seen[token]! / count - p)).toBeLessThanOrEqual(5 * Math.sqrt((p * (1 - p)) / count));
    }
  });

  test("the repetition penalty divides positive and multiplies negative logits of what has occurred", () => {
    const seen: number[][] = [];
    const processors = (logits: Float32Array) => void seen.push([...logits]);
    const sampler = createSampler({ repetitionPenalty: 2, processors }, [0, 1]);
    sampler.choose(Float32Array.of(4, -3, 3, 1));
    sampler.choose(Float32Array.of(4, -3, 3, 1));
    expect(seen).toEqual([
      [2, -6, 3, 1],
      [2, -6, 1.5, 1],
    ]);
  });

  test("processors see what has been said and change the choice", () => {
    const ban = (logits: Float32Array, { ids, generated }: { ids: readonly number[]; generated: number }) => {
      expect(ids.length).toBe(1 + generated);
      for (const id of ids) logits[id] = Number.NEGATIVE_INFINITY;
    };
    const sampler = createSampler({ processors: [ban] }, [3]);
    const choices = [0, 1, 2].map(() => sampler.choose(Float32Array.of(1, 2, 3, 4)));
    expect(choices).toEqual([2, 1, 0]);
  });

  test.each([
    { temperature: -1 },
    { temperature: Number.NaN },
    { topK: 1.5 },
    { topK: -1 },
    { topP: 0 },
    { topP: 1.1 },
    { minP: 2 },
    { repetitionPenalty: 0 },
    { seed: 0.5 },
    { temperature: Number.POSITIVE_INFINITY },
    { temperature: null },
    { temperature: "0.5" },
    { topP: "0.5" },
    { topK: 5n },
    { repetitionPenalty: null },
    { repetitionPenalty: Number.POSITIVE_INFINITY },
    { seed: 2 ** 60 },
    { seed: "1" },
    { processors: 5 },
  ])("refuses %o", (options) => {
    expect(() => createSampler(options as SamplingOptions)).toThrow(expect.objectContaining({ code: "bad-input" }));
  });

  test("refuses logits that are not numbers", () => {
    const nan = () => new Float32Array(9).fill(Number.NaN);
    expect(() => createSampler({}).choose(nan())).toThrow(LongConvError);
    expect(() => createSampler({ topK: 2 }).choose(nan())).toThrow(LongConvError);
    expect(() => createSampler({ topP: 0.5 }).choose(nan())).toThrow(LongConvError);
  });
});
