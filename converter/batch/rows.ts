/** What operators are when their data have a batch in front: one row a family. */
import { toNumbers } from "../graph/tensor.ts";
import { ofOwnBatch, recurrent } from "./layers.ts";
import { Einsum, Gemm, MatMul } from "./products.ts";
import { alongAxes, alongAxis, elementwise, type Row } from "./row.ts";
import { Concat, Expand, Gather, Pad, Reshape, Shape, Slice, Tile, Transpose, Trilu } from "./shapes.ts";

/** Its axis is an attribute before opset 20, an input from there on. */
const DFT: Row = (site) => {
  if (site.b.opset < 20) return alongAxis(1)(site);
  const axis = site.constantOf(site.node.inputs[2] ?? "");
  return axis !== undefined && toNumbers(axis)[0]! >= 0 && alongAxes(2)(site);
};

const each = (names: readonly string[], row: Row) => Object.fromEntries(names.map((name) => [name, row]));

export const ROWS: Readonly<Record<string, Row>> = {
  ...each(
    ["Abs", "Add", "And", "Cast", "Ceil", "Clip", "Cos", "Div", "Elu", "Equal", "Erf", "Exp", "Floor", "Gelu"],
    elementwise,
  ),
  ...each(
    ["Greater", "GreaterOrEqual", "HardSigmoid", "HardSwish", "Identity", "LeakyRelu", "Less", "LessOrEqual"],
    elementwise,
  ),
  ...each(
    ["Log", "Max", "Min", "Mish", "Mul", "Neg", "Not", "Or", "PRelu", "Pow", "Reciprocal", "Relu", "Selu"],
    elementwise,
  ),
  ...each(["Sigmoid", "Sign", "Sin", "Softplus", "Softsign", "Sqrt", "Sub", "Sum", "Tanh", "Where"], elementwise),
  ...each(
    ["Acos", "Acosh", "Asin", "Asinh", "Atan", "Atanh", "CastLike", "Celu", "Cosh", "Dropout", "IsInf", "IsNaN"],
    elementwise,
  ),
  ...each(["Mean", "Mod", "Round", "Sinh", "Swish", "Tan", "ThresholdedRelu", "Xor"], elementwise),
  ...each(
    ["Softmax", "LogSoftmax", "Hardmax", "LayerNormalization", "LpNormalization", "RMSNormalization", "TopK"],
    alongAxis(-1),
  ),
  ...each(["Split", "ArgMax", "ArgMin"], alongAxis(0)),
  ...each(
    ["Unsqueeze", "Squeeze", "CumSum", "CumProd", "ReduceMean", "ReduceSum", "ReduceMax", "ReduceMin", "ReduceL2"],
    alongAxes(1),
  ),
  ...each(["ReduceL1", "ReduceLogSum", "ReduceLogSumExp", "ReduceProd", "ReduceSumSquare"], alongAxes(1)),
  ...each(["Conv", "MaxPool", "AveragePool", "BatchNormalization"], ofOwnBatch),
  ...each(["RNN", "GRU", "LSTM"], recurrent),
  ...{ Concat, Transpose, Reshape, Expand, Gather, MatMul, Gemm, Shape, Slice, Pad, Tile, Trilu, Einsum, DFT },
};
