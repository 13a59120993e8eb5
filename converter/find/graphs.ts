/** What is known of a graph before time is followed through it. */
import type { GraphIndex, Model } from "../onnx/graph.ts";
import type { InputAxes } from "../time/inputs.ts";
import type { Shapes } from "./shapes.ts";

export interface Graphs {
  readonly model: Model;
  readonly inputs: InputAxes;
  readonly index: GraphIndex;
  readonly shapes: Shapes;
}
