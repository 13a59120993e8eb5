/** The singular values of a small matrix by rotations from one side (Hestenes 1958): small ones are right relative to themselves. */

import { dot } from "./columns.ts";

/** A = W diag(values) Uᵀ, values falling. */
export interface Singular {
  readonly values: Float64Array;
  /** Columns of W diag(values). */
  readonly scaled: Float64Array[];
  /** Columns of U. */
  readonly right: Float64Array[];
}

/** Columns with less than this between them, relative to their lengths, are orthogonal. */
const ORTHOGONAL = 1e-15;
const MOST_SWEEPS = 40;

/** @param a columns; overwritten */
export function singularOf(a: Float64Array[]): Singular {
  const width = a.length;
  const u = Array.from({ length: width }, (_, j) => {
    const column = new Float64Array(width);
    column[j] = 1;
    return column;
  });
  const squares = Float64Array.from(a, (column) => dot(column, column));
  for (let sweep = 0; sweep < MOST_SWEEPS && turnAll(a, u, squares) > 0; sweep++)
    for (let j = 0; j < width; j++) squares[j] = dot(a[j]!, a[j]!);
  const order = Array.from(squares, (_, j) => j).sort((i, j) => squares[j]! - squares[i]!);
  return {
    values: Float64Array.from(order, (j) => Math.sqrt(dot(a[j]!, a[j]!))),
    scaled: order.map((j) => a[j]!),
    right: order.map((j) => u[j]!),
  };
}

/** Turns every two columns that are not orthogonal. @returns how many */
function turnAll(a: Float64Array[], u: Float64Array[], squares: Float64Array): number {
  let turned = 0;
  for (let i = 0; i < a.length - 1; i++)
    for (let j = i + 1; j < a.length; j++) if (turnTwo(a, u, squares, i, j)) turned++;
  return turned;
}

/** Turns two columns where they are not orthogonal. */
function turnTwo(a: Float64Array[], u: Float64Array[], squares: Float64Array, i: number, j: number): boolean {
  const between = dot(a[i]!, a[j]!);
  const p = squares[i]!;
  const q = squares[j]!;
  if (!(Math.abs(between) > ORTHOGONAL * Math.sqrt(p * q))) return false;
  // the smaller root of t² + 2 zeta t - 1: both columns orthogonal, the turn at most an eighth
  const zeta = (q - p) / (2 * between);
  const t = (zeta < 0 ? -1 : 1) / (Math.abs(zeta) + Math.sqrt(1 + zeta * zeta));
  const c = 1 / Math.sqrt(1 + t * t);
  turn(a[i]!, a[j]!, c, c * t);
  turn(u[i]!, u[j]!, c, c * t);
  squares[i] = p - t * between;
  squares[j] = q + t * between;
  return true;
}

function turn(x: Float64Array, y: Float64Array, c: number, s: number): void {
  for (let i = 0; i < x.length; i++) {
    const xi = x[i]!;
    const yi = y[i]!;
    x[i] = c * xi - s * yi;
    y[i] = s * xi + c * yi;
  }
}
