/** Symbolic integers made of the batch size and the sequence length: a + b·batch + c·time + d·batch·time. */

export interface Dim {
  readonly constant: number;
  readonly batch: number;
  readonly time: number;
  readonly product: number;
}

export const BATCH: Dim = { constant: 0, batch: 1, time: 0, product: 0 };
export const TIME: Dim = { constant: 0, batch: 0, time: 1, product: 0 };

export const dim = (constant: number): Dim => ({ constant, batch: 0, time: 0, product: 0 });

export const isConstant = (d: Dim): boolean => d.batch === 0 && d.time === 0 && d.product === 0;

export const equal = (a: Dim, b: Dim): boolean =>
  a.constant === b.constant && a.batch === b.batch && a.time === b.time && a.product === b.product;

export function add(a: Dim, b: Dim): Dim {
  return {
    constant: a.constant + b.constant,
    batch: a.batch + b.batch,
    time: a.time + b.time,
    product: a.product + b.product,
  };
}

export const scale = (a: Dim, by: number): Dim => ({
  constant: a.constant * by,
  batch: a.batch * by,
  time: a.time * by,
  product: a.product * by,
});

export const subtract = (a: Dim, b: Dim): Dim => add(a, scale(b, -1));

/** The product, where it is still of this form. */
export function multiply(a: Dim, b: Dim): Dim | undefined {
  if (isConstant(a)) return scale(b, a.constant);
  if (isConstant(b)) return scale(a, b.constant);
  const squares = a.batch * b.batch || a.time * b.time || a.product || b.product;
  if (squares) return undefined;
  return {
    constant: a.constant * b.constant,
    batch: a.constant * b.batch + a.batch * b.constant,
    time: a.constant * b.time + a.time * b.constant,
    product: a.batch * b.time + a.time * b.batch,
  };
}

/** The quotient, where the division leaves no remainder for any batch size and length. */
export function divide(a: Dim, b: Dim): Dim | undefined {
  if (equal(a, b) && !(isConstant(a) && a.constant === 0)) return dim(1);
  if (!isConstant(b) || b.constant === 0) return undefined;
  const quotient = scale(a, 1 / b.constant);
  const whole = [quotient.constant, quotient.batch, quotient.time, quotient.product].every(Number.isInteger);
  return whole ? quotient : undefined;
}

export const evaluate = (d: Dim, sizes: { readonly batch: number; readonly time: number }): number =>
  d.constant + d.batch * sizes.batch + d.time * sizes.time + d.product * sizes.batch * sizes.time;
