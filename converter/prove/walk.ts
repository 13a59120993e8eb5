/** Follows the nodes that make a tensor in one case, from what is known of their inputs to what is known of it. */
import type { GraphIndex, Model, Node } from "../graph/graph.ts";
import { TIME } from "../time/facts/dim.ts";
import type { Fact, Layout } from "../time/facts/fact.ts";
import type { Constant } from "../time/fold.ts";
import type { TimeFacts } from "../time/follow.ts";
import { follow } from "./follow.ts";
import { type Case, Inexact, NotRun, Split, Unproven } from "./values/cases.ts";
import { fixed, type Site, sizes } from "./values/rule.ts";
import { type Axes, type Factor, keyOfName, linesOf, positionOf, tensor, type Value } from "./values/value.ts";

/** What is known of the graph around what is proven. */
export interface Known {
  readonly model: Model;
  readonly index: GraphIndex;
  /** onnx.TensorProto.DataType of a tensor, as it was seen. */
  readonly typeOf: (tensor: string) => number | undefined;
  readonly time: TimeFacts;
  readonly constants: ReadonlyMap<string, Constant>;
  /** Functions of the position whose layout was seen, not proven. */
  readonly seen: ReadonlySet<string>;
  /** Each channel that enters is known alone, so that channels of what is mixed may be added up. */
  readonly mixesChannels?: boolean | undefined;
}

/** Why a walk stopped, with the node. */
export class Stopped {
  readonly node: Node;
  readonly why: Split | Unproven | NotRun | Inexact;
  constructor(node: Node, why: Split | Unproven | NotRun | Inexact) {
    this.node = node;
    this.why = why;
  }
}

/** Runs something for a node. @throws Stopped with that node */
export function at<T>(node: Node, run: () => T): T {
  try {
    return run();
  } catch (error) {
    if ([Split, Unproven, NotRun, Inexact].some((kind) => error instanceof kind))
      throw new Stopped(node, error as Stopped["why"]);
    throw error;
  }
}

/** The nodes that make a tensor from others, in their order. */
export function nodesTo({ model, index }: Known, goal: string, start: ReadonlyMap<string, Value>): readonly Node[] {
  const wanted = new Set<Node>();
  const queue = [goal];
  for (let name = queue.pop(); name !== undefined; name = queue.pop()) {
    const node = start.has(name) ? undefined : index.producer.get(name);
    if (!node || wanted.has(node)) continue;
    wanted.add(node);
    queue.push(...node.inputs.filter(Boolean));
  }
  return model.graph.nodes.filter((node) => wanted.has(node));
}

/** What is known of a tensor in one case, from what is known of others. @throws Stopped */
export function walk(
  known: Known,
  nodes: readonly Node[],
  goal: string,
  start: ReadonlyMap<string, Value>,
  which: Case,
): { readonly value: Value | undefined; readonly values: ReadonlyMap<string, Value> } {
  const values = new Map(start);
  const opset = known.model.opsets.get("") ?? 1;
  const failed = new Map<string, Stopped>();
  const valueAt = (name: string): Value | undefined => {
    const value = values.get(name) ?? (failed.has(name) ? undefined : fromFact(known, name));
    if (value) values.set(name, value);
    return value;
  };
  for (const node of nodes) {
    if (node.outputs.every((name) => !name || known.constants.has(name))) continue;
    const site: Site = { which, opset, node, typeOf: known.typeOf, mixesChannels: known.mixesChannels };
    try {
      const stopped = node.inputs.map((name) => failed.get(name)).find((each) => each !== undefined);
      const inputs = node.inputs.map((name) => (name ? valueAt(name) : undefined));
      const missing = node.inputs.findIndex((name, i) => name && !inputs[i]);
      if (missing >= 0 && stopped) throw stopped;
      if (missing >= 0)
        throw new Stopped(node, new Unproven(`takes in '${node.inputs[missing]}', which is not followed`));
      const made = at(node, () => follow(node, inputs, site));
      for (const [i, name] of node.outputs.entries()) if (name && made[i]) values.set(name, made[i]);
    } catch (error) {
      if (!(error instanceof Stopped) || error.why instanceof Split) throw error;
      // what is known of it by the rules of time is enough, if it is wanted at all
      const isExact = !(error.why instanceof Inexact);
      for (const name of node.outputs) if (name && !(isExact && fromFact(known, name))) failed.set(name, error);
    }
  }
  const stopped = failed.get(goal);
  if (stopped) throw stopped;
  return { value: valueAt(goal), values };
}

/** Axes of a layout, with lines of the length in the place of time. */
export const axesOf = (layout: Layout): Axes =>
  layout.map((axis) =>
    axis.map((factor): Factor => (factor === "time" || factor === "keys" ? { line: TIME } : factor)),
  );

/** What the rules of time know of a tensor that is no stream. */
function fromFact({ index, time, constants, seen }: Known, name: string): Value | undefined {
  const fact: Fact | undefined = time.facts.get(name);
  const constant = constants.get(name);
  if (constant) {
    const axes = constant.dims.map((size) => (size === 1 ? [] : [size]));
    const count = constant.dims.reduce((a, b) => a * b, 1);
    const read = () => constant.tensor();
    return fixed(axes, keyOfName(name), {
      tensor: read,
      zero: count <= SMALL && [...(read().data as Iterable<number | bigint>)].every((value) => Number(value) === 0),
    });
  }
  // of tensors whose layout is known; what is made of sizes is followed here
  if (fact?.kind === "shape")
    return fact.values && ["Shape", "Size"].includes(index.producer.get(name)?.op ?? "")
      ? sizes(fact.rank, fact.values)
      : undefined;
  if (fact?.kind !== "position" || !fact.axes || seen.has(name)) return undefined;
  const axes = axesOf(fact.axes);
  const [line, ...others] = linesOf(axes);
  if (line === undefined) return fixed(axes, keyOfName(name));
  return others.length > 0 ? undefined : tensor(axes, positionOf(keyOfName(name), TIME));
}

/** Constants that are looked at for zeros. */
const SMALL = 4096;
