/** Tensors without an element, by what they are made of: rows are joined to one of them. */
import type { Node } from "../graph/graph.ts";
import { shapeRead } from "../graph/shape-read.ts";
import { axesGiven, ELEMENTWISE, type Names, sizesIn } from "./sizes.ts";

/** Operators that give nothing where their first input has nothing: they move, cut or repeat it. */
const OF_FIRST = new Set([
  ...["Expand", "Flatten", "Gather", "Identity", "Reshape", "Slice", "Split", "Squeeze", "Tile", "Transpose"],
  "Unsqueeze",
]);

/** Whether a tensor has no element, at any length. */
export function isEmpty(names: Names, name: string, known = new Map<string, boolean>()): boolean {
  const before = known.get(name);
  if (before !== undefined) return before;
  const constant = names.constant(name);
  const node = names.producer(name);
  const of = (input: string) => isEmpty(names, input, known);
  const answer = constant ? constant.dims.includes(0) : node?.domain === "" && givesNothing(names, node, of);
  known.set(name, answer);
  return answer;
}

function givesNothing(names: Names, node: Node, of: (input: string) => boolean): boolean {
  const { op, inputs, attributes } = node;
  const [first, second] = inputs as [string, string?];
  const told = op === "ConstantOfShape" ? first : op === "Expand" ? second : undefined;
  if (told && sizesIn(names, told)?.some((size) => "rows" in size && size.rows === 0)) return true;
  const shaped = told === undefined ? undefined : shapeRead(names.producer(told));
  if (shaped !== undefined && of(shaped)) return true;
  if (OF_FIRST.has(op)) return of(first);
  if (ELEMENTWISE.has(op)) return inputs.some((input) => input !== "" && of(input));
  if (op === "Concat") return inputs.every(of);
  // what is summed is there: the rows of the matrix
  if (op === "MatMul") return of(first) && names.constant(second!)?.dims.every((size) => size > 0) === true;
  if (op !== "ReduceSum" || Number(attributes.keepdims ?? 1) !== 0) return false;
  const axis = names.producer(first);
  const isSameAxis = axis?.op === "Unsqueeze" && `${axesGiven(names, axis)}` === `${axesGiven(names, node)}`;
  return isSameAxis && of(axis.inputs[0]!);
}
