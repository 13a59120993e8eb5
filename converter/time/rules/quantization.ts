/** Quantised operators: as their float sisters where scales and zero points are constant and none runs along time. */

import { fromFront } from "../../graph/axis.ts";
import { channelsIn, describeLayout, isChannelAxis } from "../facts/fact.ts";
import { axesOf, type Family, joined, type Operand, type Rule, refuses, type Verdict } from "../facts/rule.ts";
import { product } from "./contraction.ts";
import { convolved } from "./convolution.ts";
import { cutUp, unfollowed } from "./movement.ts";
import { notConstant } from "./normalization.ts";

type Parameters = readonly (Operand | undefined)[];

/** Why these are not single constant numbers, if so. */
export function notScalars(parameters: Parameters): Verdict | undefined {
  const refusal = notConstant(parameters);
  if (refusal) return refusal;
  const many = parameters.find((parameter) => parameter && axesOf(parameter)!.some((axis) => channelsIn(axis) !== 1));
  return many && refuses("unsupported-layout", `has a scale or zero point for each row of a stream, '${many.name}'`);
}

/**
 * https://onnx.ai/onnx/operators/onnx__QuantizeLinear.html and DequantizeLinear: one scale, one for each entry of
 * `axis`, or one for each block of them.
 */
const quantize: Rule = ([data, scale, zero], { axis = 1 }) => {
  const axes = axesOf(data!);
  if (!axes) return unfollowed(data!);
  const refusal = notConstant([scale, zero]);
  if (refusal) return refusal;
  const scales = axesOf(scale!)!;
  const single = scales.every((own) => own.length === 0);
  if (single) return joined([data], axes);
  const k = fromFront(Number(axis), axes.length);
  // without blocks there is one axis of scales; with them all axes, that one shorter
  const scaled = scales.length === 1 ? [k] : axes.map((_, i) => i).filter((i) => scales[i]?.length || i === k);
  const symbolic = scaled.map((i) => axes[i]!).find((own) => !isChannelAxis(own));
  if (symbolic?.includes("time"))
    return refuses("absolute-position", `has a scale for each position of ${describeLayout(axes)}`);
  return symbolic ? cutUp(symbolic, "scales along") : joined([data], axes);
};

/** https://onnx.ai/onnx/operators/onnx__MatMulInteger.html */
const MatMulInteger: Rule = ([a, b, zeroA, zeroB], _attributes, context) =>
  notScalars([zeroA]) ?? notConstant([zeroB]) ?? product(a!, b!, context);

/** https://onnx.ai/onnx/operators/onnx__QLinearMatMul.html */
const QLinearMatMul: Rule = ([a, scaleA, zeroA, b, scaleB, zeroB, scaleY, zeroY], _attributes, context) =>
  notScalars([scaleA, zeroA, scaleY, zeroY]) ?? notConstant([scaleB, zeroB]) ?? product(a!, b!, context);

/** https://onnx.ai/onnx/operators/onnx__ConvInteger.html */
const ConvInteger: Rule = ([data, weight, zero, zeroWeight], attributes) =>
  notScalars([zero]) ?? convolved(data!, weight!, [zeroWeight], attributes);

/** https://onnx.ai/onnx/operators/onnx__QLinearConv.html */
const QLinearConv: Rule = (inputs, attributes) => {
  const [data, scale, zero, weight, scaleWeight, zeroWeight, scaleY, zeroY, bias] = inputs;
  return (
    notScalars([scale, zero, scaleY, zeroY]) ?? convolved(data!, weight!, [scaleWeight, zeroWeight, bias], attributes)
  );
};

export const QUANTIZATION: Family = {
  title: "Quantised operators",
  pointwise: "where their float sisters are, scales and zero points are constant, and none runs along time",
  otherwise: "as their float sisters; dynamic quantisation is refused",
  rules: {
    QuantizeLinear: quantize,
    DequantizeLinear: quantize,
    MatMulInteger,
    QLinearMatMul,
    ConvInteger,
    QLinearConv,
  },
};
