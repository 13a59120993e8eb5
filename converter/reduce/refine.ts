/** Poles improved by variable projection: Levenberg–Marquardt on the poles, the residues solved for at every step. */

import { LuDecomposition, Matrix } from "ml-matrix";
import { type Columns, gram, subtractCombination, transposeTimes } from "./columns.ts";
import { type Fit, fitResidues, modes } from "./fit.ts";
import { LARGEST_MODULUS, type Poles } from "./poles.ts";

/** One term of the derivative with respect to a pole parameter: sign · (k · mode `mode`) ⊗ (residue row `residue`). */
interface Term {
  readonly mode: number;
  readonly residue: number;
  readonly sign: number;
}

/** Poles with their fit. */
export interface Fitted {
  readonly poles: Poles;
  readonly fit: Fit;
}

/**
 * Minimises the cost of {@link fitResidues} over the poles λ = exp(α + iω) (Golub & Pereyra 1973, with Kaufman's
 * Jacobian: the derivatives of the modes, projected on the complement of the modes). ∂λ^k/∂α = k λ^k and
 * ∂λ^k/∂ω = i k λ^k. Every accepted step lowers the cost, so the result is never worse than the start.
 *
 * @param iterations at most this many steps; stops earlier when a step gains less than 0.02 % of the cost
 * @param largestReal bound for positive real poles; pairs and negative poles stay at or below LARGEST_MODULUS
 */
export function refinePoles(
  start: Fitted,
  sequences: Columns,
  ridge: number,
  iterations: number,
  largestReal = LARGEST_MODULUS,
): Fitted {
  const lags = sequences[0]!.length + 1;
  let current = start;
  let damping = 1e-3;
  for (let iteration = 0; iteration < iterations; iteration++) {
    const { matrix, gradient } = normalEquations(current);
    let accepted: Fitted | undefined;
    for (let attempt = 0; attempt < 6 && !accepted; attempt++) {
      const poles = move(current.poles, solveDamped(matrix, gradient, damping), largestReal);
      const fit = fitResidues(modes(poles, lags), sequences, ridge);
      if (fit.cost < current.fit.cost) accepted = { poles, fit };
      else damping *= 5;
    }
    if (!accepted) break;
    damping = Math.max(damping / 6, 1e-12);
    const gain = 1 - accepted.fit.cost / current.fit.cost;
    current = accepted;
    if (gain < 2e-4) break;
  }
  return current;
}

/** JᵀJ and Jᵀ residual of the projected residual; the parameters are α, ω of each pair, then α of each real pole. */
function normalEquations({ poles, fit }: Fitted): { matrix: Float64Array[]; gradient: Float64Array } {
  const { q, residual, residues } = fit;
  const slopes = modes(poles, residual[0]!.length + 1);
  const h = new Float64Array(q.length);
  for (const slope of slopes) {
    for (let i = 0; i < slope.length; i++) slope[i] = slope[i]! * (i + 1);
    transposeTimes(q, slope, h);
    subtractCombination(slope, q, h);
  }
  const slopeGram = gram(slopes, slopes);
  const slopeResidual = gram(slopes, residual);
  const residueGram = residues.map((a) => residues.map((b) => a.reduce((sum, x, j) => sum + x * b[j]!, 0)));
  const terms = parameterTerms(poles);
  const matrix = terms.map((left) =>
    Float64Array.from(terms, (right) => {
      let sum = 0;
      for (const a of left) {
        for (const b of right)
          sum += a.sign * b.sign * slopeGram[a.mode]![b.mode]! * residueGram[a.residue]![b.residue]!;
      }
      return sum;
    }),
  );
  const gradient = Float64Array.from(terms, (parts) =>
    parts.reduce(
      (sum, { mode, residue, sign }) =>
        sum + sign * slopeResidual[mode]!.reduce((s, x, j) => s + x * residues[residue]![j]!, 0),
      0,
    ),
  );
  return { matrix, gradient };
}

function parameterTerms(poles: Poles): Term[][] {
  const terms: Term[][] = [];
  const pairs = poles.pairs.re.length;
  for (let p = 0; p < pairs; p++) {
    const [re, im] = [2 * p, 2 * p + 1];
    terms.push([
      { mode: re, residue: re, sign: 1 },
      { mode: im, residue: im, sign: 1 },
    ]);
    terms.push([
      { mode: im, residue: re, sign: -1 },
      { mode: re, residue: im, sign: 1 },
    ]);
  }
  for (let r = 0; r < poles.reals.length; r++) terms.push([{ mode: 2 * pairs + r, residue: 2 * pairs + r, sign: 1 }]);
  return terms;
}

/** (JᵀJ + damping diag JᵀJ) x = gradient, scaled to a unit diagonal. */
function solveDamped(matrix: Float64Array[], gradient: Float64Array, damping: number): Float64Array {
  const size = gradient.length;
  const diagonal = Float64Array.from(matrix, (row, i) => Math.sqrt(Math.max(row[i]!, 0)));
  const inverse = diagonal.map((d) => (d > 0 ? 1 / d : 0));
  const scaled = Matrix.zeros(size, size);
  for (let i = 0; i < size; i++) {
    for (let j = 0; j < size; j++) scaled.set(i, j, matrix[i]![j]! * inverse[i]! * inverse[j]!);
    scaled.set(i, i, 1 + damping);
  }
  const right = Matrix.columnVector(gradient.map((g, i) => g * inverse[i]!));
  const solved = new LuDecomposition(scaled).solve(right);
  return Float64Array.from({ length: size }, (_, i) => solved.get(i, 0) * inverse[i]!);
}

/** Poles moved by a step in (α, ω), kept stable and pairs kept in the upper half plane. */
function move(poles: Poles, step: Float64Array, largestReal: number): Poles {
  const pairs = poles.pairs.re.length;
  const limit = (factor: number) => Math.exp(Math.max(-2, Math.min(2, factor)));
  const [re, im] = [new Float64Array(pairs), new Float64Array(pairs)];
  for (let p = 0; p < pairs; p++) {
    const [x, y] = [poles.pairs.re[p]!, poles.pairs.im[p]!];
    const modulus = Math.min(Math.hypot(x, y) * limit(step[2 * p]!), LARGEST_MODULUS);
    const angle = Math.min(Math.max(Math.atan2(y, x) + step[2 * p + 1]!, 1e-9), Math.PI - 1e-9);
    re[p] = modulus * Math.cos(angle);
    im[p] = modulus * Math.sin(angle);
  }
  const reals = poles.reals.map((real, r) => {
    const moved = real * limit(step[2 * pairs + r]!);
    return Math.max(Math.min(moved, largestReal), -LARGEST_MODULUS);
  });
  return { pairs: { re, im }, reals };
}
