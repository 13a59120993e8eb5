/** Shapes of what operators make, from the shapes and the numbers that they are given. By `domain::Name` outside the standard domain. */
import { fromFront } from "../graph/axis.ts";
import { Attention, GroupQueryAttention, MultiHeadAttention, PackedAttention } from "./attention.ts";
import { broadcast, type Known, listOf, numbersIn, type ShapeRule } from "./known.ts";
import {
  Concat,
  Flatten,
  Gather,
  GatherND,
  Pad,
  Reshape,
  Resize,
  Slice,
  Split,
  Squeeze,
  Tile,
  TopK,
  Transpose,
  Unsqueeze,
  Upsample,
} from "./parts.ts";
import { Conv, ConvTranspose, DFT, Einsum, Gemm, MatMul, Pool, Recurrent, STFT } from "./products.ts";

const isNumber = (value: unknown): value is number => typeof value === "number";
const elementwise: ShapeRule = (inputs) => broadcast(inputs.filter((each) => each).map((each) => each!.dims));
const first: ShapeRule = ([data]) => data?.dims;

const Range: ShapeRule = ([start, limit, delta]) => {
  const [from, to, by] = [start?.values?.[0], limit?.values?.[0], delta?.values?.[0]];
  return [isNumber(from) && isNumber(to) && by ? Math.max(0, Math.ceil((to - from) / by)) : Number.NaN];
};

const OneHot: ShapeRule = ([indices, depth]) =>
  indices?.dims && depth?.values ? [...indices.dims, depth.values[0]!] : undefined;

/** The axes are an attribute in old opsets, and an input in newer ones. */
const reduce: ShapeRule = ([data, axes], { axes: attribute, keepdims = 1 }) => {
  const dims = data?.dims;
  if (axes && !axes.values) return keepdims ? dims?.map(() => Number.NaN) : undefined;
  const given = axes?.values ?? listOf(attribute);
  const along = new Set(given?.map((axis) => fromFront(axis, dims?.length ?? 0)) ?? dims?.keys());
  return dims?.flatMap((dim, k) => (along.has(k) ? (keepdims ? [1] : []) : [dim]));
};

/** A window function of so many points. */
const Window: ShapeRule = ([size]) => size?.values && [size.values[0] ?? 0];

const along: ShapeRule = ([data], { axis = 0, keepdims = 1 }) => {
  const at = data?.dims && fromFront(Number(axis), data.dims.length);
  return data?.dims?.flatMap((dim, k) => (k === at ? (keepdims ? [1] : []) : [dim]));
};

const REDUCTIONS = ["Sum", "Mean", "Max", "Min", "Prod", "L1", "L2", "SumSquare", "LogSum", "LogSumExp"];
const BROADCAST = [
  "Add",
  "Sub",
  "Mul",
  "Div",
  "Pow",
  "Mod",
  "Where",
  "And",
  "Or",
  "Xor",
  "Equal",
  "Greater",
  "Less",
].concat([
  "BitwiseAnd",
  "BitwiseOr",
  "BitwiseXor",
  "GreaterOrEqual",
  "LessOrEqual",
  "Min",
  "Max",
  "Sum",
  "Mean",
  "BitShift",
  "PRelu",
]);
const AS_FIRST = [
  "Neg",
  "Abs",
  "Exp",
  "Log",
  "Sin",
  "Cos",
  "Sqrt",
  "Reciprocal",
  "Erf",
  "Relu",
  "Sigmoid",
  "Tanh",
  "Elu",
].concat(
  [
    "Cast",
    "Identity",
    "Softmax",
    "LayerNormalization",
    "CumSum",
    "Trilu",
    "Floor",
    "Ceil",
    "Round",
    "Clip",
    "Not",
    "Gelu",
  ],
  ["Softplus", "LeakyRelu", "Dropout", "LogSoftmax", "Sign", "HardSigmoid", "HardSwish", "EyeLike", "Selu", "Mish"],
  [
    "Tan",
    "Sinh",
    "Cosh",
    "Asin",
    "Acos",
    "Atan",
    "Asinh",
    "Acosh",
    "Atanh",
    "Celu",
    "ThresholdedRelu",
    "Softsign",
    "Shrink",
  ],
  ["IsNaN", "IsInf", "BitwiseNot", "Bernoulli", "ReverseSequence", "Hardmax", "Swish", "CumProd"],
  ["SimplifiedLayerNormalization", "RotaryEmbedding", "Silu", "CastLike", "DynamicQuantizeLinear"],
  ["BatchNormalization", "InstanceNormalization", "GroupNormalization", "RMSNormalization", "LpNormalization", "LRN"],
  ["QuantizeLinear", "DequantizeLinear", "ScatterND", "ScatterElements", "Scatter", "MeanVarianceNormalization"],
);

const MICROSOFT_AS_FIRST = [
  ...["BiasAdd", "BiasGelu", "BiasSoftmax", "FastGelu", "Gelu", "QuickGelu", "RotaryEmbedding", "Trilu"],
  ...["SkipLayerNormalization", "SkipSimplifiedLayerNormalization", "QuantizeLinear", "DequantizeLinear"],
];

/** Every axis behind the channels is one. */
const globalPool: ShapeRule = ([data]) => data?.dims?.map((dim, k) => (k < 2 ? dim : 1));

/** https://github.com/microsoft/onnxruntime/blob/main/docs/ContribOperators.md#com.microsoft.FusedMatMul */
const FusedMatMul: ShapeRule = ([a, b], { transA = 0, transB = 0, transBatchA = 0, transBatchB = 0 }, at) => {
  if (transBatchA || transBatchB) return undefined;
  const turned = (known: Known | undefined, isTurned: unknown): Known | undefined =>
    known?.dims && isTurned
      ? { ...known, dims: [...known.dims.slice(0, -2), ...known.dims.slice(-2).reverse()] }
      : known;
  return MatMul([turned(a, transA), turned(b, transB)], {}, at);
};

const MatMulNBits: ShapeRule = ([data], { N }) => data?.dims?.with(-1, Number(N));

/** Operators whose other outputs have shapes by the same rule. */
export const MANY_OUTPUTS: ReadonlySet<string> = new Set(["Split", "TopK", "LSTM", "GRU", "RNN"]);

/** By operator. */
export const SHAPE_RULES: Readonly<Record<string, ShapeRule>> = {
  ...Object.fromEntries(BROADCAST.map((op) => [op, elementwise])),
  ...Object.fromEntries(AS_FIRST.map((op) => [op, first])),
  ...{
    Range,
    Reshape,
    Pad,
    Concat,
    Gather,
    Unsqueeze,
    Squeeze,
    Slice,
    MatMul,
    Gemm,
    DFT,
    Conv,
    Transpose,
    Tile,
    OneHot,
    Einsum,
    Split,
    TopK,
    GatherND,
    Flatten,
    Resize,
    Upsample,
    ConvTranspose,
    STFT,
    MaxPool: Pool,
    AveragePool: Pool,
    LpPool: Pool,
    LSTM: Recurrent,
    GRU: Recurrent,
    RNN: Recurrent,
    HannWindow: Window,
    HammingWindow: Window,
    BlackmanWindow: Window,
    ArgMax: along,
    ArgMin: along,
    MatMulInteger: MatMul,
    ConvInteger: Conv,
  },
  ...Object.fromEntries(REDUCTIONS.map((of) => [`Reduce${of}`, reduce])),
  ConstantOfShape: ([shape]) => numbersIn(shape),
  Expand: ([data, shape]) => broadcast([data?.dims, numbersIn(shape)]),
  Shape: ([data], { start = 0, end }) =>
    data?.dims && [data.dims.slice(Number(start), end === undefined ? undefined : Number(end)).length],
  GatherElements: ([, indices]) => indices?.dims,
  ...Object.fromEntries(MICROSOFT_AS_FIRST.map((op) => [`com.microsoft::${op}`, first])),
  ...{
    Attention,
    "com.microsoft::Attention": PackedAttention,
    GlobalAveragePool: globalPool,
    GlobalLpPool: globalPool,
    GlobalMaxPool: globalPool,
    "com.microsoft::FusedConv": Conv,
    "com.microsoft::FusedMatMul": FusedMatMul,
    "com.microsoft::MatMulNBits": MatMulNBits,
    "com.microsoft::FusedGemm": Gemm,
    "com.microsoft::GroupQueryAttention": GroupQueryAttention,
    "com.microsoft::MultiHeadAttention": MultiHeadAttention,
  },
};
