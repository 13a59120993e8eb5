/** Random inputs for a model: token ids inside its vocabulary, normal signals. Repeatable. */
import { LongConvError } from "../../src/errors.ts";
import { uniform } from "../../src/random.ts";
import type { ValueInfo } from "../graph/graph.ts";
import { bfloat16FromFloat32, float16FromFloat32 } from "../graph/halves.ts";
import { integerTensor, isInteger, rangeOf } from "../graph/integers.ts";
import { DataType, isFloat, makeTensor, type Tensor } from "../graph/tensor.ts";
import { dimsOf, type Sizes } from "../time/facts/fact.ts";
import type { Constant } from "../time/fold.ts";
import type { Graphs } from "./graphs.ts";

/** Ids are drawn below the size of the table that they look up. */
const DEFAULT_IDS = 2;
/** Integers that are made floats are numbers, such as samples of eight bits. */
const DEFAULT_NUMBERS = 256;

/** Rows of the table that an integer input looks up; undefined where it looks up none. */
export function vocabularyOf(
  { index }: Graphs,
  constants: ReadonlyMap<string, Constant>,
  input: string,
): number | undefined {
  const queue = [input];
  for (let name = queue.shift(); name !== undefined; name = queue.shift()) {
    for (const node of index.consumers.get(name) ?? []) {
      if (node.op === "Gather" && node.inputs[1] === name) {
        const rows = constants.get(node.inputs[0]!)?.dims[Number(node.attributes.axis ?? 0)];
        if (rows !== undefined) return rows;
      }
      if (["Cast", "Reshape", "Identity", "Clip", "Unsqueeze", "Squeeze"].includes(node.op) && node.inputs[0] === name)
        queue.push(...node.outputs);
    }
  }
  return undefined;
}

/** Whether every reader of an integer input makes floats of it. */
function isNumber(graphs: Graphs, name: string): boolean {
  const readers = graphs.index.consumers.get(name) ?? [];
  return (
    readers.length > 0 &&
    readers.every(({ op, attributes, inputs, outputs }) =>
      op === "Cast"
        ? isFloat(Number(attributes.to))
        : MOVES.has(op) && inputs[0] === name && isNumber(graphs, outputs[0]!),
    )
  );
}

const MOVES = new Set(["Reshape", "Identity", "Unsqueeze", "Squeeze", "Transpose", "Pad", "Slice"]);

/** From where to where an integer input is drawn. */
function boundsOf(
  graphs: Graphs,
  constants: ReadonlyMap<string, Constant>,
  { name, type }: ValueInfo,
): readonly [number, number] {
  const rows = vocabularyOf(graphs, constants, name);
  if (rows !== undefined) return [0, rows - 1];
  return rangeOf(type) ?? [0, (isNumber(graphs, name) ? DEFAULT_NUMBERS : DEFAULT_IDS) - 1];
}

/** Random values for every input of the graph at these sizes. */
export function randomInputs(
  graphs: Graphs,
  constants: ReadonlyMap<string, Constant>,
  sizes: Sizes,
  seed: number,
): Record<string, Tensor> {
  const next = uniform(seed);
  const feeds: Record<string, Tensor> = {};
  for (const input of graphs.model.graph.inputs) {
    const dims = dimsOf(graphs.inputs.layouts.get(input.name)!, sizes);
    if (input.name === graphs.driven.mask || input.name === graphs.driven.positions) {
      feeds[input.name] = integerTensor(input.type, dims, (i) =>
        input.name === graphs.driven.mask ? 1 : i % sizes.time,
      );
      continue;
    }
    feeds[input.name] = randomTensor(input, dims, boundsOf(graphs, constants, input), next);
  }
  return feeds;
}

/** A tensor of an input's type: integers from `from` to `to`, booleans, or a normal distribution. */
export function randomTensor(
  { name, type }: ValueInfo,
  dims: readonly number[],
  [from, to]: readonly [number, number],
  next: () => number,
): Tensor {
  const size = dims.reduce((a, b) => a * b, 1);
  if (type === DataType.BOOL) return integerTensor(type, dims, () => (next() < 0.5 ? 0 : 1));
  if (isInteger(type)) return integerTensor(type, dims, () => from + Math.floor(next() * (to - from + 1)));
  const normal = Float32Array.from(
    { length: size },
    () => Math.sqrt(-2 * Math.log(1 - next())) * Math.cos(2 * Math.PI * next()),
  );
  if (type === DataType.FLOAT) return makeTensor(type, dims, normal);
  if (type === DataType.FLOAT16) return makeTensor(type, dims, float16FromFloat32(normal));
  if (type === DataType.BFLOAT16) return makeTensor(type, dims, bfloat16FromFloat32(normal));
  if (type === DataType.DOUBLE) return makeTensor(type, dims, Float64Array.from(normal));
  throw new LongConvError("unsupported-layout", `inputs of this type are not supported (${type})`, { tensor: name });
}
