/** Residues by least squares in the modal basis, safe for poles that (nearly) coincide. */

import { Matrix, QrDecomposition } from "ml-matrix";
import { type Columns, dot, orthogonalise, subtractCombination, transposeTimes } from "./columns.ts";
import type { Poles } from "./poles.ts";

/** Residues for given poles, and what they leave of the sequences. */
export interface Fit {
  /** [order][k]: row s is the residue of state s for each sequence. */
  readonly residues: Float64Array[];
  /** What is left of each sequence. */
  readonly residual: Float64Array[];
  /** Squared Frobenius norm of the residual. */
  readonly lost: number;
  /** ridge² Σ_s (1 + ‖b_s‖²) ‖c_s‖². */
  readonly penalty: number;
  /** lost + penalty, what the residues minimise. */
  readonly cost: number;
  /** Orthonormal basis of the span of the modes. */
  readonly q: Columns;
}

/**
 * The modes over the lags 1 … lags-1 in the order of {@link Modal}'s states: Re λ^k and Im λ^k of each pair, then the
 * real poles. Powers by repeated multiplication, with a restart from the polar form every 64 lags.
 */
export function modes(poles: Poles, lags: number): Float64Array[] {
  const columns: Float64Array[] = [];
  const power = (re: number, im: number, outRe: Float64Array, outIm?: Float64Array) => {
    const [logModulus, angle] = [Math.log(Math.hypot(re, im)), Math.atan2(im, re)];
    let [x, y] = [1, 0];
    for (let k = 1; k < lags; k++) {
      if (k % 64 === 0) {
        const modulus = Math.exp(k * logModulus);
        [x, y] = [modulus * Math.cos(k * angle), modulus * Math.sin(k * angle)];
      } else {
        const next = x * re - y * im;
        y = x * im + y * re;
        x = next;
      }
      outRe[k - 1] = x;
      if (outIm) outIm[k - 1] = y;
    }
  };
  poles.pairs.re.forEach((re, p) => {
    const pair = [new Float64Array(lags - 1), new Float64Array(lags - 1)] as const;
    power(re, poles.pairs.im[p]!, ...pair);
    columns.push(...pair);
  });
  for (const real of poles.reals) {
    const column = new Float64Array(lags - 1);
    power(real, 0, column);
    columns.push(column);
  }
  return columns;
}

/**
 * Least-squares residues of `sequences` (lags 1 …) on the modes of the poles.
 *
 * @param basis the modes, {@link modes}; overwritten
 * @param ridge the rounding that a residue will suffer, relative to itself. Minimises
 *XX
 */
export function fitResidues(basis: Float64Array[], sequences: Columns, ridge: number): Fit {
  const order = basis.length;
  const width = sequences.length;
  const lengths = Float64Array.from(basis, (column) => Math.sqrt(1 + dot(column, column)));
  basis.forEach((column, s) => {
    for (let i = 0; i < column.length; i++) column[i] = column[i]! / lengths[s]!;
  });
  const { q, triangle } = orthogonalise(basis);
  const right = q.map(() => new Float64Array(width));
  const h = new Float64Array(order);
  const projected: Float64Array[] = [];
  sequences.forEach((sequence, j) => {
    transposeTimes(q, sequence, h);
    for (let s = 0; s < order; s++) right[s]![j] = h[s]!;
    projected.push(h.slice());
  });
  const scaled = ridgeSolve(triangle, right, ridge);

  // Residual Φ - Q (triangle c): what c gives up for the ridge is inside the span of Q
  let [lost, penalty] = [0, 0];
  const residual = sequences.map((sequence, j) => {
    const combination = Float64Array.from(triangle, (row, s) => {
      let sum = 0;
      for (let e = s; e < order; e++) sum += row[e]! * scaled[e]![j]!;
      return sum;
    });
    const out = sequence.slice();
    subtractCombination(out, q, combination);
    lost += dot(out, out);
    return out;
  });
  const residues = scaled.map((row, s) => {
    penalty += ridge * ridge * dot(row, row);
    return row.map((x) => x / lengths[s]!);
  });
  return { residues, residual, lost, penalty, cost: lost + penalty, q };
}

/** argmin_c ‖triangle c - right‖² + ridge² ‖c‖², by QR of the stacked system. */
function ridgeSolve(triangle: Float64Array[], right: Float64Array[], ridge: number): Float64Array[] {
  const order = triangle.length;
  if (order === 0 || right[0]!.length === 0) return right;
  const stacked = Matrix.zeros(2 * order, order);
  const target = Matrix.zeros(2 * order, right[0]!.length);
  for (let i = 0; i < order; i++) {
    stacked.setRow(i, Array.from(triangle[i]!));
    stacked.set(order + i, i, ridge);
    target.setRow(i, Array.from(right[i]!));
  }
  const solved = new QrDecomposition(stacked).solve(target);
  return Array.from({ length: order }, (_, s) => Float64Array.from(solved.getRow(s)));
}
