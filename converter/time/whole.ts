/** Numbers that are the length of the sequence, in every row: what converters from Keras write as `sequence_lens`. */
import type { Node } from "../graph/graph.ts";
import { toNumbers } from "../graph/tensor.ts";
import { equal, TIME } from "./facts/dim.ts";
import type { Fact } from "./facts/fact.ts";
import type { Constant } from "./fold.ts";

/** Operators that give each row what their first input has. */
const SPREADS: ReadonlySet<string> = new Set(["Cast", "Expand", "Identity", "Reshape", "Squeeze", "Tile", "Unsqueeze"]);

/**
 * Whether every element of a tensor is the length of the sequence.
 * @param fixed the length of a graph that has one only: a constant may be that
 */
export function isWholeLength(
  name: string,
  {
    facts,
    constants,
    producer,
  }: {
    readonly facts: ReadonlyMap<string, Fact>;
    readonly constants: ReadonlyMap<string, Constant>;
    readonly producer: ReadonlyMap<string, Node>;
  },
  fixed: number | undefined,
): boolean {
  const constant = constants.get(name);
  if (constant) return fixed !== undefined && [...toNumbers(constant.tensor())].every((value) => value === fixed);
  const fact = facts.get(name);
  if (fact?.kind === "shape") return fact.values?.every((value) => equal(value, TIME)) ?? false;
  const node = producer.get(name);
  return node?.domain === "" && SPREADS.has(node.op)
    ? isWholeLength(node.inputs[0]!, { facts, constants, producer }, fixed)
    : false;
}
