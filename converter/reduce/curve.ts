/** What each order would leave of a layer's kernels: the error against the size of the state, before anything is chosen. */
import type { Kernels } from "../solve/form.ts";
import { compress } from "./compress.ts";
import { fittingOf, startAt, systemOf } from "./fitting.ts";
import { dominantSubspace, hankelOf } from "./hankel.ts";
import { orderOfPoles } from "./poles.ts";

/** A state of this order, and the relative error of the kernels that it leaves, Frobenius norm. */
export interface CurvePoint {
  readonly order: number;
  readonly error: number;
}

/** Steps of a third or less. */
const ORDERS = [1, 2, 3, 4, 6, 8, 10, 12, 16, 20, 24, 32, 40, 48, 64, 80, 96, 128] as const;
/** Errors that float32 cannot hold are not looked for. */
const LEAST_ERROR = 1e-7;

/**
 * Ho–Kalman at a ladder of orders, from one subspace and without refinement: what a reduction ends at is as good or better.
 * @param most largest order, and so the cost
 * @returns by order, each with the least error of any order up to it
 */
export function errorCurve(kernels: Kernels, most: number): CurvePoint[] {
  const compressed = compress(kernels, LEAST_ERROR, 2 * most);
  if (compressed.sequences.length === 0 || !Number.isFinite(compressed.energy)) return [];
  const fitting = fittingOf(kernels, compressed, "float32", LEAST_ERROR);
  const hankel = hankelOf(fitting.trimmed);
  const largest = Math.min(most, Math.max(hankel.columns - 1, 1));
  const { vectors } = dominantSubspace(hankel, Math.min(hankel.columns, largest + 12), []);
  const system = systemOf(vectors);
  const points: CurvePoint[] = [];
  let least = Infinity;
  for (const order of ORDERS.filter((each) => each <= largest)) {
    const { poles, fit } = startAt(order, system, fitting);
    least = Math.min(least, Math.sqrt((fit.lost + fit.penalty / 4 + compressed.lost) / (compressed.energy || 1)));
    points.push({ order: Math.min(order, orderOfPoles(poles)), error: least });
    if (least < LEAST_ERROR) break;
  }
  return points;
}
