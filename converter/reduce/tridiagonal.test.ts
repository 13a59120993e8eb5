/** Eigenvalues that are known in closed form, and vectors by what makes them ones. */
import { describe, expect, it } from "vitest";
import { normal } from "../../src/random.ts";
import { dot, gram } from "./columns.ts";
import { tridiagonalValues, tridiagonalVectors } from "./tridiagonal.ts";

const SECOND_DIFFERENCE = { diagonal: new Float64Array(40).fill(2), beside: new Float64Array(39).fill(-1) };
const gauss = normal(3);
const GRADED = {
  diagonal: Float64Array.from({ length: 60 }, (_, i) => 0.6 ** i * gauss()),
  beside: Float64Array.from({ length: 59 }, (_, i) => 0.6 ** i * gauss()),
};
const FALLS_APART = { diagonal: Float64Array.of(3, 0, 0, 2, -5), beside: Float64Array.of(0, 1, 0, 0) };

const rising = (values: Float64Array) => [...values].sort((a, b) => a - b);

describe("tridiagonalValues", () => {
  it("finds 2 - 2 cos(kπ / (n + 1)) for second differences", () => {
    const { diagonal, beside } = SECOND_DIFFERENCE;
    for (const [k, value] of rising(tridiagonalValues(diagonal, beside)).entries())
      expect(value).toBeCloseTo(2 - 2 * Math.cos(((k + 1) * Math.PI) / 41), 13);
  });

  it("finds those of a matrix that falls apart, of one number, and of none", () => {
    const { diagonal, beside } = FALLS_APART;
    const expected = [-5, -1, 1, 2, 3];
    for (const [k, value] of rising(tridiagonalValues(diagonal, beside)).entries())
      expect(value).toBeCloseTo(expected[k]!, 14);
    expect([...tridiagonalValues([7], [])]).toEqual([7]);
    expect([...tridiagonalValues([], [])]).toEqual([]);
  });

  it("comes to an end with NaN", () => {
    expect(tridiagonalValues([1, Number.NaN, 2], [1, 1]).some(Number.isNaN)).toBe(true);
  });
});

describe("tridiagonalVectors", () => {
  for (const [name, { diagonal, beside }] of Object.entries({ SECOND_DIFFERENCE, GRADED, FALLS_APART }))
    it(`finds orthonormal vectors that the matrix stretches by the values: ${name}`, () => {
      const values = tridiagonalValues(diagonal, beside);
      const vectors = tridiagonalVectors(diagonal, beside);
      for (const [i, row] of gram(vectors, vectors).entries())
        for (const [j, value] of row.entries()) expect(value).toBeCloseTo(i === j ? 1 : 0, 12);
      const largest = Math.max(...values.map(Math.abs));
      for (const [k, vector] of vectors.entries()) {
        const rest = vector.map(
          (x, i) =>
            (diagonal[i]! - values[k]!) * x +
            (beside[i - 1] ?? 0) * (vector[i - 1] ?? 0) +
            (beside[i] ?? 0) * (vector[i + 1] ?? 0),
        );
        expect(Math.sqrt(dot(rest, rest))).toBeLessThan(1e-13 * largest);
      }
    });
});
