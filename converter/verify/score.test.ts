/** The comparison of logits against the definitions, term by term. */
import fc from "fast-check";
import { expect, test } from "vitest";
import { createScorer } from "./score.ts";
import { checkIds } from "./token-ids.ts";

const softmax = (logits: readonly number[]): number[] => {
  const total = logits.reduce((sum, value) => sum + Math.exp(value), 0);
  return logits.map((value) => Math.exp(value) / total);
};

test("KL divergence, perplexity, argmax and largest difference are what their definitions say", () => {
  const logits = fc.array(fc.double({ min: -8, max: 8, noNaN: true }), { minLength: 5, maxLength: 5 });
  const rows = fc.array(fc.tuple(logits, logits, fc.integer({ min: 0, max: 4 })), { minLength: 1, maxLength: 9 });
  fc.assert(
    fc.property(rows, (positions) => {
      const scorer = createScorer();
      let [kl, klLargest, largest, differs] = [0, 0, 0, 0];
      const loss = [0, 0];
      for (const [position, [p, q, next]] of positions.entries()) {
        scorer.add(p, q, position, next);
        const [a, b] = [softmax(p), softmax(q)];
        const divergence = a.reduce((sum, value, k) => sum + value * Math.log(value / b[k]!), 0);
        kl += divergence;
        klLargest = Math.max(klLargest, divergence);
        largest = Math.max(largest, ...p.map((value, k) => Math.abs(value - q[k]!)));
        if (p.indexOf(Math.max(...p)) !== q.indexOf(Math.max(...q))) differs++;
        loss[0]! -= Math.log(a[next]!);
        loss[1]! -= Math.log(b[next]!);
      }
      const score = scorer.score();
      expect(score.positions).toBe(positions.length);
      expect(score.argmaxDiffers).toBe(differs);
      expect(score.largest).toBe(largest);
      expect(score.klMean).toBeCloseTo(kl / positions.length, 10);
      expect(score.klLargest).toBeCloseTo(klLargest, 10);
      const perplexity = loss.map((sum) => Math.exp(sum / positions.length));
      expect(score.perplexity.original / perplexity[0]!).toBeCloseTo(1, 10);
      expect(score.perplexity.converted / perplexity[1]!).toBeCloseTo(1, 10);
      expect(Math.max(...score.byPosition.map((each) => each.largest))).toBe(largest);
    }),
  );
});

test("differences are kept by position, in ranges of powers of two", () => {
  const scorer = createScorer();
  for (let position = 0; position < 9; position++) scorer.add([1, 0], [1, position / 16], position, undefined);
  const { byPosition, largestGap, argmaxDiffers } = scorer.score();
  expect(byPosition).toEqual([
    { from: 0, to: 1, largest: 0 },
    { from: 1, to: 3, largest: 2 / 16 },
    { from: 3, to: 7, largest: 6 / 16 },
    { from: 7, to: 15, largest: 8 / 16 },
  ]);
  expect({ largestGap, argmaxDiffers }).toEqual({ largestGap: 0, argmaxDiffers: 0 });
});

test("the gap of the top two logits is kept where the argmax differs", () => {
  const scorer = createScorer();
  scorer.add([1, 0.75, -3], [1, 1.25, -3], 0, undefined);
  expect(scorer.score()).toMatchObject({ argmaxDiffers: 1, largestGap: 0.25, largest: 0.5 });
});

test("NaN is never agreement", () => {
  const scorer = createScorer();
  scorer.add([1, 2], [1, Number.NaN], 0, undefined);
  scorer.add([1, 2], [1, 2], 1, undefined);
  expect(scorer.score().largest).toBeNaN();
});

test("ids outside the vocabulary are refused with their place", () => {
  expect(() => checkIds([0, 7, 8], 8, "ids.json")).toThrow(
    /token 8 at position 2 is outside the vocabulary \(0 to 7\)/,
  );
  expect(() => checkIds([-1], 8, undefined)).toThrow(/token -1 at position 0/);
});
