/** Eigenvalues that are known in closed form, and beside those of a library. */
import { EigenvalueDecomposition, Matrix } from "ml-matrix";
import { describe, expect, it } from "vitest";
import { normal } from "../../src/random.ts";
import { eigenvaluesOf } from "./eigenvalues.ts";

const matrix = (size: number, entry: (i: number, j: number) => number) =>
  Float64Array.from({ length: size * size }, (_, k) => entry(Math.floor(k / size), k % size));

/** By real part, then by imaginary part; parts that only rounding tells apart count as equal. */
const sorted = (re: ArrayLike<number>, im: ArrayLike<number>) =>
  Array.from(re, (x, i) => [x, im[i]!] as const).sort((a, b) =>
    Math.abs(a[0] - b[0]) > 1e-9 ? a[0] - b[0] : a[1] - b[1],
  );

function expectEigenvalues(a: Float64Array, size: number, re: ArrayLike<number>, im: ArrayLike<number>, digits = 11) {
  const found = eigenvaluesOf(a, size);
  const wanted = sorted(re, im);
  for (const [i, [x, y]] of sorted(found.re, found.im).entries()) {
    expect(x).toBeCloseTo(wanted[i]![0], digits);
    expect(y).toBeCloseTo(wanted[i]![1], digits);
  }
}

describe("eigenvaluesOf", () => {
  it("finds the roots of unity, round which every double shift without help goes", () => {
    for (const size of [2, 3, 4, 7, 32]) {
      const angles = Array.from({ length: size }, (_, k) => (2 * Math.PI * k) / size);
      const turning = matrix(size, (i, j) => (i === (j + 1) % size ? 1 : 0));
      expectEigenvalues(turning, size, angles.map(Math.cos), angles.map(Math.sin));
    }
  });

  it("finds those of triangles, of one number and of none", () => {
    expectEigenvalues(
      matrix(5, (i, j) => (i < j ? i - j : i === j ? [3, -1, 0, 2, 7][i]! : 0)),
      5,
      [-1, 0, 2, 3, 7],
      [0, 0, 0, 0, 0],
    );
    expectEigenvalues(
      matrix(4, (i, j) => (i >= j ? 1 + i : 0)),
      4,
      [1, 2, 3, 4],
      [0, 0, 0, 0],
    );
    expectEigenvalues(Float64Array.of(-3), 1, [-3], [0]);
    expect(eigenvaluesOf(new Float64Array(0), 0).re.length).toBe(0);
    expectEigenvalues(new Float64Array(9), 3, [0, 0, 0], [0, 0, 0]);
  });

  it("finds double ones to half of the digits", () => {
    expectEigenvalues(Float64Array.of(2, 1, 0, 2), 2, [2, 2], [0, 0], 7);
  });

  it("agrees with a library on matrices of all sizes and of rows of unlike size", () => {
    const next = normal(5);
    for (const size of [2, 3, 5, 8, 13, 40, 96])
      for (const grade of [1, 0.8]) {
        const a = matrix(size, (i) => next() * grade ** i);
        const rows = new Matrix(Array.from({ length: size }, (_, i) => [...a.subarray(i * size, (i + 1) * size)]));
        const { realEigenvalues, imaginaryEigenvalues } = new EigenvalueDecomposition(rows, { assumeSymmetric: false });
        expectEigenvalues(a, size, realEigenvalues, imaginaryEigenvalues);
      }
  });

  it("comes to an end with NaN", () => {
    const { re } = eigenvaluesOf(
      matrix(6, (i, j) => (i === 3 && j === 2 ? Number.NaN : i + j)),
      6,
    );
    expect(re.some(Number.isNaN)).toBe(true);
  });
});
