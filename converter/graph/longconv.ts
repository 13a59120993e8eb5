/** The operator ai.longconv::LongConv, and a body for nodes that come without one. */
import type { Builder } from "./build.ts";
import { int64Tensor } from "./tensor.ts";

export const LONGCONV_DOMAIN = "ai.longconv";
export const LONGCONV_OP = "LongConv";

/** First opset with a DFT, and first whose DFT takes its axis as an input. */
const DFT_OPSET = 17;
const DFT_AXIS_INPUT_OPSET = 20;

/**
 * Adds y_i = Σ_{j≤i} kernel_{i-j} x_j in standard operators; lags that the kernel does not have are zero.
 *
 * From opset 17 on by DFT. Its length is a power of two (at least n + lags), because ONNX Runtime's DFT of other
 * lengths is only good to about 1e-4. Below, by a Toeplitz matrix of n × n × channels.
 * @param x name of the stream [batch, n, channels]
 * @param kernel name of the kernel [lags, channels]; lags may differ from n
 * @param y name of the output [batch, n, channels]
 */
export function addLongConv(builder: Builder, x: string, kernel: string, y: string): void {
  if (builder.opset >= DFT_OPSET) addByDft(builder, x, kernel, y);
  else addByToeplitz(builder, x, kernel, y);
}

function addByDft(builder: Builder, x: string, kernel: string, y: string): void {
  const { one, ints } = builder;
  const n = one("Shape", [x], { start: 1, end: 2 });
  const lags = one("Shape", [kernel], { start: 0, end: 1 });
  // The number of powers of two below n + lags is the exponent of the one that is not.
  const powers = Array.from({ length: 31 }, (_, exponent) => 2 ** exponent);
  const table = builder.constant("powers", int64Tensor([powers.length], powers));
  const below = one("Cast", [one("Less", [table, one("Add", [n, lags])])], { to: 7 });
  const size = one("Gather", [table, one("ReduceSum", [below, ints("axis", [0])], { keepdims: 1 })], { axis: 0 });

  const zero = ints("zero", [0]);
  const last = ints("last", [-1]);
  const dft = (data: string, inverse: number) => {
    const length = one("Squeeze", [size, zero]);
    const attributes = { inverse, onesided: 1 };
    return builder.opset >= DFT_AXIS_INPUT_OPSET
      ? one("DFT", [data, length, ints("dft_axis", 1)], attributes)
      : one("DFT", [data, length], { ...attributes, axis: 1 });
  };
  const spectrum = (data: string, present: string) => {
    const pads = one("Concat", [zero, zero, zero, zero, one("Sub", [size, present]), zero], { axis: 0 });
    const both = dft(one("Unsqueeze", [one("Pad", [data, pads]), last]), 0);
    const part = (from: number) => one("Slice", [both, ints("from", [from]), ints("to", [from + 1]), last]);
    return { re: part(0), im: part(1) };
  };
  const a = spectrum(x, n);
  const b = spectrum(one("Unsqueeze", [kernel, zero]), lags);
  const re = one("Sub", [one("Mul", [a.re, b.re]), one("Mul", [a.im, b.im])]);
  const im = one("Add", [one("Mul", [a.re, b.im]), one("Mul", [a.im, b.re])]);
  const back = dft(one("Concat", [re, im], { axis: -1 }), 1);
  const real = one("Squeeze", [one("Slice", [back, zero, ints("one", [1]), last]), last]);
  one("Slice", [real, zero, n, ints("time", [1])], undefined, { outputs: [y] });
}

function addByToeplitz(builder: Builder, x: string, kernel: string, y: string): void {
  const { one, ints } = builder;
  const n = one("Gather", [one("Shape", [x]), ints("time", 1)], { axis: 0 });
  const lags = one("Gather", [one("Shape", [kernel]), ints("first", 0)], { axis: 0 });
  const positions = one("Range", [ints("first", 0), n, ints("time", 1)]);
  const column = one("Unsqueeze", [positions, ints("one", [1])]);
  const lag = one("Sub", [column, one("Unsqueeze", [positions, ints("zero", [0])])]);
  // Lags outside the kernel read a row of zeros that is put behind it; it has the kernel's own type.
  const padded = one("Pad", [kernel, ints("row", [0, 0, 1, 0])]);
  const inside = one("And", [one("Not", [one("Less", [lag, ints("first", 0)])]), one("Less", [lag, lags])]);
  const taps = one("Gather", [padded, one("Where", [inside, lag, lags])], { axis: 0 });
  one("Einsum", [taps, x], { equation: "ijc,bjc->bic" }, { outputs: [y] });
}
