/** An input that a serving stack does not feed becomes a constant. */
import { initializerOf } from "../graph/build.ts";
import type { Model } from "../graph/graph.ts";
import { int64Tensor } from "../graph/tensor.ts";

/** The model with the int64 scalar input `name` fixed at `value`; as it is where it has no such input. */
export function withConstantInput(model: Model, name: string, value: number): Model {
  const { graph } = model;
  if (!graph.inputs.some((input) => input.name === name)) return model;
  const constant = initializerOf(name, int64Tensor([], [value]));
  return {
    ...model,
    graph: {
      ...graph,
      inputs: graph.inputs.filter((input) => input.name !== name),
      initializers: new Map([...graph.initializers, [name, constant]]),
    },
  };
}
