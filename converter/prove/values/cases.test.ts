/** Arithmetic of sizes against counting through lengths. */
import fc from "fast-check";
import { expect, test } from "vitest";
import { type Dim, dim, evaluate, subtract } from "../../time/facts/dim.ts";
import {
  atLeast,
  type Case,
  ceil,
  either,
  examplesOf,
  floor,
  isEmpty,
  least,
  most,
  Split,
  truncated,
  Unproven,
} from "./cases.ts";

/** Sizes with fractions as they come from halving and thirds. */
const fractions: fc.Arbitrary<Dim> = fc
  .tuple(
    fc.integer({ min: -40, max: 40 }),
    fc.constantFrom(1, 2, 3, 4, 7, 8, 49),
    fc.integer({ min: -6, max: 6 }),
    fc.constantFrom(1, 2, 3, 7),
  )
  .map(([a, b, c, d]) => ({ ...dim(c / d), time: a / b }));

const cases: fc.Arbitrary<Case> = fc
  .tuple(fc.integer({ min: 1, max: 50 }), fc.integer({ min: 0, max: 200 }), fc.integer({ min: 1, max: 6 }), fc.nat(5))
  .map(([from, more, modulus, residue]) => ({ from, to: from + more, modulus, residue: residue % modulus }))
  .filter((which) => !isEmpty(which));

/** Every part of a case in which something is decided, with the answer. */
function decided<T>(which: Case, of: (which: Case) => T): { which: Case; answer: T }[] {
  const left = [which];
  const answers: { which: Case; answer: T }[] = [];
  for (let part = left.pop(); part; part = left.pop()) {
    if (isEmpty(part)) continue;
    try {
      answers.push({ which: part, answer: of(part) });
    } catch (error) {
      if (error instanceof Unproven) return [];
      if (!(error instanceof Split)) throw error;
      left.push(...error.parts);
    }
  }
  return answers;
}

/** The lengths of all parts are those of the case, each once. */
function lengthsOf(parts: readonly { which: Case }[]): number[] {
  return parts.flatMap(({ which }) => examplesOf(which, 1000)).sort((a, b) => a - b);
}

const at = (d: Dim, n: number): number => evaluate(d, { batch: 1, time: n });
const NEAR = 1e-9;

test("a comparison splits a case into lengths at which it holds and others", () => {
  fc.assert(
    fc.property(cases, fractions, fractions, (which, a, b) => {
      const parts = decided(which, (part) => atLeast(part, a, b));
      expect(lengthsOf(parts)).toEqual(examplesOf(which, 1000));
      for (const { which: part, answer } of parts)
        for (const n of examplesOf(part, 1000)) {
          const apart = at(a, n) - at(b, n);
          if (Math.abs(apart) > NEAR) expect(answer).toBe(apart > 0);
          else expect(answer).toBe(true);
        }
    }),
  );
});

test("rounded sizes are those of numbers", () => {
  const roundings: [typeof floor, (x: number) => number][] = [
    [floor, (x) => Math.floor(x + NEAR)],
    [ceil, (x) => Math.ceil(x - NEAR)],
    [truncated, (x) => (x > 0 ? Math.floor(x + NEAR) : Math.ceil(x - NEAR))],
  ];
  fc.assert(
    fc.property(cases, fractions, fc.constantFrom(...roundings), (which, a, [of, ofNumber]) => {
      for (const { which: part, answer } of decided(which, (each) => of(each, a)))
        for (const n of examplesOf(part, 1000)) expect(at(answer, n)).toBeCloseTo(ofNumber(at(a, n)), 6);
    }),
  );
});

test("the smaller and the larger of two sizes", () => {
  fc.assert(
    fc.property(cases, fractions, fractions, (which, a, b) => {
      for (const { which: part, answer } of decided(which, (each) => [least(each, a, b), most(each, a, b)]))
        for (const n of examplesOf(part, 1000)) {
          expect(at(answer[0]!, n)).toBeCloseTo(Math.min(at(a, n), at(b, n)), 6);
          expect(at(answer[1]!, n)).toBeCloseTo(Math.max(at(a, n), at(b, n)), 6);
        }
    }),
  );
});

const EVERY: Case = { from: 1, to: 2 ** 24, modulus: 1, residue: 0 };

test("a part that is smaller than any rounding is no whole number", () => {
  expect(() => floor(EVERY, { ...dim(0), time: 2 ** -21 })).toThrow(Unproven);
  expect(() => floor(EVERY, { ...dim(0), time: 0.3333333432674408 })).toThrow(Unproven);
  expect(atLeast({ ...EVERY, to: 1 }, { ...dim(0), time: 1e-7 }, dim(3e-7))).toBe(false);
});

test("what depends on the batch size is not decided, unless it always holds", () => {
  const rows: Dim = { ...dim(0), batch: 1 };
  expect(atLeast(EVERY, rows, dim(1))).toBe(true);
  expect(() => atLeast(EVERY, rows, dim(8))).toThrow(Unproven);
  expect(() => atLeast(EVERY, subtract(rows, { ...dim(0), time: 1 }), dim(0))).toThrow(Unproven);
});

test("a number that may be rounded either way is both", () => {
  const parts = decided(EVERY, (which) => either(which, "log", [3, 4]) + either(which, "other", [10, 20]));
  expect(parts.map(({ answer }) => answer).sort()).toEqual([13, 14, 23, 24]);
});
