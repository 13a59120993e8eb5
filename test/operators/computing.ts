/** Operators that compute over axes: contractions, reductions, normalisations, convolutions, pooling, positions. */
import { bytes, floatScalar, floats, int, ints, type OperatorCase, row, rows } from "./case.ts";

const X = "b t 4";
const FIXED = { fixed: { batch: 2, time: 6 } };
const einsum = (equation: string) => ({ attributes: { equation } });

export const CONTRACTION_CASES: readonly OperatorCase[] = [
  row("MatMul", [X, floats(4, 5)], "b t 5"),
  row("MatMul", [X, floats(4)], "b t"),
  row("MatMul", [floats(4), "b 4 t"], "b t"),
  row("MatMul", [floats(5, 4), "b 4 t"], "b 5 t"),
  row("MatMul", ["b 3 t 4", floats(3, 4, 5)], "b 3 t 5"),
  row("MatMul", ["b t 3 4", "b t 4 5"], "b t 3 5"),
  row("MatMul", [X, "b 4 5"], "b t 5"),
  row("MatMul", [X, "b 4 t"], { mixes: /every position with every other/ }),
  row("MatMul", ["b 4 t", X], { mixes: /sums over the time/ }),
  row("MatMul", ["4 b", "b t"], { refuses: "mixes-batch" }),
  row("MatMul", [X, "shape"], { refuses: "depends-on-length" }, { notRun: "types" }),
  row("MatMul", [floats(6, 6), "b t 5"], { mixes: /with a table/ }, FIXED),
  row("MatMul", ["b t 6", floats(6, 6)], "b t 6", FIXED),
  row("MatMul", ["b 6 t", floats(6, 6)], { mixes: /with a table/ }, FIXED),
  row("Gemm", ["bt 4", floats(4, 5), floats(5)], "bt 5"),
  row("Gemm", ["bt 4", floats(5, 4), floatScalar(0.5)], "bt 5", { attributes: { transB: 1 } }),
  row("Gemm", ["4 bt", floats(4, 5)], "bt 5", { attributes: { transA: 1 } }),
  row("Gemm", ["bt 4", floats(4, 5), "bt 5"], "bt 5"),
  row("Gemm", ["4 t", "t 5"], { mixes: /sums over the time/ }),
  row("Gemm", ["t 4", floats(4, 5), floats(6, 5)], { refuses: "absolute-position" }, FIXED),
  row("Einsum", ["b t 3 4", floats(3, 4, 5)], "b t 5", einsum("bthd,hde->bte")),
  row("Einsum", [X, floats(4, 5)], "b t 5", einsum("...d,de->...e")),
  row("Einsum", [floats(4, 5), X], "b t 5", einsum("de,...d->...e")),
  row("Einsum", ["b t 4 4"], "b t 4", einsum("btii->bti")),
  row("Einsum", ["b t 4 4"], "b t", einsum("...ii")),
  row("Einsum", [X, floats(4)], "t b", einsum("zyx,x")),
  row("Einsum", [X, X], { mixes: /sums over the time/ }, einsum("btd,btd->bd")),
  row("Einsum", [X, X], { mixes: /every position with every other/ }, einsum("bid,bjd->bij")),
  row("Einsum", [X], { refuses: "mixes-batch" }, einsum("btd->td")),
  row("Einsum", ["t 6"], { refuses: "absolute-position" }, { ...einsum("ii->i"), ...FIXED }),
];

/** Weights of a layer of 3 hidden units that reads 4. */
const layer = (gates: number) => [floats(1, 3 * gates, 4), floats(1, 3 * gates, 3)] as const;
const hidden = { attributes: { hidden_size: 3 } };

export const RECURRENT_CASES: readonly OperatorCase[] = [
  row("GRU", ["5 bt 4", ...layer(3)], "5 1 bt 3", hidden),
  row("LSTM", ["5 bt 4", ...layer(4)], ["5 1 bt 3", "1 bt 3", "1 bt 3"], { ...hidden, outputs: 3 }),
  row("RNN", ["5 bt 4", ...layer(1)], ["5 1 bt 3", "1 bt 3"], {
    attributes: { hidden_size: 3, direction: "reverse" },
    outputs: 2,
  }),
  row("GRU", ["t b 4", ...layer(3)], { mixes: /recurrent along the time/ }, hidden),
  row(
    "GRU",
    ["t b 4", ...layer(3)],
    { refuses: "not-causal" },
    { attributes: { hidden_size: 3, direction: "reverse" } },
  ),
  row("GRU", ["b t 4", ...layer(3)], { refuses: "mixes-batch" }, hidden),
];

const over = (...axes: number[]) => ({ attributes: { axes } });

export const REDUCTION_CASES: readonly OperatorCase[] = [
  ...rows("ReduceL1 ReduceL2 ReduceLogSum ReduceLogSumExp ReduceMax ReduceMean ReduceMin", [X, ints(2)], "b t 1"),
  ...rows("ReduceProd ReduceSum ReduceSumSquare", [X, ints(-1)], "b t", { attributes: { keepdims: 0 } }),
  ...rows("ReduceMax ReduceMean ReduceProd ReduceL2", [X], "b t 1", { ...over(2), opset: 13 }),
  row("ReduceSum", [X], X, { attributes: { noop_with_empty_axes: 1 } }),
  row("ReduceSum", [X], { mixes: /reduces over the time/ }),
  row("ReduceMean", [X, ints(1)], { mixes: /reduces over the time/ }),
  row("ReduceMean", [X, ints(0)], { refuses: "mixes-batch" }),
  row("ReduceMean", [X], { mixes: /reduces over the time/ }, { ...over(1), opset: 13 }),
  ...rows("ArgMax ArgMin", [X], "b t", { attributes: { axis: -1, keepdims: 0 } }),
  ...rows("ArgMax ArgMin", [X], "b t 1", { attributes: { axis: 2, select_last_index: 1 } }),
  row("ArgMax", [X], { refuses: "mixes-batch" }),
  row("ArgMax", [X], { mixes: /over the time/ }, { attributes: { axis: 1 } }),
  row("CumSum", [X, int(2)], X, { attributes: { exclusive: 1, reverse: 1 } }),
  row("CumSum", [X, int(1)], { mixes: /sums over the time/ }),
  row("CumProd", [X, int(-1)], X, { opset: 26, notRun: "operator of opset 26" }),
  row("TopK", [X, ints(2)], ["b t 2", "b t 2"], { outputs: 2 }),
  row("TopK", [X, ints(1)], ["b t 1", "b t 1"], { outputs: 2, attributes: { largest: 0 } }),
  row("TopK", [X, ints(1)], { mixes: /sorts over the time/ }, { outputs: 2, attributes: { axis: 1 } }),
  row("Det", ["b t 3 3"], "b t"),
  row("Det", ["b t 3"], { mixes: /determinant/ }, { notRun: "no square" }),
];

const axis = (k: number) => ({ attributes: { axis: k } });
const EPSILON = { epsilon: { float: 1e-3 } };

export const NORMALIZATION_CASES: readonly OperatorCase[] = [
  ...rows("Softmax LogSoftmax Hardmax LpNormalization", [X], X),
  row("Softmax", ["b 4 t"], "b 4 t", axis(1)),
  row("Softmax", [X], { mixes: /normalises over the time/ }, axis(1)),
  row("LogSoftmax", [X], { mixes: /normalises over the time/ }, axis(-2)),
  row("Softmax", [X], { refuses: "mixes-batch" }, axis(0)),
  row("LayerNormalization", [X, floats(4), floats(4)], X, { attributes: EPSILON }),
  row("LayerNormalization", [X, floats(4)], ["b t 4", "b t 1", "b t 1"], { outputs: 3, attributes: EPSILON }),
  row("LayerNormalization", ["b t 3 4", floats(3, 4), floats(3, 4)], "b t 3 4", axis(2)),
  row("LayerNormalization", [X, floats(6, 4)], { mixes: /normalises over the time/ }, { ...FIXED, ...axis(1) }),
  row("LayerNormalization", ["b t 5", floats(6, 5)], { refuses: "absolute-position" }, FIXED),
  row("LayerNormalization", [X, "4"], { refuses: "unsupported-layout" }),
  row("RMSNormalization", [X, floats(4)], X, { opset: 23 }),
  row("RMSNormalization", ["b 4 t", floats(6)], { mixes: /normalises over the time/ }, { opset: 23, ...FIXED }),
  row("SimplifiedLayerNormalization", [X, floats(4)], X, {
    attributes: { ...EPSILON, axis: -1, stash_type: 1 },
    opset: 17,
  }),
  row("InstanceNormalization", ["bt 4 3 5", floats(4), floats(4)], "bt 4 3 5"),
  row("InstanceNormalization", ["b 4 t", floats(4), floats(4)], { mixes: /normalises over the time/ }),
  row("GroupNormalization", ["bt 4 3", floats(2), floats(2)], "bt 4 3", { attributes: { num_groups: 2 } }),
  row("GroupNormalization", ["bt 4 3", floats(4), floats(4)], "bt 4 3", { attributes: { num_groups: 2 }, opset: 21 }),
  row("GroupNormalization", ["b 4 t", floats(2), floats(2)], { mixes: /./ }, { attributes: { num_groups: 2 } }),
  row("MeanVarianceNormalization", ["b t 4 3"], "b t 4 3", over(2, 3)),
  row("MeanVarianceNormalization", ["3 t 4 3"], "3 t 4 3"),
  row("MeanVarianceNormalization", ["b 4 t 3"], { mixes: /normalises over the time/ }),
  row("LRN", ["b 4 t 3"], "b 4 t 3", { attributes: { size: 3 } }),
  row("LRN", ["b t 4 3"], { mixes: /normalises over the time/ }, { attributes: { size: 3 } }),
  row("BatchNormalization", ["b 4 t", floats(4), floats(4), floats(4), floats(4)], "b 4 t"),
  row("BatchNormalization", ["bt 4", floats(4), floats(4), floats(4), floats(4)], "bt 4"),
  row(
    "BatchNormalization",
    ["b t 4", floats(6), floats(6), floats(6), floats(6)],
    { refuses: "absolute-position" },
    FIXED,
  ),
  row(
    "BatchNormalization",
    ["bt 4", floats(4), floats(4), floats(4), floats(4)],
    { refuses: "mixes-batch" },
    { attributes: { training_mode: 1 } },
  ),
];

const window = (shape: number[], more = {}) => ({ attributes: { kernel_shape: shape, ...more } });

export const CONVOLUTION_CASES: readonly OperatorCase[] = [
  row("Conv", ["b 4 t", floats(5, 4, 1), floats(5)], "b 5 t"),
  row("Conv", ["b 4 t", floats(4, 1, 1)], "b 4 t", { attributes: { group: 4 } }),
  row("Conv", ["bt 4 9", floats(5, 4, 3)], "bt 5 4", { attributes: { strides: [2] } }),
  row("Conv", ["bt 4 9", floats(5, 4, 3)], "bt 5 9", { attributes: { pads: [2, 2], dilations: [2] } }),
  row("Conv", ["bt 4 9", floats(5, 4, 3)], "bt 5 5", { attributes: { auto_pad: "SAME_UPPER", strides: [2] } }),
  row("Conv", ["b 4 t 9", floats(5, 4, 1, 3)], "b 5 t 7"),
  row("Conv", ["b 4 t", floats(5, 4, 3)], { mixes: /convolves along the time/ }),
  row("Conv", ["b 4 t", floats(5, 4, 1)], { mixes: /convolves along the time/ }, { attributes: { pads: [1, 0] } }),
  row("Conv", ["b 4 t", floats(5, 4, 1)], { mixes: /convolves along the time/ }, { attributes: { strides: [2] } }),
  row("Conv", ["b t 4", floats(5, 6, 1)], { mixes: /sums over the time/ }, FIXED),
  row("Conv", ["b 4 t", "5 4 1"], { mixes: /not constant/ }),
  row("ConvTranspose", ["b 4 t", floats(4, 5, 3)], { mixes: /spreads/ }),
  row("ConvTranspose", ["bt 4 9", floats(4, 5, 3)], "bt 5 19", { attributes: { strides: [2] } }),
  row("ConvTranspose", ["b 4 t 9", floats(4, 3, 1, 3)], "b 6 t 18", {
    attributes: { group: 2, strides: [1, 2], pads: [0, 1, 0, 1], output_padding: [0, 1] },
  }),
  row("ConvTranspose", ["b 4 t", floats(4, 5, 1), floats(5)], "b 5 t"),
  row("DFT", ["b t 8 1"], "b t 5 2", { attributes: { axis: 2, onesided: 1 } }),
  row("DFT", ["b t 8 2"], "b t 8 2", { attributes: { axis: 2 } }),
  row("DFT", ["b t 4 1", int(16)], "b t 16 2", { attributes: { axis: 2 } }),
  row("DFT", ["b t 5 2"], "b t 8 1", { attributes: { axis: 2, inverse: 1, onesided: 1 } }),
  row("DFT", ["b t 8 2", undefined, int(-2)], "b t 8 2", { opset: 20, attributes: { inverse: 1 } }),
  row("DFT", ["b t 8 2"], { mixes: /transforms along the time/ }),
  row("DFT", ["b t 8 2", undefined, int(1)], { mixes: /transforms along the time/ }, { opset: 20 }),
  row("STFT", ["b t 1", int(4), floats(8)], { mixes: /transforms windows/ }),
  row(
    "CausalConvWithState",
    ["b 4 t", floats(4, 1, 3)],
    { mixes: /convolves/ },
    { opset: 27, notRun: "operator of opset 27" },
  ),
  row("com.microsoft::CausalConvWithState", ["b 4 t", floats(4, 1, 3)], { mixes: /convolves/ }),
];

export const POOLING_CASES: readonly OperatorCase[] = [
  ...rows("AveragePool MaxPool LpPool", ["b t 9"], "b t 4", window([3], { strides: [2] })),
  ...rows("AveragePool MaxPool", ["b t 9"], "b t 5", window([2], { strides: [2], ceil_mode: 1 })),
  row("AveragePool", ["b 4 t 9"], "b 4 t 9", window([1, 3], { pads: [0, 1, 0, 1] })),
  row("MaxPool", ["b t 9"], "b t 9", window([3], { auto_pad: "SAME_LOWER" })),
  ...rows("AveragePool MaxPool LpPool", ["b 4 t"], { mixes: /pools along the time/ }, window([3])),
  row("MaxPool", ["b t 9"], { refuses: "unsupported-layout" }, { ...window([3]), outputs: 2 }),
  ...rows("GlobalAveragePool GlobalMaxPool GlobalLpPool", ["b t 9 3"], "b t 1 1"),
  ...rows("GlobalAveragePool GlobalMaxPool GlobalLpPool", ["b 4 t"], { mixes: /pools over the time/ }),
  row("Resize", ["b 4 t", undefined, { type: 1, dims: [3], data: Float32Array.of(1, 1, 2) }], {
    mixes: /resizes the time/,
  }),
  row("Resize", ["b t 4", undefined, { type: 1, dims: [3], data: Float32Array.of(1, 1, 2) }], "b t 8"),
  row("Resize", ["bt 1 4", undefined, { type: 1, dims: [3], data: Float32Array.of(1, 1, 1.6) }], "bt 1 6", {
    attributes: { mode: "linear" },
  }),
  row("Resize", ["b t 4", undefined, undefined, ints(7)], "b t 7", { attributes: { axes: [2] } }),
  row("Resize", ["b t 4", undefined, undefined, ints(3)], { mixes: /resizes the time/ }, { attributes: { axes: [1] } }),
];

export const POSITION_CASES: readonly OperatorCase[] = [
  row("RotaryEmbedding", ["b 2 t 8", floats(9, 4), floats(9, 4), "9: b t"], "b 2 t 8", { opset: 23 }),
  row("RotaryEmbedding", ["b 2 t 8", "b t 4", "b t 4"], "b 2 t 8", { opset: 23 }),
  row("RotaryEmbedding", ["b t 16", floats(9, 4), floats(9, 4), "9: b t"], "b t 16", {
    opset: 23,
    attributes: { num_heads: 2 },
  }),
  row(
    "RotaryEmbedding",
    ["b 2 t 8", floats(2, 6, 4), floats(2, 6, 4)],
    { refuses: "mixes-batch" },
    { opset: 23, ...FIXED },
  ),
  row(
    "RotaryEmbedding",
    ["b t 2 8", floats(9, 4), floats(9, 4), "9: b 2"],
    { refuses: "unsupported-layout" },
    { opset: 23 },
  ),
];

const scalar8 = () => bytes("uint8");
const scales = (n?: number) => (n === undefined ? floatScalar(0.05) : floats(n));

export const QUANTIZATION_CASES: readonly OperatorCase[] = [
  row("QuantizeLinear", [X, scales(), scalar8()], X, { range: [0, 9] }),
  row("QuantizeLinear", [X, scales(4), bytes("uint8", 4)], X, { range: [0, 90], attributes: { axis: 2 } }),
  row("QuantizeLinear", [X, scales(6), bytes("uint8", 6)], { refuses: "absolute-position" }, FIXED),
  row("DequantizeLinear", ["uint8: b t 4", scales(), scalar8()], X),
  row("DequantizeLinear", ["uint8: b t 4", scales(4), bytes("uint8", 4)], X, { attributes: { axis: -1 } }),
  row("DequantizeLinear", ["uint8: b t 4", "1", scalar8()], { refuses: "unsupported-layout" }),
  row("MatMulInteger", ["uint8: b t 4", bytes("uint8", 4, 5), scalar8(), scalar8()], "b t 5"),
  row("MatMulInteger", ["uint8: b 4 t", "uint8: b t 4"], { mixes: /sums over the time/ }),
  row(
    "QLinearMatMul",
    ["uint8: b t 4", scales(), scalar8(), bytes("uint8", 4, 5), scales(), scalar8(), floatScalar(0.5), scalar8()],
    "b t 5",
  ),
  row(
    "QLinearMatMul",
    ["uint8: t 4", scales(6), bytes("uint8", 6), bytes("uint8", 4, 5), scales(), scalar8(), scales(), scalar8()],
    { refuses: "unsupported-layout" },
    FIXED,
  ),
  row("ConvInteger", ["uint8: b 4 t", bytes("uint8", 5, 4, 1)], "b 5 t"),
  row("ConvInteger", ["uint8: b 4 t", bytes("uint8", 5, 4, 2)], { mixes: /convolves along/ }),
  row(
    "QLinearConv",
    ["uint8: b 4 t", scales(), scalar8(), bytes("uint8", 5, 4, 1), scales(), scalar8(), floatScalar(0.5), scalar8()],
    "b 5 t",
  ),
  row(
    "QLinearConv",
    ["uint8: b 4 t", scales(), scalar8(), bytes("uint8", 5, 4, 2), scales(), scalar8(), scales(), scalar8()],
    { mixes: /convolves along/ },
  ),
];
