/** Long convolutions that mix channels by products of spectra, as SSMs between matrices and S5 have them; and their mistakes. */
import { backward, forward } from "../convolutions.ts";
import {
  asScalar,
  type Draft,
  lengthOf,
  type Piece,
  positions,
  scalar,
  slice,
  split,
  squeeze,
  toBack,
  toFront,
  unsqueeze,
  weights,
} from "../draft.ts";

/** What a mistake changes: points of the transform, and the first position that is kept. */
interface Way {
  readonly points: (d: Draft, n: string) => string;
  readonly from: number;
}

const RIGHT: Way = { points: (d, n) => d.b.one("Add", [n, n]), from: 0 };

/** Kernels of so many states, [states, n]: they die away, and turn. */
function kernels(d: Draft, states: number, n: string): string {
  const k = unsqueeze(d, positions(d, n), [0]);
  const column = (of: (state: number) => number) =>
    d.b.floats(
      "column",
      [states, 1],
      Array.from({ length: states }, (_, state) => of(state)),
    );
  const decay = column((state) => -0.15 - 0.1 * state - 0.2 * d.r.next());
  const angle = column((state) => 0.4 * state + d.r.next());
  const faded = d.b.one("Exp", [d.b.one("Mul", [decay, k])]);
  return d.b.one("Mul", [faded, d.b.one("Cos", [d.b.one("Mul", [angle, k])])]);
}

const partsOf = (d: Draft, spectrum: string): string[] =>
  split(d, spectrum, -1, [1, 1]).map((part) => squeeze(d, part, [-1]));

/** By matrices before and behind the kernels of the states, or by a kernel of every pair of channels. */
const spectra =
  ({ points, from }: Way): Piece =>
  (d, x) => {
    const [n, states] = [lengthOf(d, x), d.r.int(2, 4)];
    const [into, out] = [weights(d, [states, x.channels]), weights(d, [x.channels, states])];
    const size = asScalar(d, points(d, n));
    const own = kernels(d, states, n);
    const einsum = (equation: string, ...inputs: string[]) => d.b.one("Einsum", inputs, { equation });
    const isPaired = d.r.chance(0.4);
    const filter = isPaired ? einsum("dn,nl,nc->dcl", out, own, into) : unsqueeze(d, own, [0]);
    const [xr, xi] = partsOf(d, forward(d, toFront(d, x), { size, axis: 2, onesided: true }));
    const [kr, ki] = partsOf(d, forward(d, filter, { size, axis: 2, onesided: true }));
    const mixed = (data: string, kernel: string) =>
      isPaired
        ? einsum("bcl,dcl->bdl", data, kernel)
        : einsum("bcl,nl,nc,dn->bdl", data, squeeze(d, kernel, [0]), into, out);
    const real = d.b.one("Sub", [mixed(xr!, kr!), mixed(xi!, ki!)]);
    const imaginary = d.b.one("Add", [mixed(xr!, ki!), mixed(xi!, kr!)]);
    const product = d.b.one("Concat", [unsqueeze(d, real, [-1]), unsqueeze(d, imaginary, [-1])], { axis: -1 });
    const whole = backward(d, product, { size, axis: 2, onesided: true });
    const until = from === 0 ? n : d.b.one("Add", [n, d.b.ints("from", [from])]);
    return toBack(d, x, d.b.one("Mul", [slice(d, whole, 2, from, until), scalar(d, 0.5)]));
  };

export const MIXING: Readonly<Record<string, Piece>> = { spectra: spectra(RIGHT) };

export const MIXING_TRAPS: Readonly<Record<string, Piece>> = {
  /** The end wraps around to the beginning. */
  spectraCircular: spectra({ ...RIGHT, points: (_, n) => n }),
  /** Every position sees the one behind it. */
  spectraAhead: spectra({ ...RIGHT, from: 1 }),
};
