/** Names of tensors: those that a converted model uses itself, given to inputs and outputs that mean something else. */
import { initializerOf, rewire } from "../../converter/graph/build.ts";
import type { Graph, Model, ValueInfo } from "../../converter/graph/graph.ts";
import type { TimeAxes } from "../converted.ts";
import type { FuzzGraph } from "./generate.ts";
import type { Random } from "./random.ts";

/** Names for the input `x` and the output `y`. */
const NAMES: readonly (readonly [string, string])[] = [
  ["past_x", "y"],
  ["x", "present_y"],
  ["past_x", "present_x"],
  ["past_ssm.0", "present_ssm.0"],
  ["past_conv.0", "logits"],
  ["attention_mask", "y"],
  ["attention_mask", "logits"],
  ["num_logits_to_keep", "y"],
  ["position_ids", "logits"],
  ["input_ids", "logits"],
  ["past_key_values.0.key", "present.0.key"],
];

/** The model with other names at its ends, and what they were. */
export function otherNames(
  model: Model,
  axes: TimeAxes,
  r: Random,
  pieces: string[],
): Pick<FuzzGraph, "model" | "axes" | "renamed"> {
  const [x, y] = r.pick(NAMES);
  pieces.push(`named ${x} → ${y}`);
  const of = (name: string) => (name === "x" ? x : name === "y" ? y : name);
  return {
    model: { ...model, graph: renameTensors(model.graph, of) },
    axes: Object.fromEntries(Object.entries(axes).map(([name, axis]) => [of(name), axis])),
    renamed: new Map([
      [x, "x"],
      [y, "y"],
    ]),
  };
}

/** The same graph, every tensor under the name that `of` gives it. */
export function renameTensors(graph: Graph, of: (name: string) => string): Graph {
  const info = (value: ValueInfo): ValueInfo => ({
    ...value,
    name: of(value.name),
    proto: { ...value.proto, name: of(value.name) },
  });
  return {
    inputs: graph.inputs.map(info),
    outputs: graph.outputs.map(info),
    initializers: new Map(
      [...graph.initializers].map(([name, initializer]) => [of(name), initializerOf(of(name), initializer.tensor())]),
    ),
    nodes: graph.nodes.map((node) => rewire(node, { inputs: node.inputs.map(of), outputs: node.outputs.map(of) })),
  };
}
