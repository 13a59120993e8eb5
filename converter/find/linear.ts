/**
 * Which operators are linear (or affine) in the stream that a region mixes. Probes are evidence, rules are proof: every
 * node on the stream's own path through a region needs a row here.
 */

import type { Attributes } from "../graph/graph.ts";
import { isFloat } from "../graph/tensor.ts";

/** What is known of an input of a node inside a region. */
export type Role = "mixed" | "other";

/** Undefined where the operator is affine in its mixed inputs; else a sentence that says why not. */
export type LinearRule = (roles: readonly (Role | undefined)[], attributes: Attributes) => string | undefined;

const none: LinearRule = () => undefined;

/** Linear in the inputs at these places; mixed inputs elsewhere choose indices or shapes by data. */
const linearIn =
  (...places: readonly number[]): LinearRule =>
  (roles) =>
    roles.some((role, i) => role === "mixed" && !places.includes(i)) ? "is steered by the stream itself" : undefined;

/** A product is linear where only one factor depends on the stream. */
const product: LinearRule = (roles) =>
  roles.filter((role) => role === "mixed").length > 1 ? "multiplies the stream by a function of itself" : undefined;

const quotient: LinearRule = (roles) => (roles[1] === "mixed" ? "divides by a function of the stream" : undefined);

const cast: LinearRule = (_roles, { to }) =>
  isFloat(Number(to)) ? undefined : "rounds the stream to a type that is not a float";

/** Writes values in the place of others or adds them; products and extremes of both are not linear. */
const scatter: LinearRule = (roles, attributes) => {
  const { reduction = "none" } = attributes;
  if (reduction !== "none" && reduction !== "add")
    return `takes the ${String(reduction)} of the stream and what it writes`;
  return linearIn(0, 2)(roles, attributes);
};

const batchNormalization: LinearRule = (roles, attributes) =>
  attributes.training_mode ? "normalises the stream by itself" : linearIn(0)(roles, attributes);

/** Does nothing at inference; with an input that says so it may be training. */
const dropout: LinearRule = (roles, attributes) =>
  roles[2] === undefined ? linearIn(0)(roles, attributes) : "may drop values at random";

/** A fused convolution is linear without its activation. */
const withoutActivation =
  (rule: LinearRule): LinearRule =>
  (roles, attributes) => {
    const { activation = "" } = attributes;
    return activation === "" || activation === "none"
      ? rule(roles, attributes)
      : `applies ${String(activation)} to the stream`;
  };

/** The product of the first two inputs, and a third that is added. */
const productAndSum: LinearRule = (roles, attributes) => product(roles.slice(0, 2), attributes);

const DATA_ONLY = [
  ["Reshape", "Transpose", "Squeeze", "Unsqueeze", "Flatten", "Expand", "Slice", "Split", "Gather", "GatherND"],
  ["GatherElements", "Pad", "Tile", "ReduceSum", "ReduceMean", "CumSum", "DFT", "STFT", "Trilu", "ReverseSequence"],
  ["Identity", "Neg", "DepthToSpace", "SpaceToDepth", "Compress", "AveragePool", "GlobalAveragePool"],
  ["Resize", "Conv", "ConvTranspose"],
].flat();

/** One row an operator; the key has the domain where it is not the standard one, as in the table of time rules. */
export const LINEAR: Readonly<Record<string, LinearRule>> = {
  ...Object.fromEntries(DATA_ONLY.map((op) => [op, linearIn(0)])),
  Cast: cast,
  Add: none,
  Sub: none,
  Sum: none,
  Mean: none,
  Concat: none,
  Mul: product,
  MatMul: product,
  Einsum: product,
  Gemm: productAndSum,
  Div: quotient,
  Where: linearIn(1, 2),
  ScatterND: scatter,
  ScatterElements: scatter,
  BatchNormalization: batchNormalization,
  Dropout: dropout,
  "com.microsoft::FusedMatMul": product,
  "com.microsoft::TransposeMatMul": product,
  "com.microsoft::FusedConv": withoutActivation(linearIn(0, 3)),
  "com.microsoft::Trilu": linearIn(0),
};
