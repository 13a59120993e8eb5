/** Eigenvalues of a symmetric tridiagonal matrix, and eigenvectors where they are asked for: they are what costs. */

const MOST_SWEEPS = 60;

/** How the basis turns: rows `i` and `i + 1` by an angle with this cosine and sine. */
type Turn = (i: number, cosine: number, sine: number) => void;

/**
 * All eigenvalues, in no order: implicit QL (Golub & Van Loan, Matrix Computations, §8.3), O(n²).
 * @param beside the n - 1 numbers beside the diagonal
 * @param turn is told of every rotation
 */
export function tridiagonalValues(diagonal: ArrayLike<number>, beside: ArrayLike<number>, turn?: Turn): Float64Array {
  const n = diagonal.length;
  const d = Float64Array.from(diagonal);
  const e = new Float64Array(n);
  for (let i = 0; i + 1 < n; i++) e[i] = beside[i]!;
  let size = 0;
  for (let l = 0; l < n; l++) {
    size = Math.max(size, Math.abs(d[l]!) + Math.abs(e[l]!));
    // NaN would go on for ever
    for (let sweep = 0; sweep < MOST_SWEEPS; sweep++) {
      let m = l;
      while (m + 1 < n && !(Math.abs(e[m]!) <= Number.EPSILON * size)) m++;
      if (m === l) break;
      sweepUp(d, e, l, m, turn);
    }
  }
  return d;
}

/** One QL sweep with Wilkinson's shift over the block from l to m. */
function sweepUp(d: Float64Array, e: Float64Array, l: number, m: number, turn: Turn | undefined): void {
  const half = (d[l + 1]! - d[l]!) / (2 * e[l]!);
  const root = Math.sqrt(half * half + 1);
  let g = d[m]! - d[l]! + e[l]! / (half + (half < 0 ? -root : root));
  let [sine, cosine, moved] = [1, 1, 0];
  for (let i = m - 1; i >= l; i--) {
    const [f, b] = [sine * e[i]!, cosine * e[i]!];
    const length = Math.sqrt(f * f + g * g);
    e[i + 1] = length;
    // the block falls apart here
    if (length === 0) {
      d[i + 1] = d[i + 1]! - moved;
      e[m] = 0;
      return;
    }
    sine = f / length;
    cosine = g / length;
    g = d[i + 1]! - moved;
    const r = (d[i]! - g) * sine + 2 * cosine * b;
    moved = sine * r;
    d[i + 1] = g + moved;
    g = cosine * r - b;
    turn?.(i, cosine, sine);
  }
  d[l] = d[l]! - moved;
  e[l] = g;
  e[m] = 0;
}

/** The eigenvectors in the order of {@link tridiagonalValues}, each an array: O(n³). */
export function tridiagonalVectors(diagonal: ArrayLike<number>, beside: ArrayLike<number>): Float64Array[] {
  const n = diagonal.length;
  const vectors = Array.from({ length: n }, (_, i) => {
    const unit = new Float64Array(n);
    unit[i] = 1;
    return unit;
  });
  tridiagonalValues(diagonal, beside, (i, cosine, sine) => {
    const [a, b] = [vectors[i]!, vectors[i + 1]!];
    for (let k = 0; k < n; k++) {
      const f = b[k]!;
      b[k] = sine * a[k]! + cosine * f;
      a[k] = cosine * a[k]! - sine * f;
    }
  });
  return vectors;
}
