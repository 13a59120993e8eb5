/** Tall, thin matrices as lists of columns: products and orthonormalisation, blocked by four columns. */

/** A tall matrix, column by column; all columns have the same length. */
export type Columns = readonly Float64Array[];

/** Σ_i a_i b_i. */
export function dot(a: Float64Array, b: Float64Array): number {
  let sum0 = 0;
  let sum1 = 0;
  const even = a.length & ~1;
  for (let i = 0; i < even; i += 2) {
    sum0 += a[i]! * b[i]!;
    sum1 += a[i + 1]! * b[i + 1]!;
  }
  return even < a.length ? sum0 + sum1 + a[even]! * b[even]! : sum0 + sum1;
}

/** Aᵀ v into `out[offset …]`. */
export function transposeTimes(a: Columns, v: Float64Array, out: Float64Array, offset = 0): void {
  let j = 0;
  for (; j + 3 < a.length; j += 4) fourDots(a[j]!, a[j + 1]!, a[j + 2]!, a[j + 3]!, v, out, offset + j);
  for (; j < a.length; j++) out[offset + j] = dot(a[j]!, v);
}

/** The products of four columns with a vector into `out[at …]`. */
function fourDots(
  a0: Float64Array,
  a1: Float64Array,
  a2: Float64Array,
  a3: Float64Array,
  v: Float64Array,
  out: Float64Array,
  at: number,
): void {
  let s0 = 0;
  let s1 = 0;
  let s2 = 0;
  let s3 = 0;
  for (let i = 0; i < v.length; i++) {
    const x = v[i]!;
    s0 += a0[i]! * x;
    s1 += a1[i]! * x;
    s2 += a2[i]! * x;
    s3 += a3[i]! * x;
  }
  out[at] = s0;
  out[at + 1] = s1;
  out[at + 2] = s2;
  out[at + 3] = s3;
}

/** v -= A h, in place. */
export function subtractCombination(v: Float64Array, a: Columns, h: Float64Array): void {
  let j = 0;
  for (; j + 3 < a.length; j += 4) subtractFour(v, a[j]!, a[j + 1]!, a[j + 2]!, a[j + 3]!, h, j);
  for (; j < a.length; j++) subtractOne(v, a[j]!, h[j]!);
}

/** v -= four columns times h[at …]. */
function subtractFour(
  v: Float64Array,
  a0: Float64Array,
  a1: Float64Array,
  a2: Float64Array,
  a3: Float64Array,
  h: Float64Array,
  at: number,
): void {
  const h0 = h[at]!;
  const h1 = h[at + 1]!;
  const h2 = h[at + 2]!;
  const h3 = h[at + 3]!;
  for (let i = 0; i < v.length; i++) v[i] = v[i]! - (a0[i]! * h0 + a1[i]! * h1 + (a2[i]! * h2 + a3[i]! * h3));
}

function subtractOne(v: Float64Array, column: Float64Array, factor: number): void {
  for (let i = 0; i < v.length; i++) v[i] = v[i]! - column[i]! * factor;
}

/** Aᵀ B, row by row: [columns of A][columns of B]. */
export function gram(a: Columns, b: Columns): Float64Array[] {
  const byColumn = b.map((column) => {
    const out = new Float64Array(a.length);
    transposeTimes(a, column, out);
    return out;
  });
  return a.map((_, i) => Float64Array.from(byColumn, (column) => column[i]!));
}

/** A M, where M is given by its entries `m(row, column)` and has `width` columns. */
export function timesSmall(a: Columns, width: number, m: (row: number, column: number) => number): Float64Array[] {
  const n = a[0]?.length ?? 0;
  return Array.from({ length: width }, (_, j) => {
    const column = new Float64Array(n);
    subtractCombination(
      column,
      a,
      Float64Array.from(a, (_, i) => -m(i, j)),
    );
    return column;
  });
}

/** An orthonormal basis Q of the columns of A and the upper triangle with A = Q · triangle. */
export interface Orthogonal {
  readonly q: Float64Array[];
  /** triangle[i][j], zero for i > j. */
  readonly triangle: Float64Array[];
}

/**
 * QR by Gram–Schmidt, each column orthogonalised again until that no longer shortens it (Daniel et al. 1976). A column
 * that depends on those before it to within `dependent` of its length gets a zero column in Q and a zero on the diagonal.
 *
 * @param a is overwritten: its columns become those of Q.
 */
export function orthogonalise(a: Float64Array[], dependent = 1e-14): Orthogonal {
  const width = a.length;
  const triangle = Array.from({ length: width }, () => new Float64Array(width));
  const h = new Float64Array(width);
  for (let j = 0; j < width; j++) {
    const column = a[j]!;
    const before = a.slice(0, j);
    const length = Math.sqrt(dot(column, column));
    let rest = length;
    for (let pass = 0, fell = true; pass < 5 && fell && rest > dependent * length; pass++) {
      transposeTimes(before, column, h);
      subtractCombination(column, before, h);
      for (let i = 0; i < j; i++) triangle[i]![j] = triangle[i]![j]! + h[i]!;
      const left = Math.sqrt(dot(column, column));
      fell = left < 0.7 * rest;
      rest = left;
    }
    if (!(rest > dependent * length)) {
      column.fill(0);
      continue;
    }
    triangle[j]![j] = rest;
    for (let i = 0; i < column.length; i++) column[i] = column[i]! / rest;
  }
  return { q: a, triangle };
}
