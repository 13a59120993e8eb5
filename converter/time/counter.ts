/** What a carried counter gives: functions of the absolute position, computed for each token from where it stands. */
import type { GraphIndex, Node } from "../graph/graph.ts";
import { constantLayout, isChannelAxis, type Layout, sameLayout, timeAxis } from "./facts/fact.ts";
import type { Constant } from "./fold.ts";
import type { PositionUse, Refusal, TimeFacts } from "./follow.ts";
import { isFixed } from "./judge.ts";
import { type Placement, placement } from "./placement.ts";
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
  if (!name || fact?.kind === "constant" || (fact && isFixed(fact)) || recipes.has(name)) return true;
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
  const rows = withoutBatch(fact.axes);
  if (ELEMENTWISE.rules[node.op]) return placement(rows, target.axes);
  if (node.op !== "Concat" || rows.length !== target.axes.length) return undefined;
  // a Concat does not broadcast, but rows come in every sequence and position, with channels of their own
  return placement(
    rows,
    target.axes.map((axis, k) => (isChannelAxis(axis) ? rows[k]! : axis)),
  );
}
