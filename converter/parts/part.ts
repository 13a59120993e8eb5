/** A part of the graph that is run by itself. What it reads of the sizes alone is given to it: no layer is run for its length. */
import { cut } from "../graph/cut.ts";
import type { Model, ValueInfo } from "../graph/graph.ts";
import { readsOf } from "../graph/reads.ts";
import { DataType, int64Tensor, type Tensor } from "../graph/tensor.ts";
import { openModel } from "../ort/run.ts";
import { type Dim, evaluate } from "../time/facts/dim.ts";
import type { Fact, Sizes } from "../time/facts/fact.ts";
import { type Graphs, precise } from "./graphs.ts";

/** An open part. */
export interface Part {
  /**
   * @param feeds may have more than the part reads
   * @throws LongConvError runtime-failed where ONNX Runtime fails
   */
  run(feeds: Readonly<Record<string, Tensor>>, sizes: Sizes): Promise<Record<string, Tensor>>;
  close(): Promise<void>;
}

/** The shapes in a graph whose numbers are known for every batch size and length. */
export function sizesIn(model: Model, facts: ReadonlyMap<string, Fact>): ReadonlyMap<string, readonly Dim[]> {
  const sizes = new Map<string, readonly Dim[]>();
  for (const { op, domain, outputs } of model.graph.nodes) {
    const fact = facts.get(outputs[0]!);
    if (op === "Shape" && domain === "" && fact?.kind === "shape" && fact.values) sizes.set(outputs[0]!, fact.values);
  }
  return sizes;
}

const shapeAt = (values: readonly Dim[], sizes: Sizes): Tensor =>
  int64Tensor(
    [values.length],
    values.map((value) => evaluate(value, sizes)),
  );

/**
 * The nodes between given tensors, and the inputs of the model, and wanted ones.
 * @param given declarations that take the place of whatever makes these tensors
 */
export function partOf(
  { model, sizes }: Pick<Graphs, "model" | "sizes">,
  given: readonly ValueInfo[],
  wanted: readonly (ValueInfo | string)[],
): Model {
  const taken = new Set(given.map(({ name }) => name));
  const others = model.graph.inputs.filter(({ name }) => !taken.has(name));
  const shapes = [...sizes]
    .filter(([name]) => !taken.has(name))
    .map(([name, values]) => ({ name, type: DataType.INT64, dims: [values.length] }));
  const part = cut(model, [...others, ...given, ...shapes], wanted);
  const wantedNames = part.graph.outputs.map(({ name }) => name);
  const read = new Set([...part.graph.nodes.flatMap((node) => [...readsOf(node)]), ...wantedNames]);
  const inputs = part.graph.inputs.filter(({ name }) => taken.has(name) || read.has(name));
  return { ...part, graph: { ...part.graph, inputs } };
}

/** Opens such a part, its transforms in float64. */
export async function openPart(
  graphs: Pick<Graphs, "model" | "sizes" | "shapes">,
  given: readonly ValueInfo[],
  wanted: readonly (ValueInfo | string)[],
): Promise<Part> {
  const part = partOf(graphs, given, wanted);
  const runner = await openModel(precise(graphs, part));
  const names = new Set(runner.inputs);
  const shapes = [...graphs.sizes].filter(([name]) => names.has(name));
  return {
    async run(feeds, sizes) {
      const known = shapes.map(([name, values]) => [name, shapeAt(values, sizes)]);
      const others = Object.entries(feeds).filter(([name]) => names.has(name));
      return runner.run(Object.fromEntries([...known, ...others]));
    },
    close: () => runner.close(),
  };
}
