/** What the steps of one reduction share: rounding, ridge, the lags that count, and how poles are started and fitted. */

import type { Kernels } from "../solve/form.ts";
import { type Columns, dot } from "./columns.ts";
import type { Compressed } from "./compress.ts";
import { fitResidues, modes } from "./fit.ts";
import { isStable, LARGEST_MODULUS, type Poles, roundPoles, shiftInvariance, stabilise } from "./poles.ts";
import { type Fitted, refinePoles } from "./refine.ts";

/** What the steps of one reduction share. */
export interface Fitting {
  /** The sequences without the lags at the end that carry nothing. */
  readonly trimmed: Columns;
  readonly largestReal: number;
  readonly ridge: number;
  readonly round: (poles: Poles) => Poles;
  /** Rounds the poles and fits the residues over all lags. */
  readonly solve: (poles: Poles) => Fitted;
  readonly refine: (from: Fitted, iterations: number) => Fitted;
}

export function fittingOf(
  kernels: Kernels,
  compressed: Compressed,
  precision: "float32" | "float64",
  tolerance: number,
): Fitting {
  const { sequences, energy } = compressed;
  const single = precision === "float32";
  // Twice the rounding of a residue (2⁻²⁵, root mean square) to make room for that of the states; measured
  const ridge = single ? 2 ** -24 : 2 ** -46;
  const round = single ? roundPoles : (poles: Poles) => poles;
  const length = lengthWithin(sequences, energy * Math.max(1e-9, tolerance / 1000) ** 2);
  const trimmed = length < kernels.lags - 1 ? sequences.map((s) => s.subarray(0, length)) : sequences;
  const largestReal = decays(sequences) ? LARGEST_MODULUS : 1;
  const solve = (unrounded: Poles): Fitted => {
    const poles = round(unrounded);
    return { poles, fit: fitResidues(modes(poles, kernels.lags), sequences, ridge) };
  };
  const refine = (from: Fitted, iterations: number) => {
    const start = { poles: from.poles, fit: fitResidues(modes(from.poles, length + 1), trimmed, ridge) };
    return solve(refinePoles(start, trimmed, ridge, iterations, largestReal).poles);
  };
  return { trimmed, largestReal, ridge, round, solve, refine };
}

/** Number of lags ≥ 1 after which all sequences together hold no more than `rest` energy; at least 4 where there are. */
function lengthWithin(sequences: Columns, rest: number): number {
  let length = sequences[0]?.length ?? 0;
  for (let tail = 0; length > 4; length--) {
    for (const s of sequences) tail += s[length - 1]! ** 2;
    if (tail > rest) break;
  }
  return length;
}

/** Whether the kernels fall over their last half by more than the slowest stable pole would. */
function decays(sequences: Columns): boolean {
  const m = sequences[0]?.length ?? 0;
  const quarter = m >> 2;
  const energy = (from: number, to: number) =>
    sequences.reduce((sum, s) => {
      const part = s.subarray(from, to);
      return sum + dot(part, part);
    }, 0);
  return (
    quarter === 0 || energy(m - quarter, m) < energy(m - 2 * quarter, m - quarter) * LARGEST_MODULUS ** (2 * quarter)
  );
}

/**
 * Ho–Kalman at an order, the best of a few ways: unstable poles reflected or held; and where poles (nearly) coincide, so
 * that their residues would be large and of opposite sign, the state matrix is perturbed. A perturbation ε moves a pole
 * of multiplicity m by about ε^(1/m) and a simple one by ε: it takes coinciding poles apart and leaves the others alone.
 */
export function startAt(order: number, system: System, fitting: Fitting): Fitted {
  const solve = (poles: Poles, how: "reflect" | "hold") => fitting.solve(stabilise(poles, how, fitting.largestReal));
  const poles = system(order);
  let fitted = solve(poles, "reflect");
  const consider = (other: Fitted) => {
    if (other.fit.cost < fitted.fit.cost) fitted = other;
  };
  if (!isStable(poles)) consider(solve(poles, "hold"));
  // Tried always where it costs nothing to speak of
  if (fitted.fit.penalty > 1e-3 * fitted.fit.cost || order * fitting.trimmed[0]!.length < 4000) {
    for (const spread of SPREADS) consider(solve(system(order, spread), "reflect"));
  }
  return fitted;
}

/** Perturbations of the state matrix, relative to poles of modulus about 1. */
const SPREADS = [1e-6, 1e-5, 1e-4, 1e-3, 1e-2];

/** Order → poles of the truncated system, perturbed by random numbers of size `spread`. */
export type System = (order: number, spread?: number) => Poles;

/** The systems of every order from one set of singular vectors. */
export function systemOf(vectors: Columns): System {
  if (vectors[0]!.length > 1) {
    const system = shiftInvariance(vectors);
    return (order, spread) => system(Math.min(order, vectors.length), spread);
  }
  // One lag beyond lag 0: any pole reaches it
  return () => ({ pairs: { re: new Float64Array(0), im: new Float64Array(0) }, reals: Float64Array.of(0.5) });
}
