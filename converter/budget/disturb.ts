/** A model whose convolutions give what they give plus an input. */
import type { Region } from "../find/region.ts";
import { createBuilder, namesOf } from "../graph/build.ts";
import type { Model, Node } from "../graph/graph.ts";
import { rewire } from "../graph/node.ts";

/**
 * The same model with an input for each region that is added to what leaves it, and with what enters and leaves each region as
 * outputs beside its own.
 * @returns `names`: the new inputs, in the order of the regions
 */
export function disturbable(model: Model, regions: readonly Region[]): { model: Model; names: readonly string[] } {
  const { graph } = model;
  const b = createBuilder(model.opsets.get("") ?? 0, namesOf(graph));
  const names = regions.map(() => b.name("disturbance"));
  const added = new Map(regions.map(({ exit }, i) => [exit.tensor, { name: names[i]!, exit }]));
  const nodes = graph.nodes.flatMap((node): Node[] => {
    const exits = node.outputs.filter((output) => added.has(output));
    if (exits.length === 0) return [node];
    const bare = new Map(exits.map((exit) => [exit, b.name(`${exit}/undisturbed`)]));
    const sums = b.added(() => {
      for (const exit of exits) b.one("Add", [bare.get(exit)!, added.get(exit)!.name], {}, { outputs: [exit] });
    });
    return [rewire(node, { outputs: node.outputs.map((output) => bare.get(output) ?? output) }), ...sums.nodes];
  });
  const inputs = regions.map(({ exit }, i) => ({ name: names[i]!, type: exit.type, dims: undefined }));
  const own = new Set([...graph.outputs, ...graph.inputs].map(({ name }) => name));
  const ends = new Map(regions.flatMap(({ entry, exit }) => [entry, exit]).map(({ tensor, type }) => [tensor, type]));
  const seen = [...ends].filter(([name]) => !own.has(name)).map(([name, type]) => ({ name, type, dims: undefined }));
  return {
    model: {
      ...model,
      graph: { ...graph, nodes, inputs: [...graph.inputs, ...inputs], outputs: [...graph.outputs, ...seen] },
    },
    names,
  };
}
