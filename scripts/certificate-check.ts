/** Measures, by other means than the certificate's own, everything that a certificate claims; lists what fails. */

import { type Certificate, certify } from "../converter/certify/certify.ts";
import { roundoffBound } from "../converter/certify/roundoff.ts";
import { type Kernels, type Modal, orderOf } from "../converter/form.ts";
import type { Reduction } from "../converter/reduce/reduce.ts";
import { uniform } from "../src/random.ts";

/** One channel's recurrence, step by step, in float64 or (every operation rounded) float32. */
export function recurrence(modal: Modal, channel: number, precision: "float32" | "float64"): (x: number) => number {
  const f = precision === "float32" ? Math.fround : (x: number) => x;
  const { channels, pairs, reals } = modal;
  const count = pairs.re.length;
  const [re, im, real] = [pairs.re.map(f), pairs.im.map(f), reals.map(f)];
  const residues = Float64Array.from({ length: orderOf(modal) }, (_, s) => f(modal.residues[s * channels + channel]!));
  const direct = f(modal.direct[channel]!);
  const u = new Float64Array(orderOf(modal));
  return (x) => {
    for (let p = 0; p < count; p++) {
      const [a, b] = [u[2 * p]!, u[2 * p + 1]!];
      u[2 * p] = f(f(f(re[p]! * a) - f(im[p]! * b)) + x);
      u[2 * p + 1] = f(f(im[p]! * a) + f(re[p]! * b));
    }
    for (let r = 0; r < real.length; r++) u[2 * count + r] = f(f(real[r]! * u[2 * count + r]!) + x);
    let y = f(direct * x);
    for (let s = 0; s < u.length; s++) y = f(y + f(residues[s]! * u[s]!));
    return y;
  };
}

/** What is known of one reduction, and where a claim that fails is noted. */
interface Trial {
  readonly kernels: Kernels;
  readonly modal: Modal;
  readonly certificate: Certificate;
  /** Steps that the certificate's bound of rounding is for. */
  readonly steps: number;
  /** Rounding of the float64 recurrence that measures, by channel: its unit is 2⁻⁵³ where the bound's is 2⁻²⁴. */
  readonly slack: Float64Array;
  readonly next: () => number;
  claim(name: string, measured: number, bound: number): void;
}

/**
 * Checks one reduction against its certificate: stability, no NaN, error norms against a recurrence, the frequency
 * response at random frequencies, the tail, the worst-case input, and float32 against float64.
 *
 * @returns a sentence for each claim that fails
 */
export function failuresOf(kernels: Kernels, { modal, error }: Reduction, seed: number): string[] {
  const failures: string[] = [];
  const claim = (name: string, measured: number, bound: number) => {
    if (!(measured <= bound)) failures.push(`${name}: measured ${measured}, certified ${bound}`);
  };
  const { lags, channels } = kernels;
  const steps = 2 * lags + 50;
  const certificate = certify(kernels, modal, { steps });
  const slack = roundoffBound(modal, lags, 1).map((bound) => bound * 2 ** -28);
  const trial: Trial = { kernels, modal, certificate, steps, slack, next: uniform(seed), claim };
  checkNumbers(trial, failures);
  checkStability(trial);
  let [square, whole] = [0, 0];
  for (let c = 0; c < channels; c++) {
    const errors = checkNorms(trial, c);
    checkFrequencies(trial, c, errors);
    checkOutputs(trial, c, errors);
    square += Math.hypot(...errors) ** 2;
    whole += errors.reduce((sum, _, k) => sum + kernels.taps[k * channels + c]! ** 2, 0);
  }
  const measured = Math.sqrt(square / (whole || 1));
  claim("layer", measured, certificate.layer.relative * (1 + 1e-9) + 1e-12);
  claim("reduction's own figure", Math.abs(measured - error), 0.02 * error + 3e-7);
  return failures;
}

function checkNumbers({ modal, certificate: { error, tail, roundoff } }: Trial, failures: string[]): void {
  const all = [...Object.values(error), tail.one, tail.two, roundoff.bound, modal.residues, modal.direct];
  for (const values of all) if (values.some(Number.isNaN)) failures.push("NaN");
}

function checkStability({ modal: { pairs, reals }, claim }: Trial): void {
  pairs.re.forEach((re, p) => {
    claim("stability", Math.hypot(re, pairs.im[p]!), 1 - 2 ** -23);
  });
  for (const real of reals) claim("stability", Math.abs(real), 1);
}

/** @returns the channel's error at each lag, as a float64 recurrence measures it */
function checkNorms({ kernels, modal, certificate: { error, tail }, slack, claim }: Trial, c: number): Float64Array {
  const { lags, channels, taps } = kernels;
  const impulse = recurrence(modal, c, "float64");
  const response = Float64Array.from({ length: lags + 400 }, (_, k) => impulse(k === 0 ? 1 : 0));
  const errors = Float64Array.from({ length: lags }, (_, k) => taps[k * channels + c]! - response[k]!);
  const after = response.subarray(lags);
  const one = (values: Float64Array) => values.reduce((sum, x) => sum + Math.abs(x), 0);
  claim("1-norm", one(errors), error.one[c]! + lags * slack[c]!);
  claim("2-norm", Math.hypot(...errors), error.two[c]! + lags * slack[c]!);
  claim("tail 1-norm", one(after), tail.one[c]! + 400 * slack[c]!);
  claim("tail 2-norm", Math.hypot(...after), tail.two[c]! + 400 * slack[c]!);
  return errors;
}

/** The error's response at a few random frequencies. */
function checkFrequencies(
  { certificate: { error }, slack, next, claim }: Trial,
  c: number,
  errors: Float64Array,
): void {
  for (let trial = 0; trial < 4; trial++) {
    const omega = Math.PI * next();
    let [x, y] = [0, 0];
    errors.forEach((value, k) => {
      x += value * Math.cos(omega * k);
      y += value * Math.sin(omega * k);
    });
    claim("frequency", Math.hypot(x, y), error.frequency[c]! + errors.length * slack[c]!);
  }
}

/** The input that makes the last output's error as large as it gets, and a random one. */
function checkOutputs(
  { kernels, modal, certificate: { layer, roundoff }, steps, slack, next, claim }: Trial,
  c: number,
  errors: Float64Array,
): void {
  const { lags, channels, taps } = kernels;
  const worst = (i: number) => Math.sign(errors[lags - 1 - (i % lags)]!) || 1;
  for (const input of [worst, () => Math.fround(2 * next() - 1)]) {
    const [single, double] = [recurrence(modal, c, "float32"), recurrence(modal, c, "float64")];
    const xs = Float64Array.from({ length: steps }, (_, i) => input(i));
    xs.forEach((x, i) => {
      const y = double(x);
      claim("float32", Math.abs(single(x) - y), roundoff.bound[c]! + steps * slack[c]!);
      if (i >= lags) return;
      let truth = 0;
      for (let k = 0; k <= i; k++) truth += taps[k * channels + c]! * xs[i - k]!;
      claim("output", Math.abs(truth - y), layer.outputPerLargestInput * (1 + 1e-12) + lags * slack[c]! + 1e-300);
    });
  }
}
