/**
 * The eigenvalues of a small real matrix, without its vectors: reflections to Hessenberg form, then Francis' double shifts
 * (EISPACK's orthes and hqr; Golub & Van Loan, §7.4 and §7.5). Flat arrays and small loops: a library's, which makes the
 * vectors as well, was compiled for longer than it ran.
 */

/** Parts of the eigenvalues; conjugate pairs stand side by side, the positive imaginary part first. */
export interface Eigenvalues {
  readonly re: Float64Array;
  readonly im: Float64Array;
}

const UNIT = 2 ** -52;
/** Double shifts for one eigenvalue; a dozen is many. */
const MOST_SHIFTS = 300;

/**
 * @param a [size × size], row by row; overwritten
 * @returns NaN for what did not converge, as for a matrix with a NaN
 */
export function eigenvaluesOf(a: Float64Array, size: number): Eigenvalues {
  toHessenberg(a, size);
  const [re, im] = [new Float64Array(size).fill(Number.NaN), new Float64Array(size).fill(Number.NaN)];
  const norm = a.reduce((sum, x) => sum + Math.abs(x), 0);
  let shifted = 0;
  for (let last = size - 1, shifts = 0; last >= 0 && shifts < MOST_SHIFTS; ) {
    const first = splitAbove(a, size, last, norm);
    if (first >= last - 1) {
      if (first === last) [re[last], im[last]] = [a[last * size + last]! + shifted, 0];
      else pairAt(a, size, last - 1, shifted, re, im);
      last = first - 1;
      shifts = 0;
      continue;
    }
    shifts++;
    // what goes round in a circle is shifted from without
    const isOdd = shifts % 10 === 0;
    const [corner, side] = [a[last * size + last]!, Math.abs(a[last * size + last - 1]!)];
    if (isOdd) {
      for (let i = 0; i <= last; i++) a[i * size + i]! -= corner;
      shifted += corner;
    }
    const odd = side + Math.abs(a[(last - 1) * size + last - 2]!);
    const x = isOdd ? 0.75 * odd : corner;
    const y = isOdd ? x : a[(last - 1) * size + last - 1]!;
    const w = isOdd ? -0.4375 * odd * odd : a[last * size + last - 1]! * a[(last - 1) * size + last]!;
    doubleShift(a, size, first, last, x, y, w);
  }
  return { re, im };
}

/** Householder reflections from both sides, until all below the first subdiagonal is 0. */
function toHessenberg(a: Float64Array, size: number): void {
  const v = new Float64Array(size);
  for (let m = 1; m < size - 1; m++) {
    let square = 0;
    for (let i = m; i < size; i++) {
      v[i] = a[i * size + m - 1]!;
      square += v[i]! * v[i]!;
    }
    const alpha = v[m]! > 0 ? -Math.sqrt(square) : Math.sqrt(square);
    // ‖v‖² / 2 of v = x - alpha e
    const half = square - v[m]! * alpha;
    if (!(half > 0)) continue;
    v[m]! -= alpha;
    reflect(a, size, m, v, half);
    a[m * size + m - 1] = alpha;
    for (let i = m + 1; i < size; i++) a[i * size + m - 1] = 0;
  }
}

/** (1 - v vᵀ / half) A (1 - v vᵀ / half), of the columns from m on and of all rows. */
function reflect(a: Float64Array, size: number, m: number, v: Float64Array, half: number): void {
  for (let j = m; j < size; j++) {
    let sum = 0;
    for (let i = m; i < size; i++) sum += v[i]! * a[i * size + j]!;
    sum /= half;
    for (let i = m; i < size; i++) a[i * size + j]! -= sum * v[i]!;
  }
  for (let i = 0; i < size; i++) {
    let sum = 0;
    for (let j = m; j < size; j++) sum += v[j]! * a[i * size + j]!;
    sum /= half;
    for (let j = m; j < size; j++) a[i * size + j]! -= sum * v[j]!;
  }
}

/** The first row of the block that ends at `last` and does not fall apart. */
function splitAbove(a: Float64Array, size: number, last: number, norm: number): number {
  for (let l = last; l > 0; l--) {
    const beside = Math.abs(a[(l - 1) * size + l - 1]!) + Math.abs(a[l * size + l]!);
    if (Math.abs(a[l * size + l - 1]!) <= UNIT * (beside || norm)) return l;
  }
  return 0;
}

/** Both eigenvalues of the block of two rows at k. */
function pairAt(a: Float64Array, size: number, k: number, shifted: number, re: Float64Array, im: Float64Array): void {
  const [here, below] = [k * size + k, (k + 1) * size + k];
  const corner = a[below + 1]!;
  const w = a[below]! * a[here + 1]!;
  const p = (a[here]! - corner) / 2;
  const q = p * p + w;
  const root = Math.sqrt(Math.abs(q));
  if (q >= 0) {
    const z = p >= 0 ? p + root : p - root;
    re[k] = corner + z + shifted;
    re[k + 1] = z === 0 ? re[k]! : corner - w / z + shifted;
    im[k] = im[k + 1] = 0;
  } else {
    re[k] = re[k + 1] = corner + p + shifted;
    im[k] = root;
    im[k + 1] = -root;
  }
}

/** One step of Francis on the block from `first` to `last`, three rows at least; shifts with the sum x + y and the product xy - w. */
function doubleShift(
  a: Float64Array,
  size: number,
  first: number,
  last: number,
  x: number,
  y: number,
  w: number,
): void {
  const at = (i: number, j: number) => a[i * size + j]!;
  // where two subdiagonals in a row are small, the step begins there
  let [m, p, q, r] = [last - 2, 0, 0, 0];
  for (; ; m--) {
    const z = at(m, m);
    const [right, left] = [x - z, y - z];
    p = (right * left - w) / at(m + 1, m) + at(m, m + 1);
    q = at(m + 1, m + 1) - z - right - left;
    r = at(m + 2, m + 1);
    const scale = Math.abs(p) + Math.abs(q) + Math.abs(r);
    [p, q, r] = [p / scale, q / scale, r / scale];
    if (m === first) break;
    const around = Math.abs(at(m - 1, m - 1)) + Math.abs(z) + Math.abs(at(m + 1, m + 1));
    if (Math.abs(at(m, m - 1)) * (Math.abs(q) + Math.abs(r)) < UNIT * Math.abs(p) * around) break;
  }
  for (let i = m + 2; i <= last; i++) {
    a[i * size + i - 2] = 0;
    if (i > m + 2) a[i * size + i - 3] = 0;
  }
  for (let k = m; k < last; k++) {
    const rows = k === last - 1 ? 2 : 3;
    let scale = 1;
    if (k > m) {
      [p, q, r] = [at(k, k - 1), at(k + 1, k - 1), rows === 3 ? at(k + 2, k - 1) : 0];
      scale = Math.abs(p) + Math.abs(q) + Math.abs(r);
      if (scale === 0) continue;
      [p, q, r] = [p / scale, q / scale, r / scale];
    }
    const s = (p < 0 ? -1 : 1) * Math.sqrt(p * p + q * q + r * r);
    if (k > m) a[k * size + k - 1] = -s * scale;
    else if (first < m) a[k * size + k - 1]! *= -1;
    p += s;
    const [u0, u1, u2] = [p / s, q / s, r / s];
    const [v1, v2] = [q / p, r / p];
    if (rows === 3) threeRows(a, size, k, first, last, u0, u1, u2, v1, v2);
    else twoRows(a, size, k, first, last, u0, u1, v1);
  }
}

/** The reflection 1 - (u₀, u₁, u₂)ᵀ (1, v₁, v₂) from both sides, of rows and columns k to k + 2 within the block. */
function threeRows(
  a: Float64Array,
  size: number,
  k: number,
  first: number,
  last: number,
  u0: number,
  u1: number,
  u2: number,
  v1: number,
  v2: number,
): void {
  const [row0, row1, row2] = [k * size, (k + 1) * size, (k + 2) * size];
  for (let j = k; j <= last; j++) {
    const sum = a[row0 + j]! + v1 * a[row1 + j]! + v2 * a[row2 + j]!;
    a[row0 + j]! -= sum * u0;
    a[row1 + j]! -= sum * u1;
    a[row2 + j]! -= sum * u2;
  }
  const end = Math.min(last, k + 3);
  for (let i = first, at = first * size + k; i <= end; i++, at += size) {
    const sum = u0 * a[at]! + u1 * a[at + 1]! + u2 * a[at + 2]!;
    a[at]! -= sum;
    a[at + 1]! -= sum * v1;
    a[at + 2]! -= sum * v2;
  }
}

/** The same of two. */
function twoRows(
  a: Float64Array,
  size: number,
  k: number,
  first: number,
  last: number,
  u0: number,
  u1: number,
  v1: number,
): void {
  const [row0, row1] = [k * size, (k + 1) * size];
  for (let j = k; j <= last; j++) {
    const sum = a[row0 + j]! + v1 * a[row1 + j]!;
    a[row0 + j]! -= sum * u0;
    a[row1 + j]! -= sum * u1;
  }
  for (let i = first, at = first * size + k; i <= last; i++, at += size) {
    const sum = u0 * a[at]! + u1 * a[at + 1]!;
    a[at]! -= sum;
    a[at + 1]! -= sum * v1;
  }
}
