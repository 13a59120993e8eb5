/** Fused operators of ONNX Runtime. */
import { bytes, floatScalar, floats, type OperatorCase, row, rows } from "./case.ts";

const X = "b t 8";
const FIXED = { fixed: { batch: 2, time: 6 } };
const zero = () => bytes("uint8");
const scale = () => floatScalar(0.05);
const EPSILON = { epsilon: { float: 1e-3 } };
const GPU = { notRun: "ONNX Runtime has it for GPUs only" };

const plain: readonly OperatorCase[] = [
  ...rows("Gelu QuickGelu FastGelu", [X], X, { range: [-2, 2] }),
  ...rows("BiasGelu FastGelu", [X, floats(8)], X, { range: [-2, 2] }),
  row("BiasSplitGelu", ["b t 8", floats(8)], "b t 4", GPU),
  row("FusedMatMul", [X, floats(8, 5)], "b t 5", { attributes: { alpha: { float: 0.5 } } }),
  row("FusedMatMul", [X, floats(5, 8)], "b t 5", { attributes: { transB: 1 } }),
  row("FusedMatMul", ["b 8 t", floats(8, 5)], "b t 5", { attributes: { transA: 1 } }),
  row("FusedMatMul", ["b 8 t", "b 8 t"], { mixes: /every position with every other/ }, { attributes: { transA: 1 } }),
  row("FusedMatMul", ["t b 3 8", floats(1, 3, 8, 5)], "b 3 t 5", { attributes: { transBatchA: 1 } }),
  row("FusedMatMul", ["t 3 8", floats(3, 8, 5)], "3 t 5", { attributes: { transBatchA: 1 } }),
  row("TransposeMatMul", [X, floats(5, 8)], "b t 5", { attributes: { transB: 1 } }),
  row("FusedGemm", ["bt 8", floats(8, 5), floats(5)], "bt 5", { attributes: { activation: "Relu" } }),
  row(
    "FusedGemm",
    ["t 8", floats(8, 5), floats(6, 5)],
    { refuses: "absolute-position" },
    { ...FIXED, attributes: { activation: "Relu" } },
  ),
  row("FusedConv", ["b 8 t", floats(5, 8, 1), floats(5)], "b 5 t"),
  row("FusedConv", ["b 8 t", floats(5, 8, 1), floats(5)], "b 5 t", { attributes: { activation: "Relu" } }),
  row("FusedConv", ["b 8 t", floats(5, 8, 1), floats(5), "b 5 t"], "b 5 t", {
    attributes: { activation: "Relu" },
    notRun: "sums in four dimensions only",
  }),
  row("FusedConv", ["b 8 t 3", floats(5, 8, 1, 1), floats(5), "b 5 t 3"], "b 5 t 3", {
    attributes: { activation: "Relu" },
  }),
  row(
    "FusedConv",
    ["b 8 t", floats(5, 8, 2), floats(5)],
    { mixes: /convolves along/ },
    { attributes: { activation: "Relu" } },
  ),
  row("GemmFastGelu", [X, floats(8, 5), floats(5)], "b t 5", GPU),
  row("SkipLayerNormalization", [X, X, floats(8), floats(8), floats(8)], X, { attributes: EPSILON }),
  row("SkipLayerNormalization", [X, "1 t 8", floats(8)], X, { attributes: EPSILON }),
  row("SkipLayerNormalization", [X, X, floats(8)], [X, "b t 1", "b t 1", X], {
    attributes: EPSILON,
    outputs: 4,
    notRun: "the middle outputs are not made",
  }),
  row("SkipSimplifiedLayerNormalization", [X, X, floats(8)], X, { attributes: EPSILON }),
  row("SkipLayerNormalization", ["b 8 t", "b 8 t", floats(6)], { mixes: /normalises over the time/ }, FIXED),
  row("BiasSoftmax", ["b t 3 8", "b t 1 8"], "b t 3 8", { attributes: { axis: 3, is_inner_broadcast: 1 }, ...GPU }),
  row(
    "BiasSoftmax",
    ["b 3 t 8", "b 1 t 8"],
    { mixes: /normalises over the time/ },
    { attributes: { axis: 2, is_inner_broadcast: 1 } },
  ),
  row("BiasAdd", ["b t 8", floats(8), "b t 8"], X, GPU),
  row("MatMulNBits", ["b t 32", bytes("uint8", 5, 1, 16), floats(5)], "b t 5", {
    attributes: { K: 32, N: 5, bits: 4, block_size: 32 },
  }),
  row(
    "MatMulNBits",
    ["b 32 t", bytes("uint8", 5, 1, 16), floats(5)],
    { mixes: /sums over the time/ },
    { attributes: { K: 32, N: 5, bits: 4, block_size: 32 } },
  ),
  row("MatMulBnb4", ["b t 32", bytes("uint8", 80), floats(5)], "b t 5", {
    attributes: { K: 32, N: 5, block_size: 32, quant_type: 1 },
  }),
  row(
    "MatMulIntegerToFloat",
    ["uint8: b t 8", bytes("uint8", 8, 5), scale(), scale(), zero(), zero(), floats(5)],
    "b t 5",
  ),
  ...rows("ComplexMul ComplexMulConj", ["b t 4 2", "b t 4 2"], "b t 4 2", GPU),
  row("QuantizeLinear", [X, scale(), zero()], X, { range: [0, 9] }),
  row("DequantizeLinear", ["uint8: b t 8", scale(), zero()], X),
  row("Trilu", ["b t 4 3"], "b t 4 3"),
  ...rows(
    "QLinearAdd QLinearMul",
    ["uint8: b t 8", scale(), zero(), "uint8: b t 8", scale(), zero(), floatScalar(0.1), zero()],
    X,
  ),
  row(
    "QLinearAdd",
    ["uint8: b t 8", scale(), zero(), bytes("uint8", 6, 8), scale(), zero(), scale(), zero()],
    { refuses: "absolute-position" },
    FIXED,
  ),
  row("QLinearSigmoid", ["uint8: b t 8", floatScalar(0.01), zero(), floatScalar(0.004), zero()], X),
  row("QLinearLeakyRelu", ["uint8: b t 8", scale(), zero(), scale(), zero()], X, {
    attributes: { alpha: { float: 0.1 } },
  }),
];

export const FUSED_CASES: readonly OperatorCase[] = plain.map((each) => ({ ...each, op: `com.microsoft::${each.op}` }));
