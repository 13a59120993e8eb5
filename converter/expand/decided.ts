/**
 * An If whose condition is the same in every run gives way to the branch that it takes: a flag of the file, or a size that is the
 * model's own. TorchScript writes `x.squeeze(1)` so where it does not know the size of the axis.
 */
import { decodeNodes } from "../file/read.ts";
import { type Builder, createBuilder, namesOf, patched } from "../graph/build.ts";
import type { Graph, Model, Node } from "../graph/graph.ts";
import { initializerFromProto } from "../graph/initializer.ts";
import type { GraphProto } from "../graph/proto.ts";
import type { Tensor } from "../graph/tensor.ts";
import { constantsOf, outputsOf } from "../shapes/follow.ts";
import type { Known } from "../shapes/known.ts";
import { inputsAt, SIZES } from "../shapes/sizes.ts";
import { renamed } from "./renamed.ts";

type Constants = ReadonlyMap<string, { readonly dims: readonly number[]; tensor(): Tensor }>;

/** What only moves sizes about, so that no comparison and no limit can hide in it. */
const MOVES = new Set(["Shape", "Size", "Gather", "Slice", "Squeeze", "Unsqueeze", "Concat", "Identity", "Reshape"]);

/**
 * The model without those Ifs.
 * @param constants what the graph's constants are, and what nodes compute from these alone; asked for where there is an If
 */
export async function decided(model: Model, constants: (model: Model) => Promise<Constants>): Promise<Model> {
  const { graph } = model;
  if (!graph.nodes.some(isIf)) return model;
  const folded = await constants(model);
  const b = createBuilder(model.opsets.get("") ?? 13, namesOf(graph));
  const sizes = followed(graph, folded);
  const nodes: Node[] = [];
  const waiting = [...graph.nodes].reverse();
  for (let node = waiting.pop(); node; node = waiting.pop()) {
    const inside = isIf(node) ? takenBy(b, node, sizes.numberOf(node.inputs[0]!), model.file) : undefined;
    if (inside) waiting.push(...inside.reverse());
    else {
      sizes.learn(node);
      nodes.push(node);
    }
  }
  return { ...model, graph: patched(graph, b, nodes) };
}

const isIf = ({ op, domain }: Node): boolean => op === "If" && domain === "";

/** Numbers that are the same at every length and batch size, node by node. */
function followed(graph: Graph, constants: Constants) {
  const computed = [...constants].filter(([name]) => !graph.initializers.has(name));
  const initializers = new Map(
    computed.map(([name, each]) => [name, { ...each, type: each.tensor().type, tensor: () => each.tensor() }]),
  );
  const told = constantsOf({ initializers });
  const trials = SIZES.map((sizeOf) => new Map<string, Known>([...constantsOf(graph), ...inputsAt(graph, sizeOf)]));
  const fixed = new Set(graph.initializers.keys());
  for (const { name } of graph.inputs) fixed.delete(name);
  return {
    learn(node: Node): void {
      for (const known of trials)
        for (const [i, output] of outputsOf(node, known).entries())
          if (node.outputs[i]) known.set(node.outputs[i], told.get(node.outputs[i]) ?? output);
      const name = node.outputs[0]!;
      const moves = node.domain === "" && MOVES.has(node.op);
      const isFixed = moves || told.has(name) || node.inputs.every((input) => !input || fixed.has(input));
      const [first, ...others] = trials.map((known) => known.get(name)?.values);
      if (isFixed && first && others.every((values) => values?.join() === first.join())) fixed.add(name);
    },
    numberOf(name: string): number | undefined {
      const values = fixed.has(name) ? trials[0]!.get(name)?.values : undefined;
      return values?.length === 1 && !Number.isNaN(values[0]) ? values[0] : undefined;
    },
  };
}

/** The nodes of the branch that is taken, under fresh names; undefined where it is not known which, or constants are elsewhere. */
function takenBy(b: Builder, node: Node, condition: number | undefined, file: string): Node[] | undefined {
  if (condition === undefined) return undefined;
  const branch = node.attributes[condition ? "then_branch" : "else_branch"] as GraphProto;
  const initializers = branch.initializer ?? [];
  if (branch.sparseInitializer?.length || initializers.some((each) => each.dataLocation)) return undefined;
  const names = new Map([["", ""]]);
  for (const proto of initializers)
    names.set(proto.name!, b.constant(proto.name!, initializerFromProto(proto).tensor()));
  const made = new Set(branch.node?.flatMap((each) => each.output ?? []));
  const passed: [from: string, to: string][] = [];
  for (const [i, { name = "" }] of (branch.output ?? []).entries()) {
    const to = node.outputs[i];
    if (to && made.has(name!) && !names.has(name!)) names.set(name!, to);
    else if (to) passed.push([name!, to]);
  }
  const inside = (branch.node ?? []).map((each) => renamed(each, names, new Map(), node.name, b));
  const handed = b.added(() => {
    for (const [from, to] of passed) b.one("Identity", [names.get(from) ?? from], {}, { outputs: [to] });
  }, node);
  return [...decodeNodes(inside, file), ...handed.nodes];
}
