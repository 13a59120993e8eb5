/** The step of a modal form as the lowered graph computes it, one channel, with every operation rounded by itself. */

import { type Modal, orderOf } from "../converter/solve/form.ts";

/** "float32" rounds every product and sum, "fused" a product with the sum that follows it, "float64" is what both are held against. */
export type Precision = "float32" | "fused" | "float64";

/** A recurrence of one channel with its state in view. */
export interface StepByStep {
  /** The carried state: (1 + i) u of every pair, then the real modes. */
  readonly state: Float64Array;
  /** Poles in this precision, one for each pair and for each real mode. */
  readonly poles: { readonly re: Float64Array; readonly im: Float64Array; readonly pairs: number };
  /** With what the state is read. */
  readonly residues: Float64Array;
  /** Writes the state after `x` into `to`, from the state as it is; in exact arithmetic if `exactly`. */
  advance(x: number, to: Float64Array, exactly?: boolean): void;
  /** Reads the output from the state after `x`. */
  read(x: number): number;
}

const keep = (x: number): number => x;

/** The recurrence of a channel from a zero state: v_i = Λ v_{i-1} + (1 + i) x_i as in converter/lower/modes.ts. */
export function stepByStep(modal: Modal, channel: number, precision: Precision): StepByStep {
  const f = precision === "float64" ? keep : Math.fround;
  const first = precision === "fused" ? keep : f;
  const { channels } = modal;
  const order = orderOf(modal);
  const pairs = modal.pairs.re.length;
  const re = Float64Array.from([...modal.pairs.re, ...modal.reals], f);
  const im = Float64Array.from([...modal.pairs.im, ...modal.reals.map(() => 0)], f);
  const residues = Float64Array.from({ length: order }, (_, s) => modal.residues[s * channels + channel]!);
  for (let p = 0; p < 2 * pairs; p += 2) {
    const [a, b] = [residues[p]!, residues[p + 1]!];
    residues.set([(a - b) / 2, (a + b) / 2], p);
  }
  residues.forEach((residue, s) => {
    residues[s] = f(residue);
  });
  const direct = f(modal.direct[channel]!);
  const state = new Float64Array(order);
  const step = (x: number, to: Float64Array, round: (x: number) => number, product: (x: number) => number) => {
    for (let p = 0; p < pairs; p++) {
      const [a, b] = [state[2 * p]!, state[2 * p + 1]!];
      to[2 * p] = round(round(product(re[p]! * a) - round(im[p]! * b)) + x);
      to[2 * p + 1] = round(round(product(im[p]! * a) + round(re[p]! * b)) + x);
    }
    for (let s = 2 * pairs; s < order; s++) to[s] = round(product(re[s - pairs]! * state[s]!) + x);
  };
  return {
    state,
    poles: { re, im, pairs },
    residues,
    advance: (x, to, exactly = false) => (exactly ? step(x, to, keep, keep) : step(x, to, f, first)),
    read(x) {
      let y = 0;
      for (let s = 0; s < order; s++) y = f(y + first(residues[s]! * state[s]!));
      return direct === 0 ? y : f(y + f(direct * x));
    },
  };
}

/** Outputs one after the other, from a zero state. */
export function recurrence(modal: Modal, channel: number, precision: Precision): (x: number) => number {
  const steps = stepByStep(modal, channel, precision);
  const next = new Float64Array(steps.state.length);
  return (x) => {
    steps.advance(x, next);
    steps.state.set(next);
    return steps.read(x);
  };
}
