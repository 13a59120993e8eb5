/** Kernels [n, channels] as graphs compute them: functions of the position alone. */
import { float32Tensor } from "../../converter/graph/tensor.ts";
import { asScalar, type Draft, positions, scalar, slice, unsqueeze, weights } from "./draft.ts";

/** Rows of a trained table: longer than any sequence that is compared. */
const TABLE_ROWS = 512;

type Kernel = (d: Draft, n: string, channels: number) => string;

/** exp(-rate · k) for each channel, [n, channels]. */
function decay(d: Draft, n: string, channels: number): string {
  const rates = d.b.constant(
    "rates",
    float32Tensor(
      [1, channels],
      Float32Array.from({ length: channels }, () => 0.02 + 0.3 * d.r.next()),
    ),
  );
  const k = unsqueeze(d, positions(d, n), [1]);
  return d.b.one("Exp", [d.b.one("Neg", [d.b.one("Mul", [k, rates])])]);
}

/** A small network of the position, times a decay: TNN's RPE. */
const network: Kernel = (d, n, channels) => {
  const k = d.b.one("Div", [unsqueeze(d, positions(d, n), [1]), scalar(d, 64)]);
  const hidden = d.r.pick([4, 8]);
  const first = d.b.one("Add", [d.b.one("MatMul", [k, weights(d, [1, hidden], 2)]), weights(d, [hidden])]);
  const second = d.b.one("MatMul", [
    d.b.one(d.r.pick(["Relu", "Tanh", "Sin"]), [first]),
    weights(d, [hidden, channels]),
  ]);
  return d.b.one("Mul", [second, decay(d, n, channels)]);
};

/** A sum of damped oscillations: S4D. */
const modes: Kernel = (d, n, channels) => {
  const count = d.r.int(1, 4);
  const k = positions(d, n);
  const terms = Array.from({ length: count }, () => {
    const phase = d.b.one("Mul", [unsqueeze(d, k, [1]), weights(d, [1, channels], 1.5)]);
    return d.b.one("Mul", [d.b.one(d.r.pick(["Cos", "Sin"]), [phase]), weights(d, [channels])]);
  });
  const sum = count === 1 ? terms[0]! : d.b.one("Sum", terms);
  return d.b.one("Mul", [sum, decay(d, n, channels)]);
};

/** A trained table, its first n rows. */
const table: Kernel = (d, n, channels) => {
  const values = Float32Array.from(
    { length: TABLE_ROWS * channels },
    (_, i) => d.r.normal() * Math.exp(-Math.floor(i / channels) / 12),
  );
  return slice(d, d.b.constant("table", float32Tensor([TABLE_ROWS, channels], values)), 0, 0, n);
};

/** Powers by Pow: γ^k. */
const powers: Kernel = (d, n, channels) => {
  const bases = d.b.constant(
    "bases",
    float32Tensor(
      [1, channels],
      Float32Array.from({ length: channels }, () => 0.5 + 0.45 * d.r.next()),
    ),
  );
  const all = d.b.one("Pow", [bases, unsqueeze(d, positions(d, n), [1])]);
  return d.b.one("Mul", [all, weights(d, [channels])]);
};

/** Does not decay at all. */
const endless: Kernel = (d, n, channels) => {
  const phase = d.b.one("Mul", [unsqueeze(d, positions(d, n), [1]), weights(d, [1, channels], 1)]);
  return d.b.one("Mul", [d.b.one("Cos", [phase]), scalar(d, 0.2)]);
};

/** Zero from some lag on, by comparing positions. */
const windowed: Kernel = (d, n, channels) => {
  const k = unsqueeze(d, positions(d, n), [1]);
  const inside = d.b.one("Cast", [d.b.one("Less", [k, scalar(d, d.r.int(3, 24))])], { to: 1 });
  return d.b.one("Mul", [modes(d, n, channels), inside]);
};

/** Decays quickly, and comes back at one lag far behind. */
const echo: Kernel = (d, n, channels) => {
  const k = unsqueeze(d, positions(d, n), [1]);
  const at = d.b.one("Cast", [d.b.one("Equal", [k, scalar(d, d.r.pick([9, 40, 77]))])], { to: 1 });
  const quick = d.b.one("Mul", [d.b.one("Pow", [scalar(d, 0.5), k]), weights(d, [channels])]);
  return d.b.one("Add", [quick, at]);
};

export const KERNELS: Readonly<Record<string, Kernel>> = { network, modes, table, powers, endless, windowed, echo };

/** A kernel chosen at random. */
export function kernelOf(d: Draft, n: string, channels: number): string {
  const name = d.r.pick(Object.keys(KERNELS));
  d.pieces.push(`kernel ${name}`);
  return KERNELS[name]!(d, n, channels);
}

/** Lags i - j, [n, n], float32: row i, column j. */
export function lagMatrix(d: Draft, n: string): string {
  d.square = true;
  const k = positions(d, n);
  return d.b.one("Sub", [unsqueeze(d, k, [1]), unsqueeze(d, k, [0])]);
}

/** The length as a float scalar. */
export const lengthAsFloat = (d: Draft, n: string): string => d.b.one("Cast", [asScalar(d, n)], { to: 1 });
