/** Graphs that are one thing at the sizes convenient to try, and another elsewhere: what their kinds share. */
import { LONGCONV_DOMAIN, LONGCONV_OP } from "../../../converter/graph/longconv.ts";
import { backward, complexProduct, forward } from "../convolutions.ts";
import { asScalar, type Draft, lengthOf, type Piece, type Stream, same, slice, transpose, weights } from "../draft.ts";

/** A spelling of such a graph. It pushes the sizes at which it differs to the draft. */
export interface Overclaim {
  /** 1 to 11, as the kinds are numbered in `index.ts`. */
  readonly kind: number;
  readonly piece: Piece;
  /** It differs beyond a thousand positions: its surroundings must cost no more than the length does. */
  readonly far?: true;
  /** Of an export with a fixed length. */
  readonly fixed?: true;
}

/** One row at these lengths. */
export const differsAt = (d: Draft, ...lengths: number[]): void => {
  d.differs.push(...lengths.map((length) => ({ length, batch: 1 })));
};

/** A causal depthwise Conv of four constant taps. */
export function shortConv(d: Draft, x: Stream): Stream {
  const filter = weights(d, [x.channels, 1, 4]);
  const attributes = { group: x.channels, kernel_shape: [4], pads: [3, 0] };
  return same(x, transpose(d, d.b.one("Conv", [transpose(d, x.name, [0, 2, 1]), filter], attributes), [0, 2, 1]));
}

/** The stream convolved with a kernel [n or fewer, channels]: a LongConv node, or transforms of twice the length. */
export function filtered(d: Draft, x: Stream, kernel: string): Stream {
  if (d.r.chance(0.5)) return same(x, d.b.one(LONGCONV_OP, [x.name, kernel], {}, { domain: LONGCONV_DOMAIN }));
  const n = lengthOf(d, x);
  return transformed(d, x, kernel, d.b.one("Add", [n, n]));
}

/** The same by transforms of a size (int64 [1]), the first n positions. */
export function transformed(d: Draft, x: Stream, kernel: string, points: string): Stream {
  const size = asScalar(d, points);
  const onesided = d.r.chance(0.5);
  const spectrum = forward(d, x.name, { size, axis: 1, onesided });
  const product = complexProduct(d, spectrum, forward(d, kernel, { size, axis: 0, onesided }));
  return same(x, slice(d, backward(d, product, { size, axis: 1, onesided }), 1, 0, lengthOf(d, x)));
}
