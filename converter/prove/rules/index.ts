/** The table of what is followed in a proof: one row an operator. An operator without a row proves nothing. */
import type { Rule } from "../values/rule.ts";
import { Einsum, MatMul } from "./contraction.ts";
import { Conv } from "./convolution.ts";
import { ELEMENTWISE_RULES } from "./elementwise.ts";
import { Gather, GatherND } from "./gather.ts";
import { Concat, Pad } from "./joining.ts";
import { ConstantOfShape, Range, Shape, Size } from "./making.ts";
import { Expand, Flatten, Identity, Reshape, Squeeze, Tile, Transpose, Unsqueeze } from "./movement.ts";
import { CumSum, ReduceSum, Trilu } from "./reduction.ts";
import { SIZE_RULES } from "./sizes.ts";
import { Slice, Split } from "./slicing.ts";
import { ComplexMul, DFT } from "./transform.ts";

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
  "com.microsoft::ComplexMul": ComplexMul,
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
