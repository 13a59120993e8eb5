/** The table of what is followed in a proof: one row an operator. An operator without a row proves nothing. */
import type { Rule } from "../rule.ts";
import { Conv, CumSum, Einsum, MatMul, ReduceSum, Trilu } from "./contraction.ts";
import { ELEMENTWISE_RULES } from "./elementwise.ts";
import { Expand, Flatten, Identity, Reshape, Squeeze, Tile, Transpose, Unsqueeze } from "./movement.ts";
import { Concat, Gather, GatherND, Pad, Slice, Split } from "./selection.ts";
import { ConstantOfShape, Range, Shape, SIZE_RULES, Size } from "./sizes.ts";
import { complexMul, DFT } from "./transform.ts";

/** Of tensors. */
export const RULES: Readonly<Record<string, Rule>> = {
  ...ELEMENTWISE_RULES,
  Transpose,
  Reshape,
  Flatten,
  Squeeze,
  Unsqueeze,
  Expand,
  Tile,
  Identity,
  Slice,
  Split,
  Gather,
  GatherND,
  Pad,
  Concat,
  DFT,
  "com.microsoft::ComplexMul": complexMul(false),
  MatMul,
  Einsum,
  Conv,
  CumSum,
  Trilu,
  ReduceSum,
};

/** Of anything: they answer with sizes or make tensors from them. */
export const FROM_SIZES: Readonly<Record<string, Rule>> = { Shape, Size, Range, ConstantOfShape };

/** Of numbers made of sizes. */
export { SIZE_RULES };
