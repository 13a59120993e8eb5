/** What is known of a graph before time is followed through it. */
import type { GraphIndex, Model } from "../graph/graph.ts";
import type { Driven } from "../graph/language.ts";
import { DataType } from "../graph/tensor.ts";
import { withPreciseTransforms } from "../ort/precise.ts";
import type { Dim } from "../time/facts/dim.ts";
import type { InputAxes } from "../time/inputs.ts";
import type { Shapes } from "./seen-shapes.ts";

export interface Graphs {
  readonly model: Model;
  readonly inputs: InputAxes;
  readonly index: GraphIndex;
  readonly shapes: Shapes;
  /** Shapes that are numbers of the batch size and the length, as far as time was followed. */
  readonly sizes: ReadonlyMap<string, readonly Dim[]>;
  /** Inputs that a language model makes itself. */
  readonly driven: Driven;
}

/** A model cut from the graph, with its transforms in float64. */
export const precise = ({ shapes }: Pick<Graphs, "shapes">, model: Model): Model =>
  withPreciseTransforms(model, (tensor) => shapes.seen.get(tensor)?.type === DataType.DOUBLE);

/** onnx.TensorProto.DataType of a tensor that was seen, or of an input; float32 of what is neither. */
export const typeIn = ({ model, shapes }: Pick<Graphs, "model" | "shapes">, tensor: string): number =>
  shapes.seen.get(tensor)?.type ?? model.graph.inputs.find(({ name }) => name === tensor)?.type ?? DataType.FLOAT;
