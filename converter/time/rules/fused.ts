/**
 * The fused operators of domain com.microsoft that ONNX Runtime's offline optimizer and quantisers write.
 * https://github.com/microsoft/onnxruntime/blob/main/docs/ContribOperators.md
 */

import { fromFront } from "../../graph/axis.ts";
import type { AttributeValue } from "../../graph/graph.ts";
import { type Axis, channelsIn, isChannelAxis } from "../facts/fact.ts";
import { axesOf, type Family, joined, type Operand, type Rule, refuses, type Verdict } from "../facts/rule.ts";
import { broadcast } from "./broadcast.ts";
import { Gemm, product, withAddend } from "./contraction.ts";
import { convolved } from "./convolution.ts";
import { elementwise } from "./elementwise.ts";
import { channelAxis, cutUp, unfollowed } from "./movement.ts";
import { notConstant, overLast } from "./normalization.ts";
import { notScalars, QUANTIZATION } from "./quantization.ts";
import { refusedOver } from "./reduction.ts";
import { SELECTION } from "./selection.ts";

const FusedMatMul: Rule = ([a, b], { transA = 0, transB = 0, transBatchA = 0, transBatchB = 0 }, context) => {
  const flags = { a: transA, b: transB, batchA: transBatchA, batchB: transBatchB };
  return product(a!, b!, context, Object.fromEntries(Object.entries(flags).map(([key, flag]) => [key, Boolean(flag)])));
};

/** A convolution, a residual of the shape of its result (input 3), and an activation. */
const FusedConv: Rule = ([data, weight, bias, residual], attributes, context) =>
  withAddend(convolved(data!, weight!, [bias], attributes), residual, context);

const GemmFastGelu: Rule = ([a, b, bias], _attributes, context) => withAddend(product(a!, b!, context), bias, context);

/** Halves the last axis: one half gates the other. */
const BiasSplitGelu: Rule = ([data, bias], _attributes, context) => {
  const met = broadcast([data, bias], context);
  if (!("axes" in met)) return met;
  const last = met.axes.at(-1)!;
  if (!isChannelAxis(last)) return cutUp(last, "splits");
  return joined([data, bias], [...met.axes.slice(0, -1), channelAxis(channelsIn(last) / 2)]);
};

/** The sum of input and skip (and bias), normalised over the last axis; the last of four outputs is the sum. */
const skipNormalization: Rule = ([data, skip, ...parameters], _attributes, context, outputs) => {
  const met = broadcast([data, skip], context);
  if (!("axes" in met)) return met;
  const fact = joined([data, skip], met.axes);
  if (!("outputs" in fact)) return fact;
  const sum: Operand = { name: "sum", fact: fact.outputs[0]!, constant: () => undefined };
  return overLast([sum], parameters, -1, context, outputs, true);
};

/** Adds a mask to the data and normalises over the axes from `axis` on. */
const BiasSoftmax: Rule = ([data, mask], { axis = 1 }, context) => {
  const met = broadcast([data, mask], context);
  if (!("axes" in met)) return met;
  const first = fromFront(Number(axis), met.axes.length);
  const over = met.axes.map((_, k) => k).filter((k) => k >= first);
  return refusedOver(met.axes, over, "normalises") ?? joined([data, mask], met.axes);
};

/** A product with a constant matrix of so many columns, stored in blocks of few bits. */
const packedProduct: Rule = ([data, ...weights], { K, N }: Readonly<Record<string, AttributeValue | undefined>>) => {
  const axes = axesOf(data!);
  if (!axes) return unfollowed(data!);
  const last = axes.at(-1)!;
  if (!isChannelAxis(last)) return cutUp(last, "sums over");
  if (channelsIn(last) !== Number(K)) return refuses("invalid-graph", `takes ${K} channels, got ${channelsIn(last)}`);
  return notConstant(weights) ?? joined([data], [...axes.slice(0, -1), channelAxis(Number(N))]);
};

const MatMulIntegerToFloat: Rule = ([a, b, scaleA, scaleB, zeroA, zeroB, bias], _attributes, context) =>
  notScalars([scaleA, zeroA]) ??
  notConstant([scaleB, zeroB, bias]) ??
  withAddend(product(a!, b!, context), bias, context);

/** Complex numbers are pairs in the last axis. */
const complexProduct: Rule = ([a, b], _attributes, context) => {
  const met = broadcast([a, b], context);
  if (!("axes" in met)) return met;
  const pair: Axis = met.axes.at(-1)!;
  return isChannelAxis(pair) ? joined([a, b], met.axes) : cutUp(pair, "multiplies pairs along");
};

/** Elementwise on quantised data: each operand comes with its scale and zero point, and so does the result. */
const quantized =
  (count: number): Rule =>
  (inputs, _attributes, context): Verdict => {
    const operands = Array.from({ length: count }, (_, i) => inputs[3 * i]);
    const parameters = inputs.filter((_, i) => i >= 3 * count || i % 3 !== 0);
    const refusal = notScalars(parameters);
    return refusal ?? elementwise(operands, {}, context, 1);
  };

/** Data, a bias for each channel, and data of the same shape. */
const BiasAdd: Rule = ([data, bias, skip], _attributes, context) =>
  notConstant([bias]) ?? elementwise([data, bias, skip], {}, context, 1);

const ELEMENTWISE = ["Gelu", "BiasGelu", "FastGelu", "QuickGelu"];

export const FUSED: Family = {
  title: "Fused operators of ONNX Runtime (com.microsoft)",
  pointwise: "where the operators of which they are made are",
  otherwise: "as the operators of which they are made",
  rules: Object.fromEntries(
    Object.entries({
      ...Object.fromEntries(ELEMENTWISE.map((op) => [op, elementwise])),
      FusedMatMul,
      TransposeMatMul: FusedMatMul,
      FusedGemm: Gemm,
      FusedConv,
      GemmFastGelu,
      BiasSplitGelu,
      SkipLayerNormalization: skipNormalization,
      SkipSimplifiedLayerNormalization: skipNormalization,
      BiasSoftmax,
      BiasAdd,
      MatMulNBits: packedProduct,
      MatMulBnb4: packedProduct,
      MatMulIntegerToFloat,
      ComplexMul: complexProduct,
      ComplexMulConj: complexProduct,
      QuantizeLinear: QUANTIZATION.rules.QuantizeLinear!,
      DequantizeLinear: QUANTIZATION.rules.DequantizeLinear!,
      Trilu: SELECTION.rules.Trilu!,
      QLinearAdd: quantized(2),
      QLinearMul: quantized(2),
      QLinearSigmoid: quantized(1),
      QLinearLeakyRelu: quantized(1),
    }).map(([op, rule]) => [`com.microsoft::${op}`, rule]),
  ),
};
