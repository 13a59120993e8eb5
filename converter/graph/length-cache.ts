/** The length cache: a state without elements that grows with the text, for drivers that read the past length from it. */
import { BATCH_SIZE } from "../../src/contract.ts";
import { LongConvError } from "../../src/errors.ts";
import { type Builder, createBuilder, namesOf } from "./build.ts";
import type { Model, ValueInfo } from "./graph.ts";
import { DataType } from "./tensor.ts";

/** [batch_size, 1, past_sequence_length, 0] float32 */
export const PAST_LENGTH = "past_key_values.0.key";
/** [batch_size, 1, total_sequence_length, 0] float32 */
export const PRESENT_LENGTH = "present.0.key";

/** Whether it is the length cache; the rows of an attention's keys may have its name, and hold elements. */
export const isLengthCache = ({ name, dims }: ValueInfo): boolean =>
  (name === PAST_LENGTH || name === PRESENT_LENGTH) && dims?.slice(1).includes(0) === true;

const info = (name: string, length: string): ValueInfo => ({
  name,
  type: DataType.FLOAT,
  dims: [BATCH_SIZE, 1, length, 0],
});

/** Sizes that say what a call reads: int64 tensors of one element, by name. */
interface Sizes {
  batch(): string;
  time(): string;
}

/** Adds the nodes of the cache: as many rows without elements as positions are read behind those of the past. */
export function addLengthCache(b: Builder, { batch, time }: Sizes): { past: ValueInfo; present: ValueInfo } {
  const dims = b.one("Concat", [batch(), b.ints("one", [1]), time(), b.ints("zero", [0])], { axis: 0 });
  const added = b.one("ConstantOfShape", [dims], {}, { hint: "length" });
  b.add("Concat", [PAST_LENGTH, added], { axis: 2 }, { outputs: [PRESENT_LENGTH], hint: "length" });
  return { past: info(PAST_LENGTH, "past_sequence_length"), present: info(PRESENT_LENGTH, "total_sequence_length") };
}

/**
 * Adds `past_key_values.0.key` → `present.0.key` to a model that was converted without: the length of the past as the third dimension of
 * a tensor that never holds an element, so that the state stays as small as it was. transformers.js reads the length from there. A model
 * that has it already, or that carries rows of keys and values, whose length is read, stays as it is.
 * @param stream an input [batch, sequence_length, …]; its first two dimensions are read
 * @throws LongConvError invalid-graph where the model has no such input
 */
export function withLengthCache(model: Model, stream: string): Model {
  const { graph } = model;
  if (graph.inputs.some(({ name }) => name.startsWith("past_key_values."))) return model;
  if (!graph.inputs.some(({ name }) => name === stream))
    throw new LongConvError("invalid-graph", "no such input to read the length from", {
      file: model.file || undefined,
      tensor: stream,
    });
  const b = createBuilder(model.opsets.get("") ?? 13, namesOf(graph));
  const shape = b.one("Shape", [stream], {}, { hint: "shape" });
  const size = (axis: number) => b.one("Gather", [shape, b.ints("axis", [axis])], { axis: 0 }, { hint: "size" });
  const { past, present } = addLengthCache(b, { batch: () => size(0), time: () => size(1) });
  return {
    ...model,
    graph: {
      inputs: [...graph.inputs, past],
      outputs: [...graph.outputs, present],
      nodes: [...graph.nodes, ...b.nodes],
      initializers: new Map([...graph.initializers, ...b.initializers]),
    },
  };
}

/** Leaves the length cache out again: drivers with buffers of fixed size cannot carry it. */
export function withoutLengthCache(model: Model): Model {
  const { graph } = model;
  if (!graph.inputs.some(isLengthCache)) return model;
  return {
    ...model,
    graph: {
      ...graph,
      inputs: graph.inputs.filter((input) => !isLengthCache(input)),
      outputs: graph.outputs.filter(({ name }) => name !== PRESENT_LENGTH),
      nodes: graph.nodes.filter(({ outputs }) => !outputs.includes(PRESENT_LENGTH)),
    },
  };
}
