/** `longconv-ssm/constrain`: what a text must match. Apart from the rest, since it needs the package refa. */
export { type ConstraintOptions, jsonSchema, regex } from "./constrain/constraint.ts";
export type { Constraint, Matching } from "./sampling/constraint.ts";
export type { LogitsProcessor, SamplingContext } from "./sampling/sampler.ts";
export type { Tokenizer } from "./text/text.ts";
