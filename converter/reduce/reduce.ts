/** A layer's kernels → the smallest set of poles shared by its channels that is within a tolerance; docs/parts/reduction.md. */

import { LongConvError } from "../../src/errors.ts";
import type { Kernels, Modal } from "../solve/form.ts";
import type { Columns } from "./columns.ts";
import { type Compressed, compress } from "./compress.ts";
import type { Fit } from "./fit.ts";
import { type Fitting, fittingOf, startAt, systemOf } from "./fitting.ts";
import { modalFromPoles } from "./from-poles.ts";
import { dominantSubspace, hankelOf } from "./hankel.ts";
import { orderOfPoles, type Poles } from "./poles.ts";
import type { Fitted } from "./refine.ts";
import { best, type Search, smallest, stillFalls } from "./search.ts";

/** A given order, or the smallest order within a relative error (Frobenius norm over lags and channels). */
export type Target =
  | { readonly order: number }
  | {
      readonly tolerance: number;
      /** Give up above this order; default 256. */
      readonly maxOrder?: number | undefined;
    };

/** How to reduce. */
export interface ReduceOptions {
  /** What poles and residues are rounded to, because the converted graph holds them so; default "float32". */
  readonly precision?: "float32" | "float64" | undefined;
  /** Steps of {@link refinePoles} at most; 0 is Ho–Kalman alone; default 20. */
  readonly refinements?: number | undefined;
}

/** A compact state space model of a layer, or the best attempt at one. */
export interface Reduction {
  /** Stable; already rounded to the precision asked for. Its order is at least 1. */
  readonly modal: Modal;
  readonly order: number;
  /** ‖T - T̂‖ / ‖T‖ in the Frobenius norm over all lags and channels, rounding of poles and residues included. */
  readonly error: number;
  /** Whether `error` is within the tolerance; always true for a given order. */
  readonly met: boolean;
  /** Why there is no compact state, in a sentence; only where `met` is false. */
  readonly reason: string | undefined;
  /** Hankel singular values of the layer as far as computed, falling. */
  readonly singularValues: Float64Array;
  /** Orders tried and their errors, by order; before refinement unless `refined`. */
  readonly curve: readonly { readonly order: number; readonly error: number; readonly refined: boolean }[];
  /** Largest Σ_s |residue_s| / max_k |t_k| over the channels: how far the modes cancel each other. */
  readonly gain: number;
}

const DEFAULT_MAX_ORDER = 256;

/** Singular values of the kernels below this share of their norm are float32 rounding and not worth a state. */
const ROUNDING = 3e-9;

/**
 * Reduces a layer's kernels to a state space model with shared poles: compress the channels to their numerical rank,
 * Ho–Kalman (shift invariance on the dominant right singular vectors of the Hankel matrix, which is never formed),
 * stabilise, refine by variable projection, fit the residues. Cost for m lags, C channels, k sequences and order R:
 * O(m C k + k R m log m + m R²) time, O(m (k + R)) memory beside the kernels.
 *
 * @param kernels finite numbers at any scale; lag 0 is kept apart as the direct term and exact up to rounding
 * @throws LongConvError "no-reduction" where the kernels hold NaN or infinity, or the order asked for is not possible
 */
export function reduceKernels(kernels: Kernels, target: Target, options: ReduceOptions = {}): Reduction {
  const { refinements = 20, precision = "float32" } = options;
  const wanted = wantedOf(target);
  const { given, tolerance, maxOrder } = wanted;
  const compressed = compress(kernels, Math.max(ROUNDING, tolerance / 100), 2 * maxOrder);
  if (!Number.isFinite(compressed.energy)) {
    throw new LongConvError("no-reduction", "the kernels hold NaN or infinity");
  }
  const fitting = fittingOf(kernels, compressed, precision, tolerance);
  const curve: Attempt[] = [];
  const { poles, singularValues, reason } = findPoles(compressed, fitting, wanted, refinements, curve);
  const { modal, error, gain } = modalFromPoles(kernels, compressed, fitting, poles);
  const met = given !== undefined || error <= tolerance;
  return {
    modal,
    order: orderOfPoles(poles),
    error,
    met,
    reason: met ? undefined : (reason ?? `the error stays at ${error.toExponential(1)}`),
    singularValues,
    curve: curve.sort((a, b) => a.order - b.order),
    gain,
  };
}

/** A target with its defaults. */
interface Wanted {
  /** The order, where one is asked for instead of a tolerance. */
  readonly given: number | undefined;
  readonly tolerance: number;
  readonly maxOrder: number;
}

function wantedOf(target: Target): Wanted {
  const given = "order" in target ? target.order : undefined;
  const tolerance = "tolerance" in target ? target.tolerance : 0;
  const maxOrder = "order" in target ? target.order : (target.maxOrder ?? DEFAULT_MAX_ORDER);
  if (!(Number.isInteger(maxOrder) && maxOrder >= 1) || !(tolerance >= 0)) {
    throw new LongConvError("no-reduction", `an order is a whole number above 0, a tolerance at least 0`);
  }
  return { given, tolerance, maxOrder };
}

type Attempt = Reduction["curve"][number];

interface FoundPoles {
  readonly poles: Poles;
  readonly singularValues: Float64Array;
  /** Why they are not within the tolerance, where they are not. */
  readonly reason?: string;
}

/**
 * The poles of the order asked for, or of the smallest order within the tolerance: the subspace is widened as long as that helps.
 * @param curve what was tried is added to it
 */
function findPoles(
  compressed: Compressed,
  fitting: Fitting,
  { given, tolerance, maxOrder }: Wanted,
  refinements: number,
  curve: Attempt[],
): FoundPoles {
  if (compressed.sequences.length === 0) return { poles: NO_POLES, singularValues: new Float64Array(0) };
  const leastOrder = rankWithin(compressed, tolerance);
  if (given === undefined && leastOrder > maxOrder) {
    const reason = `the kernels span more than ${maxOrder} dimensions, so no ${maxOrder} shared poles come within ${tolerance}`;
    return { poles: NO_POLES, singularValues: compressed.singularValues, reason };
  }
  // A residue's own rounding, 2⁻²⁵ of itself (root mean square), is half of what the ridge reckons with
  const relative = (fit: Fit) => Math.sqrt((fit.lost + fit.penalty / 4 + compressed.lost) / (compressed.energy || 1));
  const record = ({ poles, fit }: Fitted, refined: boolean) =>
    curve.push({ order: orderOfPoles(poles), error: relative(fit), refined });
  const improve = (from: Fitted) => {
    if (refinements === 0) return from;
    const refined = fitting.refine(from, refinements);
    const better = refined.fit.cost < from.fit.cost ? refined : from;
    record(better, true);
    return better;
  };
  const hankel = hankelOf(fitting.trimmed);
  const most = Math.min(maxOrder, Math.max(hankel.columns - 1, 1));
  let limit = given === undefined ? Math.min(most, Math.max(48, leastOrder + 16)) : most;
  for (let known: Columns = [], tried: Fitted[] = []; ; limit = Math.min(2 * limit, most)) {
    const { vectors, singularValues } = dominantSubspace(hankel, Math.min(hankel.columns, limit + 12), known);
    known = vectors;
    const system = systemOf(known);
    const start = (order: number) => {
      const fitted = startAt(order, system, fitting);
      record(fitted, false);
      return fitted;
    };
    if (given !== undefined) return { poles: best(limit, start, improve).poles, singularValues };
    const search: Search = {
      start,
      improve,
      within: (fitted) => relative(fitted.fit) <= tolerance,
      near: (fitted) => relative(fitted.fit) <= 4 * tolerance,
    };
    const from = Math.max(Math.min(leastOrder, limit), 1, ...tried.map(({ poles }) => orderOfPoles(poles) + 1));
    const found = smallest(search, from, limit, tried);
    if (found) return { poles: found.poles, singularValues };
    if (limit < most && stillFalls(tried, limit)) continue;
    const { poles, fit } = tried.reduce((a, b) => (b.fit.cost < a.fit.cost ? b : a));
    const reason = `up to ${limit} shared poles leave a relative error of ${relative(fit).toExponential(1)}`;
    return { poles, singularValues, reason };
  }
}

/** What stands for kernels without any lag beyond lag 0. */
const NO_POLES: Poles = { pairs: { re: new Float64Array(0), im: new Float64Array(0) }, reals: new Float64Array(1) };

/** Least number of dimensions that hold the kernels within the tolerance: a lower bound for the order (Eckart–Young). */
function rankWithin({ singularValues, energy, lost }: Compressed, tolerance: number): number {
  let rest = lost;
  for (let j = singularValues.length - 1; j >= 0; j--) {
    rest += singularValues[j]! ** 2;
    if (rest > tolerance ** 2 * energy) return j + 1;
  }
  return 0;
}
