/** The table of rules: one row an operator. An operator without a row is refused, never assumed to be pointwise. */
import type { Family, Rule } from "../facts/rule.ts";
import { CONTRACTION } from "./contraction.ts";
import { CONTROL } from "./control.ts";
import { CONVOLUTION } from "./convolution.ts";
import { ELEMENTWISE } from "./elementwise.ts";
import { FUSED } from "./fused.ts";
import { INDEXING } from "./indexing.ts";
import { MOVEMENT } from "./movement.ts";
import { NORMALIZATION } from "./normalization.ts";
import { POOLING } from "./pooling.ts";
import { POSITION } from "./position.ts";
import { QUANTIZATION } from "./quantization.ts";
import { RECURRENT } from "./recurrent.ts";
import { REDUCTION } from "./reduction.ts";
import { REFUSED, REFUSED_FUSED, refusedFamily } from "./refused.ts";
import { SELECTION } from "./selection.ts";

/** Operators with a rule of their own. */
export const FAMILIES: readonly Family[] = [
  ELEMENTWISE,
  MOVEMENT,
  SELECTION,
  INDEXING,
  CONTRACTION,
  REDUCTION,
  RECURRENT,
  CONTROL,
  NORMALIZATION,
  CONVOLUTION,
  POOLING,
  QUANTIZATION,
  POSITION,
  FUSED,
];

/** The rule of an operator; the key has the domain where it is not the standard one: "com.microsoft::FusedMatMul". */
export const RULES: Readonly<Record<string, Rule>> = Object.assign(
  {},
  ...FAMILIES.map((family) => family.rules),
  refusedFamily("Refused", REFUSED).rules,
  refusedFamily("Refused", REFUSED_FUSED).rules,
);

export { CONTROL_FLOW, RANDOM } from "./refused.ts";
