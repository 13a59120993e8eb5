/** The Hankel matrix that is never formed, against one that is: by its Gram matrix, and by transforms. */

import { Matrix, SingularValueDecomposition } from "ml-matrix";
import { describe, expect, it } from "vitest";
import { normal } from "../../src/random.ts";
import { dot, gram, orthogonalise } from "./columns.ts";
import { dominantSubspace, hankelOf } from "./hankel.ts";

const gauss = normal(5);
function caseOf(length: number, decays: readonly number[]) {
  const sequences = decays.map((rho, j) =>
    Float64Array.from({ length }, (_, k) => rho ** k * Math.cos(j * k) + 1e-3 * gauss()),
  );
  const hankel = hankelOf(sequences);
  const rowsOf = (s: Float64Array) =>
    Array.from({ length: hankel.rows }, (_, i) => Array.from(s.subarray(i, i + hankel.columns)));
  return { hankel, dense: new Matrix(sequences.flatMap(rowsOf)) };
}

/** Few columns beside the sequences, even and odd, and many. */
const CASES = [caseOf(61, [0.9, 0.7, 0.95]), caseOf(40, [0.9]), caseOf(301, [0.97])] as const;
const { hankel, dense } = CASES[0];

describe("hankelOf", () => {
  it.each(CASES)("applies HᵀH as the dense matrix does, for an odd number of vectors", ({ hankel, dense }) => {
    const x = [0, 1, 2].map(() => Float64Array.from({ length: hankel.columns }, gauss));
    const expected = dense.transpose().mmul(dense).mmul(new Matrix(x).transpose());
    hankel.gram(x).forEach((column, j) => {
      column.forEach((value, i) => {
        expect(value).toBeCloseTo(expected.get(i, j), 9);
      });
    });
    expect(hankel.energy).toBeCloseTo(dense.norm("frobenius") ** 2, 9);
  });
});

describe("dominantSubspace", () => {
  it("finds the dominant singular values and orthonormal vectors", () => {
    const { singularValues, vectors } = dominantSubspace(hankel, 16);
    const expected = new SingularValueDecomposition(dense).diagonal;
    for (let j = 0; j < 4; j++) expect(singularValues[j]! / expected[j]!).toBeCloseTo(1, 8);
    gram(vectors, vectors).forEach((row, i) => {
      row.forEach((value, j) => {
        expect(value).toBeCloseTo(i === j ? 1 : 0, 10);
      });
    });
  });
});

describe("orthogonalise", () => {
  it("keeps Q orthonormal where most columns are dependent to within rounding", () => {
    const base = [0, 1, 2, 3].map(() => Float64Array.from({ length: 300 }, gauss));
    const columns = Array.from({ length: 40 }, () => {
      const weights = base.map(gauss);
      return base[0]!.map((_, i) => base.reduce((sum, b, j) => sum + weights[j]! * 10 ** (-4 * j) * b[i]!, 0));
    });
    const { q } = orthogonalise(columns);
    gram(q, q).forEach((row, i) => {
      row.forEach((value, j) => {
        expect(Math.abs(value - (i === j ? Math.round(value) : 0))).toBeLessThan(1e-13);
      });
    });
  });

  it("gives A = Q R with orthonormal Q for nearly dependent columns, and a zero column for a dependent one", () => {
    const a = Float64Array.from({ length: 50 }, gauss);
    const near = a.map((x) => x + 1e-9 * gauss());
    const columns = [a, near, a.map((x) => 2 * x)];
    const { q, triangle } = orthogonalise(columns.map((column) => column.slice()));
    expect(Math.abs(dot(q[0]!, q[1]!))).toBeLessThan(1e-14);
    expect(dot(q[2]!, q[2]!)).toBe(0);
    columns.forEach((column, j) => {
      column.forEach((value, i) => {
        expect(q.reduce((sum, basis, s) => sum + basis[i]! * triangle[s]![j]!, 0)).toBeCloseTo(value, 12);
      });
    });
  });
});
