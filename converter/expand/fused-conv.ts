/**
 * A convolution with the sum and the activation behind it, as ONNX Runtime's optimizer writes them:
 * https://github.com/microsoft/onnxruntime/blob/main/docs/ContribOperators.md#com.microsoft.FusedConv
 *
 *     Y = activation(Conv(X, W, B) + Z)
 */
import type { AttributeInput } from "../graph/attributes.ts";
import type { Builder } from "../graph/build.ts";
import type { Expansion } from "./expansion.ts";

/** Adds an activation of a tensor under a name. @param params as `activation_params` has them */
type Activation = (b: Builder, x: string, params: readonly number[], y: string) => void;

const plain =
  (op: string): Activation =>
  (b, x, _, y) =>
    void b.one(op, [x], {}, { outputs: [y] });

/** How many parameters each takes, and what it is. */
const ACTIVATIONS: Readonly<Record<string, readonly [parameters: number, activation: Activation]>> = {
  "": [0, plain("Identity")],
  Relu: [0, plain("Relu")],
  Sigmoid: [0, plain("Sigmoid")],
  Tanh: [0, plain("Tanh")],
  LeakyRelu: [1, (b, x, [alpha], y) => void b.one("LeakyRelu", [x], { alpha: { float: alpha! } }, { outputs: [y] })],
  Clip: [
    2,
    (b, x, [least, most], y) =>
      void b.one("Clip", [x, b.floats("least", [], [least!]), b.floats("most", [], [most!])], {}, { outputs: [y] }),
  ],
  HardSigmoid: [
    2,
    (b, x, [alpha, beta], y) =>
      void b.one("HardSigmoid", [x], { alpha: { float: alpha! }, beta: { float: beta! } }, { outputs: [y] }),
  ],
};

/** What Conv takes as it is. */
const OF_CONV = ["auto_pad", "dilations", "group", "kernel_shape", "pads", "strides"];

export const FusedConv: Expansion = (b, { inputs, outputs, attributes }) => {
  const [x, w, bias = "", sum = ""] = inputs;
  const params = (attributes.activation_params ?? []) as readonly number[];
  const known = ACTIVATIONS[String(attributes.activation ?? "")];
  if (!known || known[0] !== params.length) return false;
  const own = OF_CONV.flatMap((name) => (attributes[name] === undefined ? [] : [[name, attributes[name]]]));
  const y = b.one("Conv", [x!, w!, bias], Object.fromEntries(own) as Record<string, AttributeInput>);
  known[1](b, sum ? b.one("Add", [y, sum]) : y, params, outputs[0]!);
  return true;
};
