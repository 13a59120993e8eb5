/** Singular values that are known, and beside those of a library; vectors by what makes them ones. */
import { Matrix, SingularValueDecomposition } from "ml-matrix";
import { describe, expect, it } from "vitest";
import { normal } from "../../src/random.ts";
import { dot, orthogonalise } from "./columns.ts";
import { singularOf } from "./singular.ts";

const columnsOf = (size: number, entry: (i: number, j: number) => number) =>
  Array.from({ length: size }, (_, j) => Float64Array.from({ length: size }, (_, i) => entry(i, j)));

/** W diag(values) Uᵀ again, and what is orthogonal is. */
function expectFactors(given: readonly Float64Array[]) {
  const { values, scaled, right } = singularOf(given.map((column) => column.slice()));
  const size = given.length;
  for (let i = 0; i < size; i++)
    for (let j = 0; j < size; j++) {
      const again = scaled.reduce((sum, column, k) => sum + column[i]! * right[k]![j]!, 0);
      expect(Math.abs(again - given[j]![i]!)).toBeLessThanOrEqual(1e-13 * values[0]!);
      expect(dot(right[i]!, right[j]!)).toBeCloseTo(i === j ? 1 : 0, 12);
      expect(Math.abs(dot(scaled[i]!, scaled[j]!) - (i === j ? values[i]! ** 2 : 0))).toBeLessThanOrEqual(
        1e-13 * values[i]! * values[j]!,
      );
    }
  return values;
}

describe("singularOf", () => {
  it("finds small values right relative to themselves", () => {
    const next = normal(7);
    const random = () => orthogonalise(columnsOf(20, () => next())).q;
    const left = random();
    // columns of unlike length, as behind a QR
    const graded = left.map((column, j) => column.map((x) => x * 10 ** -j));
    const values = expectFactors(graded);
    for (const [j, value] of values.entries()) expect(value * 10 ** j).toBeCloseTo(1, 12);
  });

  it("agrees with a library", () => {
    const next = normal(9);
    for (const size of [1, 2, 5, 33]) {
      const given = columnsOf(size, (i, j) => next() * 0.7 ** Math.max(i, j));
      const values = expectFactors(given);
      const { diagonal } = new SingularValueDecomposition(new Matrix(given.map((column) => [...column])));
      for (const [j, value] of values.entries())
        expect(Math.abs(value - diagonal[j]!)).toBeLessThan(1e-14 * values[0]!);
    }
  });

  it("has zeros for columns of zeros and for columns twice", () => {
    const twice = columnsOf(6, (i, j) => (j === 2 ? 0 : ((i + 1) * 7) % (j === 4 ? 5 : 3 + j)));
    twice[5] = twice[0]!.slice();
    const values = expectFactors(twice);
    expect(values[4]!).toBeLessThan(1e-14 * values[0]!);
    expect(values[5]!).toBeLessThan(1e-14 * values[0]!);
    expect([...expectFactors(columnsOf(3, () => 0))]).toEqual([0, 0, 0]);
  });
});
