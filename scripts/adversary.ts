/**
 * Inputs |x| ≤ 1 whose float32 rounding is as large as can be found. First signs that make the states large where their
 * errors weigh most, by ascent: the weighted sum of the states' moduli is convex in the input, so that the signs of its
 * gradient never make it smaller. Then, step by step, the best of several float32 numbers near each sign: how a
 * step rounds changes with its last digits, and the one is kept whose roundings push the last output furthest.
 */

import type { Modal } from "../converter/solve/form.ts";
import { uniform } from "../src/random.ts";
import { stepByStep } from "./recurrence.ts";

/** How hard to look. */
export interface Effort {
  /** Steps before the output that is attacked. */
  readonly steps: number;
  /** Numbers tried for each step. */
  readonly tries: number;
  /** Passes of the ascent, each as long as the recurrence of a few channels. */
  readonly passes?: number;
}

/** @returns the largest |ŷ - y| found for the last of `steps` outputs of a channel, y in float64 */
export function worstFound(modal: Modal, channel: number, { steps, tries, passes = 8 }: Effort): number {
  const impulse = stepByStep(modal, channel, "float64");
  const rounded = stepByStep(modal, channel, "float32");
  const next = new Float64Array(impulse.state.length);
  const kernel = Float64Array.from({ length: steps }, (_, k) => {
    impulse.advance(k === 0 ? 1 : 0, next);
    impulse.state.set(next);
    return impulse.read(k === 0 ? 1 : 0);
  });
  const moved = kernel.map((tap, k) => {
    rounded.advance(k === 0 ? 1 : 0, next, true);
    rounded.state.set(next);
    return rounded.residues.reduce((sum, c, s) => sum + c * next[s]!, 0) - tap;
  });
  const signs = (of: (k: number) => number) => Float64Array.from({ length: steps }, (_, j) => of(steps - 1 - j) || 1);
  const starts = [
    signs(() => 1),
    signs((k) => 1 - 2 * (k % 2)),
    signs((k) => Math.sign(kernel[k]!)),
    signs((k) => Math.sign(moved[k]!)),
  ];
  const inputs = [...starts, ...starts.slice(0, 3).map((start) => ascended(modal, channel, start, passes))];
  // a short look at each, then all tries at the best
  const looks = inputs.map((input) => attacked(modal, channel, input, Math.min(4, tries)));
  const best = looks.indexOf(Math.max(...looks));
  return Math.max(looks[best]!, attacked(modal, channel, inputs[best]!, tries));
}

/** Signs that make Σ_j Σ_s |c_s| |λ_s|^(steps-1-j) |v_s,j| larger. */
function ascended(modal: Modal, channel: number, start: Float64Array, passes: number): Float64Array {
  const { poles, residues } = stepByStep(modal, channel, "float32");
  const { re, im, pairs } = poles;
  const [modes, steps] = [re.length, start.length];
  const modulus = re.map((a, s) => Math.hypot(a, im[s]!));
  const size = modulus.map((_, s) =>
    s < pairs ? Math.hypot(residues[2 * s]!, residues[2 * s + 1]!) : Math.abs(residues[pairs + s]!),
  );
  let [x, largest] = [start, 0];
  const [along, across] = [new Float32Array(steps * modes), new Float32Array(steps * modes)];
  for (let pass = 0; pass < passes; pass++) {
    let total = 0;
    const [u, v] = [new Float64Array(modes), new Float64Array(modes)];
    for (let j = 0; j < steps; j++) {
      for (let s = 0; s < modes; s++) {
        const [a, b] = [u[s]!, v[s]!];
        u[s] = re[s]! * a - im[s]! * b + x[j]!;
        v[s] = im[s]! * a + re[s]! * b;
        const weight = size[s]! * modulus[s]! ** (steps - 1 - j);
        const length = Math.hypot(u[s]!, v[s]!) || 1;
        along[j * modes + s] = (weight * u[s]!) / length;
        across[j * modes + s] = (-weight * v[s]!) / length;
        total += weight * length;
      }
    }
    if (total <= largest * 1.001) break;
    largest = total;
    const [p, q] = [new Float64Array(modes), new Float64Array(modes)];
    x = new Float64Array(steps);
    for (let j = steps - 1; j >= 0; j--) {
      let gradient = 0;
      for (let s = 0; s < modes; s++) {
        const [a, b] = [p[s]!, q[s]!];
        p[s] = re[s]! * a - im[s]! * b + along[j * modes + s]!;
        q[s] = im[s]! * a + re[s]! * b + across[j * modes + s]!;
        gradient += p[s]!;
      }
      x[j] = Math.sign(gradient) || 1;
    }
  }
  return x;
}

/** |ŷ - y| of the last output for inputs near `base`, each chosen so that its step's roundings add to it. */
function attacked(modal: Modal, channel: number, base: Float64Array, tries: number): number {
  const single = stepByStep(modal, channel, "float32");
  const double = stepByStep(modal, channel, "float64");
  const { poles, residues, state } = single;
  const [order, steps] = [state.length, base.length];
  const [rounded, exact, best] = [new Float64Array(order), new Float64Array(order), new Float64Array(order)];
  const weights = responses(poles, residues, steps);
  // of either sign: the coefficients' own rounding pushes one way
  let largest = 0;
  for (const way of [1, -1]) {
    const random = uniform(7);
    single.state.fill(0);
    double.state.fill(0);
    let input = 0;
    base.forEach((sign, j) => {
      let most = Number.NEGATIVE_INFINITY;
      const row = (steps - 1 - j) * order;
      for (let t = 0; t < tries; t++) {
        const x = Math.fround(sign * (t === 0 ? 1 : 1 - 0.05 * random()));
        single.advance(x, rounded);
        single.advance(x, exact, true);
        let push = 0;
        for (let s = 0; s < order; s++) push += weights[row + s]! * (rounded[s]! - exact[s]!);
        if (way * push <= most) continue;
        most = way * push;
        input = x;
        best.set(rounded);
      }
      single.state.set(best);
      double.advance(input, exact);
      double.state.set(exact);
    });
    largest = Math.max(largest, Math.abs(single.read(input) - double.read(input)));
  }
  return largest;
}

/** What an error in each state does to the output k steps later, [steps × order]. */
function responses(
  { re, im, pairs }: ReturnType<typeof stepByStep>["poles"],
  residues: Float64Array,
  steps: number,
): Float64Array {
  const order = residues.length;
  const all = new Float64Array(steps * order);
  const current = residues.slice();
  for (let k = 0; k < steps; k++) {
    all.set(current, k * order);
    for (let p = 0; p < pairs; p++) {
      const [a, b] = [current[2 * p]!, current[2 * p + 1]!];
      current[2 * p] = re[p]! * a + im[p]! * b;
      current[2 * p + 1] = re[p]! * b - im[p]! * a;
    }
    for (let s = 2 * pairs; s < order; s++) current[s] = current[s]! * re[s - pairs]!;
  }
  return all;
}
