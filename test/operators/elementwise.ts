/** Elementwise operators. */
import { floatScalar, floats, type OperatorCase, row, rows } from "./case.ts";

const X = "b t 4";
const FIXED = { fixed: { batch: 2, time: 6 } };

export const ELEMENTWISE_CASES: readonly OperatorCase[] = [
  ...rows("Abs Acos Asin Asinh Atan Atanh Ceil Celu Cos Cosh Elu Erf Exp Floor HardSigmoid Log Neg", [X], X, {
    range: [-0.9, 0.9],
  }),
  ...rows("HardSwish LeakyRelu Mish Reciprocal Relu Round Selu Shrink Sigmoid Sign Sin Sinh Softplus", [X], X, {
    range: [-3, 3],
  }),
  ...rows("Softsign Sqrt Tan Tanh ThresholdedRelu Identity", [X], X, { range: [0.1, 3] }),
  row("Acosh", [X], X, { range: [1.1, 3] }),
  row("Gelu", [X], X, { opset: 20 }),
  row("Swish", [X], X, { opset: 24, notRun: "operator of opset 24" }),
  ...rows("IsInf IsNaN", [X], X, { insensitive: true }),
  row("Cast", [X], X, { attributes: { to: 11 } }),
  row("Cast", [X], X, { attributes: { to: 7 }, range: [-9, 9] }),
  row("CastLike", [X, "double: b t 4"], X),
  row("Not", ["bool: b t 4"], X),
  ...rows("And Or Xor", ["bool: b t 4", "bool: b t 4"], X),
  ...rows("BitwiseAnd BitwiseOr BitwiseXor", ["9: b t 4", "9: b t 4"], X),
  row("BitwiseNot", ["9: b t 4"], X),
  row("BitShift", ["uint32: b t 4", "uint32: b t 4"], X, { attributes: { direction: "RIGHT" } }),
  ...rows("Add Sub Mul Div Pow Max Min Mean Sum", [X, X], X),
  ...rows("Greater GreaterOrEqual Less LessOrEqual", [X, X], X),
  row("Equal", ["3: b t 4", "3: b t 4"], X),
  row("Mod", ["20: b t 4", { ...floats(1), type: 7, dims: [4], data: BigInt64Array.of(3n, 4n, 5n, 7n) }], X),
  row("Where", ["bool: b t 4", X, X], X),
  row("Where", ["bool: b t 1", X, floats(4)], X),
  row("PRelu", [X, floats(4)], X, { range: [-1, 1] }),
  row("PRelu", ["b 4 t", floats(4, 1)], "b 4 t", { range: [-1, 1] }),
  row("Clip", [X, floatScalar(0.4), floatScalar(0.6)], X),
  row("Dropout", [X], [X, X], { outputs: 2 }),
  row("Dropout", [X, floatScalar(0.5), { type: 9, dims: [], data: Uint8Array.of(1) }], { refuses: "random" }),

  // broadcasting
  row("Add", [X, "b 1 4"], X),
  row("Add", [X, "b t 1"], X),
  row("Mul", ["b 1 4", "t 1"], X),
  row("Add", ["bt 4", floats(4)], "bt 4"),
  row("Add", [X, "t 4"], X),
  row("Add", ["t b 4", floats(1, 4)], "t b 4"),
  // every position meets every other one
  row("BitCast", ["b t 4"], "b t 4", { attributes: { to: 6 }, opset: 26, notRun: "operator of opset 26" }),
  row("Mul", ["b t 1", "b 1 t"], { mixes: /every position with every other/ }),
  row("Mul", ["b 1 4", "b 1 1 4"], { refuses: "mixes-batch" }),
  row("Add", ["b t 4", "t b 4"], { mixes: /differ/ }),
  // a size as a value
  row("Max", [X, "shape"], { refuses: "depends-on-length" }),
  row("Clip", ["9: b t 4", "shape"], { refuses: "depends-on-length" }),
  row("Where", ["bool: b t 4", "shape", "9: b t 4"], { refuses: "depends-on-length" }),
  // a table with a row for each position
  row("Add", ["b t 5", floats(1, 6, 5)], { refuses: "absolute-position" }, FIXED),
  row("Add", ["b t 5", floats(2, 1, 5)], { refuses: "mixes-batch" }, FIXED),
  row("PRelu", ["b 5 t", floats(6)], { refuses: "absolute-position" }, FIXED),
  // as many channels as positions, and as many as sequences
  row("Add", ["b t 6", floats(6)], "b t 6", FIXED),
  row("Add", ["b t 2", floats(1, 1, 2)], "b t 2", FIXED),
];
