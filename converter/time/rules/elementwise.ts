/** Elementwise operators with numpy broadcasting: pointwise along time when the time axes meet each other. */
import { allOutputs, axesOf, type Family, joined, type Rule, refuses } from "../facts/rule.ts";
import { broadcast } from "./broadcast.ts";

/** Any function of the operands at the same place. */
export const elementwise: Rule = (inputs, _attributes, context) => {
  const met = broadcast(inputs, context);
  return "axes" in met ? joined(inputs, met.axes) : met;
};

/** A function of the first operand; the others say only how (a type, a range). */
const ofFirst: Rule = ([data], _attributes, context) => elementwise([data], {}, context, 1);

/**
 * https://onnx.ai/onnx/operators/onnx__Dropout.html: nothing at inference; random where the input `training_mode` is
 * true or is not constant.
 */
const Dropout: Rule = ([data, _ratio, training], _attributes, context, outputs) => {
  const mode = training?.constant();
  if (training && (!mode || Number(mode.data[0]) !== 0))
    return refuses(
      "random",
      "is exported in training mode and drops values at random",
      "Call model.eval() before exporting.",
    );
  const met = broadcast([data], context);
  return "axes" in met ? allOutputs([data], Array(outputs).fill(met.axes)) : met;
};

/** https://onnx.ai/onnx/operators/onnx__Identity.html: whatever it is, it stays that. */
const Identity: Rule = ([data]) => {
  const axes = axesOf(data!);
  return axes ? joined([data], axes) : { outputs: [data!.fact] };
};

const OPERATORS = [
  [
    "Abs",
    "Acos",
    "Acosh",
    "Add",
    "And",
    "Asin",
    "Asinh",
    "Atan",
    "Atanh",
    "BitCast",
    "BitShift",
    "BitwiseAnd",
    "BitwiseNot",
  ],
  ["BitwiseOr", "BitwiseXor", "Cast", "Ceil", "Celu", "Clip", "Cos", "Cosh", "Div", "Elu", "Equal", "Erf"],
  ["Exp", "Floor", "Gelu", "Greater", "GreaterOrEqual", "HardSigmoid", "HardSwish", "IsInf", "IsNaN"],
  ["LeakyRelu", "Less", "LessOrEqual", "Log", "Max", "Mean", "Min", "Mish", "Mod", "Mul", "Neg", "Not", "Or"],
  ["PRelu", "Pow", "Reciprocal", "Relu", "Round", "Selu", "Shrink", "Sigmoid", "Sign", "Sin", "Sinh", "Softplus"],
  ["Softsign", "Sqrt", "Sub", "Sum", "Swish", "Tan", "Tanh", "ThresholdedRelu", "Where", "Xor"],
].flat();

/** By operator; each acts on the values at the same place alone. */
export const elementwiseRules: Readonly<Record<string, Rule>> = {
  ...Object.fromEntries(OPERATORS.map((op) => [op, elementwise])),
  CastLike: ofFirst,
  Dropout,
  Identity,
};

export const ELEMENTWISE: Family = {
  title: "Elementwise",
  pointwise: "where time meets time, or an axis of size 1",
  otherwise: "a table with a row for each position of a fixed-length export, or a number made of the length: refused",
  rules: elementwiseRules,
};
