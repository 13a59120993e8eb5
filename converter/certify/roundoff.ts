/** How far the float32 recurrence can be, and is likely to be, from exact arithmetic after any number of steps. */

import type { Modal } from "../solve/form.ts";
import { geometricSum, nestedSum } from "./geometric.ts";
import { jointStates } from "./joint.ts";
import type { PerChannel } from "./norms.ts";

/** Unit roundoff of float32. */
export const UNIT = 2 ** -24;

/** What a product or sum that underflows loses at most, where denormal numbers are flushed to zero. */
const UNDERFLOW = 2 ** -126;

/** Probability, for each channel, that its expected rounding is exceeded at any of so many positions. */
export const EXCEEDED = 1e-3;

/** Of longer sequences any so many positions are meant, so that what does not grow has a bound for ever. */
const COUNTED = 2 ** 20;

/** Degrees of freedom of the sum of a slow state's squares over the time that it lasts, at least. */
const FREEDOM = 1.5;

/** Nearly the largest float32. */
const LARGEST = 3.4e38;

/** Modes that are bounded one by one; of more, the states are bounded together. */
const FEW = 64;

/** Error of a sum of `terms` products in any order, with or without fused multiply-adds, relative to Σ |products|. */
const gamma = (terms: number) => (terms * UNIT) / (1 - terms * UNIT);

/** Rounding of a recurrence's output for each channel. */
export interface Roundoff {
  /** Never exceeded, whatever the inputs and the roundings. */
  readonly worst: PerChannel;
  /** Exceeded at none of the positions with probability 1 - {@link EXCEEDED}, for random inputs and random roundings. */
  readonly expected: PerChannel;
}

/** One mode as the step computes it: v_i = λ v_{i-1} + drive x_i, read with a residue of modulus |c| / drive. */
interface Mode {
  /** First of its rows in the residues. */
  readonly row: number;
  readonly paired: boolean;
  /** √2 for a pair, whose state is carried as (1 + i) u; else 1. */
  readonly drive: number;
  /** |λ̂| of the pole in float32. */
  readonly modulus: number;
  /** |λ̂ - λ| */
  readonly moved: number;
  /** A step rounds its state by no more than u (ofState |v_{i-1}| + ofInput |x_i|). */
  readonly ofState: number;
  readonly ofInput: number;
  /**
   * Its roundings' variance is u²/3 (varianceOfState |v_{i-1}|² + varianceOfInput x_i²), and as much more as
   * varianceOfSlow |v_{i-1}|⁴ / x² where a product's rounding stays the same from one step to the next.
   */
  readonly varianceOfState: number;
  readonly varianceOfSlow: number;
  readonly varianceOfInput: number;
}

/**
 * Bounds |ŷ_i - y_i| for 0 ≤ i < steps, for each channel: y by the modal recurrence in exact arithmetic with the
 * coefficients as given, ŷ in float32 with the coefficients rounded to float32, both from a zero state with the same
 * input |x| ≤ `input`. Proof and model are claim 5 of docs/parts/certificate.md. Both hold for the step-by-step
 * recurrence in any order of summation; for |λ| = 1 they grow with the steps. Infinity where float32 may overflow.
 *
 * @param steps a number of steps, or Infinity where every |λ| is far enough below 1
 * @param input bound on the inputs, ‖x‖∞
 */
export function roundoffOf(modal: Modal, steps: number, input: number): Roundoff {
  const { channels, residues, direct } = modal;
  const zeros = () => new Float64Array(channels);
  const modes = modesOf(modal);
  // Sums over the modes, of what their states and errors make of the output, and the number of terms that it is read from
  const [size, error, again] = [zeros(), zeros(), zeros()];
  const [deviation, variance, terms] = [zeros(), zeros(), zeros()];
  for (const mode of modes) {
    const { row, paired, drive } = mode;
    const state = stateOf(mode, steps, input);
    for (let c = 0; c < channels; c++) {
      const first = residues[row * channels + c]!;
      const second = paired ? residues[(row + 1) * channels + c]! : 0;
      const residue = Math.hypot(first, second) / drive;
      if (residue === 0) continue;
      if (!(state.largest + state.error < LARGEST)) size[c] = Number.POSITIVE_INFINITY;
      const flushed = 2 * UNDERFLOW * (1 + state.largest + state.error);
      size[c] = size[c]! + residue * (state.largest + state.error);
      error[c] = error[c]! + residue * state.error + flushed;
      again[c] = again[c]! + residue * state.again + flushed;
      deviation[c] = deviation[c]! + residue * state.deviation;
      variance[c] = variance[c]! + residue * residue * state.variance;
      terms[c] = terms[c]! + (paired ? 2 : 1);
    }
  }
  const joint = modes.length > FEW ? jointStates(modal, modes.map(jointly), steps) : undefined;
  for (let c = 0; joint && c < channels; c++) {
    error[c] = Math.min(error[c]!, UNIT * joint.nested[c]! * input + again[c]!);
    size[c] = Math.min(size[c]!, joint.states[c]! * input + error[c]!);
    deviation[c] = Math.min(deviation[c]!, joint.deviation[c]! * input);
  }
  const [worst, expected] = [zeros(), zeros()];
  for (let c = 0; c < channels; c++) {
    const through = Math.abs(direct[c]!) * input;
    const count = terms[c]! + 1;
    const read = (1 + UNIT) * size[c]! + through;
    const underflow = (2 * count + 2) * UNDERFLOW;
    // residues and the direct term are rounded as well, by a unit each
    const certain = error[c]! + (gamma(count) + UNIT) * read + underflow;
    worst[c] = read < LARGEST ? certain * (1 + 1e-9) : Number.POSITIVE_INFINITY;
    const reading = UNIT * (deviation[c]! + through);
    const often = quantile(steps, size[c]! / deviation[c]! || 1).product;
    const spread = Math.sqrt(variance[c]! + (count / 3 + 1) * (often * reading) ** 2);
    expected[c] = Math.min(worst[c]!, spread + underflow);
  }
  return { worst, expected };
}

/** A mode's part in the sum over all modes, in units of u. */
const jointly = ({ ofState, moved, modulus }: Mode) => ({ weight: ofState + moved / UNIT, decay: modulus + moved });

/**
 * How many standard deviations are exceeded at one of so many independent positions with probability {@link EXCEEDED}: by
 * a normal variable, and by a rounding error, whose variance is as random as the states that are rounded.
 *
 * @param largest the largest state over its standard deviation
 */
function quantile(positions: number, largest: number): { normal: number; product: number } {
  const log = Math.log((2 * Math.min(Math.max(positions, 1), COUNTED)) / EXCEEDED);
  const normal = Math.sqrt(2 * log);
  return { normal, product: Math.max(normal, Math.min(log / Math.sqrt(FREEDOM), normal * largest)) };
}

/** Modulus of a state and of its error, at most; standard deviation of the one, and square of the other as expected. */
interface StateBound {
  readonly largest: number;
  readonly error: number;
  /** The part of the error that the state without its error does not make. */
  readonly again: number;
  readonly deviation: number;
  readonly variance: number;
}

/** The sums of the proof and of the model. */
function stateOf(mode: Mode, steps: number, input: number): StateBound {
  const { drive, modulus, moved, ofState, ofInput } = mode;
  // what rounding adds to the state is rounded later on: as if it decayed a little slower
  const decay = modulus * (1 + 2 ** -50) + moved + UNIT * ofState;
  const once = geometricSum(decay, 0, steps);
  const fresh = (UNIT * ofInput * input + 8 * UNDERFLOW) * once;
  const largest = drive * input * geometricSum(modulus + moved, 0, steps);
  const error = (UNIT * ofState + moved) * drive * input * nestedSum(decay, steps - 1) + fresh;
  // to first order: later roundings of what was rounded are as random
  const square = (modulus + moved) ** 2;
  const [energy, nested] = [geometricSum(square, 0, steps), nestedSum(square, steps - 1)];
  const slow = mode.varianceOfSlow === 0 ? 0 : mode.varianceOfSlow * drive ** 2 * energy;
  const ofStates = (mode.varianceOfState + slow) * drive ** 2 * nested;
  const rounded = (UNIT ** 2 / 3) * (ofStates + mode.varianceOfInput * energy);
  // Σ k² r^(k-1) ≤ min(steps, 2 Σ r^k) Σ k r^(k-1)
  const shifted = moved === 0 ? 0 : (moved * drive) ** 2 * Math.min(steps, 2 * energy) * nested;
  // errors last as long as states do: so many of them are independent
  const positions = 1 + steps * Math.max(0, 1 - square) || 1;
  const deviation = drive * input * Math.sqrt(energy);
  const { normal, product } = quantile(positions, largest / deviation || 1);
  return {
    largest,
    error,
    again: fresh + UNIT * ofState * error * once,
    deviation,
    variance: (rounded * product ** 2 + shifted * normal ** 2) * input ** 2,
  };
}

/** A product with 0 or with a power of two is not rounded. */
const isExact = (factor: number): boolean => factor === 0 || Number.isInteger(Math.log2(Math.abs(factor)));

/** How far a factor is from the nearest power of two, relative to it. */
const offPower = (factor: number): number =>
  Math.abs(Math.abs(factor) / 2 ** Math.round(Math.log2(Math.abs(factor))) - 1);

function modesOf(modal: Modal): Mode[] {
  const { pairs, reals } = modal;
  const count = pairs.re.length;
  return Array.from({ length: count + reals.length }, (_, s) => {
    const paired = s < count;
    const [exactRe, exactIm] = paired ? [pairs.re[s]!, pairs.im[s]!] : [reals[s - count]!, 0];
    const [re, im] = [Math.fround(exactRe), Math.fround(exactIm)];
    const modulus = Math.hypot(re, im);
    const drive = paired ? Math.SQRT2 : 1;
    const products = [re, im].map((factor) => (isExact(factor) ? 0 : Math.abs(factor)));
    // one sum for each of the products but one, and one for the input; a pole of 0 only stores it
    const sums = modulus === 0 ? 0 : re !== 0 && im !== 0 ? 2 : 1;
    return {
      row: paired ? 2 * s : s + count,
      paired,
      drive,
      modulus,
      moved: Math.hypot(re - exactRe, im - exactIm),
      ofState: (products[0]! + products[1]! + sums * modulus) * (1 + 2 ** -20),
      ofInput: sums * drive * (1 + 2 ** -20),
      varianceOfState: products[0]! ** 2 + products[1]! ** 2 + sums * modulus ** 2,
      varianceOfSlow: [re, im].reduce(
        (sum, factor) => sum + 0.8 * (isExact(factor) ? 0 : (factor * UNIT) / offPower(factor)) ** 2,
        0,
      ),
      varianceOfInput: sums * drive ** 2,
    };
  });
}
