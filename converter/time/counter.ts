/** What a carried counter gives: functions of the absolute position, computed for each token from where it stands. */
import type { GraphIndex, Node } from "../graph/graph.ts";
import { axisOf, constantLayout, type Layout, sameLayout, timeAxis } from "./facts/fact.ts";
import type { Constant } from "./fold.ts";
import type { PositionUse, Refusal, TimeFacts } from "./follow.ts";
import { ELEMENTWISE } from "./rules/elementwise.ts";

/** How a function of the position is computed for flattened positions, one row for each token. */
export interface Recipe {
  readonly how: /** Looked up in a table that is evaluated in advance. */
    | "table"
    /** 0, 1, 2, …: the position itself. */
    | "range"
    /** The first rows of a constant: looked up by the position. */
    | "rows"
    /** A constant, repeated. */
    | "fill"
    /** A running sum of equal rows: position + 1 times the row. */
    | "count"
    | "reshape"
    | "expand"
    /** The node itself, on other inputs. */
    | "copy";
  /** The flattened positions stand on the time axis; what was the batch has size 1. */
  readonly axes: Layout;
}

/** How rows for flattened positions, [.., batch·time, ..], come to the axes of the stream that they meet. */
export interface Placement {
  /** Batch and time apart. */
  readonly split: Layout;
  /** The axis of size 1 at the batch's place, which the batch takes over. */
  readonly squeezed: readonly number[];
  readonly order: readonly number[];
  readonly unsqueezed: readonly number[];
  /** Where the stream has its batch on one axis with others: its axes with every factor on one of its own, and as they are. */
  readonly joined?: { readonly apart: Layout; readonly target: Layout } | undefined;
}

/** A node at which a stream meets functions of the absolute position. */
export interface CounterUse {
  readonly node: Node;
  readonly operands: readonly { readonly tensor: string; readonly place: Placement }[];
}

export interface CounterPlan {
  /** Empty: no counter is needed. */
  readonly uses: readonly CounterUse[];
  /** By tensor: all that is computed from the counter. */
  readonly recipes: ReadonlyMap<string, Recipe>;
  readonly refusals: readonly Refusal[];
}

/** What is known of the graph. */
interface Known {
  readonly index: GraphIndex;
  readonly time: TimeFacts;
  readonly tables: ReadonlyMap<string, Layout>;
  readonly constants: ReadonlyMap<string, Constant>;
}

/** What to compute from the counter, and where it has no such form. */
export function planCounter(known: Known): CounterPlan {
  const recipes = new Map<string, Recipe>();
  const refusals: Refusal[] = [];
  const uses = new Map<Node, CounterUse>();
  for (const use of known.time.positions) {
    const place = placeOf(known.time, use);
    if (!place || !addRecipe(known, recipes, use.tensor)) {
      refusals.push(withoutForm(use));
      continue;
    }
    const operands = [...(uses.get(use.node)?.operands ?? []), { tensor: use.tensor, place }];
    uses.set(use.node, { node: use.node, operands });
  }
  return { uses: [...uses.values()], recipes, refusals };
}

const withoutForm = ({ node, tensor }: PositionUse): Refusal => ({
  node,
  code: "absolute-position",
  reason: `combines a stream with '${tensor}', a function of the absolute position, in a way that has no counter form`,
  remedy: "Let them meet in an elementwise operator or a Concat.",
});

/** Adds the recipe of a tensor and those of what it is made of; false where one has none. */
function addRecipe(known: Known, recipes: Map<string, Recipe>, name: string): boolean {
  const { index, time } = known;
  const fact = time.facts.get(name);
  if (!name || fact?.kind === "constant" || recipes.has(name)) return true;
  const node = index.producer.get(name);
  if (fact?.kind !== "position" || !fact.axes || !node) return false;
  const axes = withoutBatch(fact.axes);
  const how = howOf(known, node, name, axes);
  if (!how) return false;
  recipes.set(name, { how, axes });
  return sourcesOf(node, how).every((source) => addRecipe(known, recipes, source));
}

/** Rows are the same in every sequence. */
const withoutBatch = (axes: Layout): Layout => axes.map((axis) => axis.filter((factor) => factor !== "batch"));

function howOf({ tables, time, constants }: Known, node: Node, name: string, axes: Layout): Recipe["how"] | undefined {
  if (tables.has(name)) return "table";
  if (node.domain !== "") return "copy";
  const source = time.facts.get(node.inputs[0] ?? "");
  switch (node.op) {
    case "Range":
      return "range";
    case "ConstantOfShape":
      return "fill";
    case "Reshape":
      return "reshape";
    case "Expand":
      return "expand";
    case "Tile":
      return time.facts.get(node.inputs[1]!)?.kind === "shape" ? stretched(source, axes) : "copy";
    case "CumSum":
      return time.varies.has(name) && !time.varies.has(node.inputs[0]!) ? "count" : "copy";
    case "Slice":
      if (source?.kind !== "constant") return "copy";
      return isRows(constantLayout(constants.get(node.inputs[0]!)!.dims), axes) ? "rows" : undefined;
    default:
      return "copy";
  }
}

/** A Tile that stretches axes of size 1 is an Expand. */
function stretched(source: ReturnType<TimeFacts["facts"]["get"]>, axes: Layout): "expand" | undefined {
  if ((source?.kind !== "position" && source?.kind !== "constant") || !source.axes) return undefined;
  const own = withoutBatch(source.axes);
  const stretches = own.every((axis, k) => axis.length === 0 || sameLayout([axis], [axes[k]!]));
  return own.length === axes.length && stretches ? "expand" : undefined;
}

/** The rows of a table are cut along time only. */
const isRows = (table: Layout, axes: Layout): boolean => {
  const time = timeAxis(axes);
  const others = (layout: Layout) => layout.filter((_, k) => k !== time);
  return axes[time]!.length === 1 && sameLayout(others(table), others(axes));
};

function sourcesOf({ inputs }: Node, how: Recipe["how"]): readonly string[] {
  if (how === "copy") return inputs;
  return how === "reshape" || how === "expand" || how === "count" ? [inputs[0]!] : [];
}

/** Where an operand's rows go in the node's output; undefined where they cannot. */
function placeOf({ facts }: TimeFacts, { node, tensor }: PositionUse): Placement | undefined {
  const [target, fact] = [facts.get(node.outputs[0]!), facts.get(tensor)];
  if (target?.kind !== "stream" || fact?.kind !== "position" || !fact.axes || node.domain !== "") return undefined;
  // a Concat does not broadcast, but rows come in every sequence and position
  const joins = node.op === "Concat" && fact.axes.length === target.axes.length;
  if (!joins && !ELEMENTWISE.rules[node.op]) return undefined;
  const own = withoutBatch(fact.axes);
  return placement(own, target.axes) ?? (joins ? undefined : joinedPlacement(own, target.axes));
}

/** The placement among the factors of a stream whose batch is on one axis with others. */
function joinedPlacement(axes: Layout, target: Layout): Placement | undefined {
  const batch = axisOf(target, "batch");
  const offset = target.length - axes.length;
  const joined = target[batch];
  if (!joined || joined.length < 2 || offset < 0) return undefined;
  const factors = joined.map((factor) => [factor]);
  const own = batch < offset ? undefined : axes[batch - offset]!;
  const rest = joined.filter((factor) => factor !== "batch");
  const isWhole = own && sameLayout([own], [rest]);
  if (own && own.length > 0 && !isWhole) return undefined;
  const spread = own && factors.map(([factor]) => (isWhole && factor !== "batch" ? [factor!] : []));
  const apart = target.toSpliced(batch, 1, ...factors);
  const place = placement(spread ? axes.toSpliced(batch - offset, 1, ...spread) : axes, apart);
  return place && { ...place, joined: { apart, target } };
}

/** From [.., batch·time, ..] to the target's rank, with batch and time on the target's axes. */
function placement(axes: Layout, target: Layout): Placement | undefined {
  const offset = target.length - axes.length;
  const [time, batch] = [timeAxis(axes), axisOf(target, "batch")];
  if (offset < 0 || time < 0 || batch < 0 || time + offset !== timeAxis(target)) return undefined;
  const single = [axes[time], target[time + offset], target[batch]].every((axis) => axis!.length === 1);
  const own = axes[batch - offset];
  if (!single || (own && own.length > 0)) return undefined;
  const split: Layout = [...axes.slice(0, time), ["batch"], ["time"], ...axes.slice(time + 1)];
  const order: number[] = [];
  const unsqueezed: number[] = [];
  for (let k = 0; k < target.length; k++) {
    const from = k - offset;
    if (k === batch) order.push(time);
    else if (from === time) order.push(time + 1);
    else if (from < 0) unsqueezed.push(k);
    else order.push(from < time ? from : from + 1);
  }
  const squeezed = own ? [batch - offset < time ? batch - offset : batch - offset + 1] : [];
  return { split, squeezed, order: order.map((k) => k - squeezed.filter((d) => d < k).length), unsqueezed };
}
