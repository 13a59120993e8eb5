/**
 * The diagonal form: few poles, but of each channel's own, in pairs:
 *
 *     v_i = λ ∘ v_{i-1} + (1 + i) x_i        P complex numbers per channel
 *     y_i = Re(ζ ∘ v_i) + D x_i              summed over the pairs; λ, ζ and D differ from channel to channel
 *
 * v = (1 + i) u, u the state of form.ts, so that the input drives real and imaginary parts alike; with residues c and c'
 * ζ = e - ie', e = (c - c')/2, e' = (c + c')/2. Rows of the state are all real parts, then all imaginary parts.
 * A step is a product with a plane of coefficients [2P × channels] and one with the halves exchanged; many tokens are
 * diagonal-prefill.ts.
 */

import type { Builder } from "../graph/build.ts";
import type { ChannelModal } from "../solve/form.ts";
import { diagonalPrefill, readingOf } from "./diagonal-prefill.ts";
import { type PathTensors, type Recurrence, sumRows } from "./recurrence.ts";

/** Tokens in a chunk of prefill; docs/parts/diagonal.md. */
const CHUNK = 32;

/**
 * The recurrence of a form with poles of each channel's own.
 * @param chunk tokens in a chunk of prefill
 */
export function diagonalRecurrence(modal: ChannelModal, chunk = CHUNK): Recurrence {
  return {
    state: "ssm",
    rows: 2 * modal.pairs,
    channels: modal.channels,
    decodeStep: (b, path) => diagonalDecodeStep(b, modal, path),
    prefill: (b, path) => diagonalPrefill(b, modal, path, chunk),
  };
}

function diagonalDecodeStep(b: Builder, modal: ChannelModal, { x, past, present }: PathTensors): string {
  const { channels, pairs, re, im, direct } = modal;
  const rows = 2 * pairs;
  const plane = (hint: string, upper: ArrayLike<number>, lower: ArrayLike<number>) => {
    const values = new Float64Array(rows * channels);
    values.set(upper);
    values.set(lower, pairs * channels);
    return b.floats(hint, [rows, channels], values);
  };
  const exchange = Array.from({ length: rows }, (_, row) => (row + pairs) % rows);
  const exchanged = b.one("Gather", [past, b.ints("exchange", exchange)], { axis: 1 });
  const along = b.one("Mul", [past, plane("poles_re", re, re)]);
  const across = b.one("Mul", [
    exchanged,
    plane(
      "poles_im",
      im.map((value) => -value),
      im,
    ),
  ]);
  b.add("Add", [b.one("Add", [along, across]), x], undefined, { outputs: [present] });
  const [e, f] = readingOf(modal);
  const y = sumRows(b, rows, b.one("Mul", [present, plane("residues", e, f)]));
  if (direct.every((value) => value === 0)) return y;
  return b.one("Add", [y, b.one("Mul", [x, b.floats("direct", [channels], direct)])]);
}
