/** States of kernels that mix channels, from poles that all of the kernels share. */
import { type MixedModal, type Mixing, type Modal, orderOf } from "./form.ts";

/**
 * A modal form of kernels o · inputs + i as states behind each input, or before each output where outputs are fewer.
 * A state of an input is read by all outputs; one of an output is driven by all inputs: for Re(ζ λ^k) by ζ, and read as it is.
 */
export function mixedOf(modal: Modal, { inputs, outputs }: Mixing): MixedModal {
  const { pairs, reals, residues, channels, direct } = modal;
  const count = pairs.re.length;
  const atInput = inputs <= outputs;
  const sides = atInput ? inputs : outputs;
  const states = orderOf(modal) * sides;
  const [drive, read] = [new Float64Array(states * inputs), new Float64Array(states * outputs)];
  const residue = (row: number, o: number, i: number) => residues[row * channels + o * inputs + i]!;
  const place = (re: number, im: number | undefined, row: number, side: number) => {
    for (let other = 0; other < (atInput ? outputs : inputs); other++) {
      const [o, i] = atInput ? [other, side] : [side, other];
      const [first, second] = [residue(row, o, i), im === undefined ? 0 : residue(row + 1, o, i)];
      if (atInput) {
        read[re * outputs + o] = first;
        if (im !== undefined) read[im * outputs + o] = second;
      } else {
        drive[re * inputs + i] = first;
        if (im !== undefined) drive[im * inputs + i] = -second;
      }
    }
    if (atInput) drive[re * inputs + side] = 1;
    else read[re * outputs + side] = 1;
  };
  for (let side = 0; side < sides; side++) {
    for (let p = 0; p < count; p++) place(p * sides + side, (count + p) * sides + side, 2 * p, side);
    for (let r = 0; r < reals.length; r++) place((2 * count + r) * sides + side, undefined, 2 * count + r, side);
  }
  return {
    ...{ inputs, outputs, drive, read, direct },
    pairs: { re: spread(pairs.re, sides), im: spread(pairs.im, sides) },
    reals: spread(reals, sides),
  };
}

/** Each value so many times. */
const spread = (values: Float64Array, times: number): Float64Array =>
  Float64Array.from({ length: values.length * times }, (_, at) => values[Math.floor(at / times)]!);
