/** Functions of the absolute position: a carried counter, and what the graph computed from 0, 1, … computed from it. */
import { BATCH_SIZE, pastSsm, presentSsm } from "../../src/contract.ts";
import type { Found } from "../find/found.ts";
import { type Builder, rewire } from "../graph/build.ts";
import { indexGraph, type Node, type ValueInfo } from "../graph/graph.ts";
import { DataType, float32Tensor, type Tensor } from "../graph/tensor.ts";
import { floatTypeOf } from "../ort/widen.ts";
import type { SymbolNames } from "../parts/layout.ts";
import { dynamicShape, shapeOperand } from "../parts/layout.ts";
import type { CounterUse, Recipe } from "../time/counter.ts";
import { timeAxis } from "../time/facts/fact.ts";
import type { Placement } from "../time/placement.ts";
import type { PositionTable, PositionTables } from "./position-tables.ts";

export interface Counter {
  readonly past: ValueInfo;
  readonly present: ValueInfo;
  /** int64 [batch · T]: the position of every token, flattened. */
  readonly flat: string;
}

/**
 * Adds the counter: a state [batch_size, 1, 1] that counts the tokens of each row, padding left out.
 * @param mask float32 [batch, T, 1]
 * @param read name for [batch, 1, 1] float32: the tokens that were read before this call
 */
export function addCounter(
  b: Builder,
  index: number,
  symbols: SymbolNames,
  mask: string | undefined,
  read: string,
): Counter {
  const info = (name: string): ValueInfo => ({ name, type: DataType.FLOAT, dims: [BATCH_SIZE, 1, 1] });
  const [past, present] = [info(pastSsm(index)), info(presentSsm(index))];
  const one = b.floats("one", [1, 1, 1], [1]);
  const size = b.one("Concat", [symbols.batch(), symbols.time(), b.ints("one", [1])], { axis: 0 }, { hint: "tokens" });
  const tokens = b.one("Expand", [mask ?? one, size], {}, { hint: "tokens" });
  const within = b.one("CumSum", [tokens, b.ints("time_axis", 1)], {}, { hint: "count" });
  const counted = b.one("Add", [within, past.name], {}, { hint: "count" });
  // past and present may be one buffer: what was read before is taken from the count, not from the past
  const first = (tensor: string) =>
    b.one("Slice", [tensor, b.ints("from", [0]), b.ints("to", [1]), b.ints("axis", [1])], {}, { hint: "first" });
  b.one("Sub", [first(counted), first(within)], {}, { outputs: [read] });
  // padding before the first token stands at position 0; it is multiplied away
  const position = b.one(
    "Max",
    [b.one("Sub", [counted, one], {}, { hint: "position" }), b.floats("zero", [1, 1, 1], [0])],
    {},
    { hint: "position" },
  );
  const flat = b.one(
    "Cast",
    [b.one("Reshape", [position, b.ints("flat", [-1])], {}, { hint: "position" })],
    { to: DataType.INT64 },
    { hint: "position" },
  );
  const last = b.ints("last", [-1]);
  b.one("Slice", [counted, last, b.ints("end", [2 ** 53 - 1]), b.ints("axis", [1])], {}, { outputs: [present.name] });
  return { past, present, flat };
}

/** The nodes that meet functions of the position, by name, with these computed from the counter: one row for each token. */
export function countedNodes(
  b: Builder,
  { original, counter: { uses, recipes } }: Found,
  tables: PositionTables,
  counter: Counter,
  symbols: SymbolNames,
): Map<string, Node> {
  const { producer } = indexGraph(original.graph);
  // the flattened positions take the place of time; no batch is left beside them
  const flat: SymbolNames = {
    batch: () => b.ints("one", [1]),
    time: () => b.one("Shape", [counter.flat], {}, { hint: "positions" }),
    areOne: symbols.areOne,
  };
  const computed = new Map<string, string>();
  const compute = (name: string): string => {
    const recipe = recipes.get(name);
    if (!recipe) return name;
    const known = computed.get(name);
    if (known !== undefined) return known;
    const node = producer.get(name)!;
    const type = floatTypeOf(original, name);
    const made = addRows(b, { name, node, recipe, type, table: tables.get(name), counter, flat }, compute);
    for (const [output, tensor] of made) computed.set(output, tensor);
    return computed.get(name)!;
  };
  const counted = ({ node, operands }: CounterUse): Node => {
    const own = producer.get(node.outputs[0]!)!;
    const placed = new Map(
      operands.map(({ tensor, place }) => [tensor, placeRows(b, compute(tensor), place, symbols)]),
    );
    return rewire(own, { inputs: own.inputs.map((name) => placed.get(name) ?? name) });
  };
  return new Map(uses.map((use) => [use.node.name, counted(use)]));
}

/** A function of the position to be computed for the flattened positions. */
interface Rows {
  readonly name: string;
  /** What computes it in the exported graph. */
  readonly node: Node;
  readonly recipe: Recipe;
  readonly type: number;
  readonly table: PositionTable | undefined;
  readonly counter: Counter;
  readonly flat: SymbolNames;
}

/** Adds the nodes of a recipe; gives what was made, by the names in the exported graph. */
function addRows(b: Builder, rows: Rows, compute: (name: string) => string): [string, string][] {
  const { name, node, recipe, counter, flat } = rows;
  const { axes } = recipe;
  const [source = ""] = node.inputs;
  const one = (made: string): [string, string][] => [[name, made]];
  switch (recipe.how) {
    case "table":
      return one(lookUp(b, counter, rows.table!));
    case "range":
      return one(countSteps(b, rows));
    case "rows":
      return one(b.one("Gather", [source, counter.flat], { axis: timeAxis(axes) }, { hint: "row" }));
    case "fill":
      return one(b.one("Expand", [fillOf(b, node), dynamicShape(b, axes, flat)], {}, { hint: "filled" }));
    case "count":
      return one(countRows(b, rows, compute(source)));
    case "reshape":
      return one(b.one("Reshape", [compute(source), shapeOperand(b, axes, flat)], {}, { hint: "reshaped" }));
    case "expand":
      return one(b.one("Expand", [compute(source), dynamicShape(b, axes, flat)], {}, { hint: "expanded" }));
    case "copy": {
      const copies = b.copy(node, node.inputs.map(compute));
      return node.outputs.map((output, i) => [output, copies[i]!]);
    }
  }
}

/** The flattened positions in another type. */
const positionsAs = (b: Builder, { flat }: Counter, type: number): string =>
  type === DataType.INT64 ? flat : b.one("Cast", [flat], { to: type }, { hint: "position" });

/** From the first number of a Range, one step for each position. */
function countSteps(b: Builder, { node, type, counter }: Rows): string {
  const [first, , step] = node.inputs as [string, string, string];
  const steps = b.one("Mul", [positionsAs(b, counter, type), step], {}, { hint: "steps" });
  return b.one("Add", [steps, first], {}, { hint: "position" });
}

/** The value that a ConstantOfShape repeats. */
function fillOf(b: Builder, { attributes: { value } }: Node): string {
  const isTensor = value && typeof value === "object" && "data" in value;
  return b.constant("value", isTensor ? (value as Tensor) : float32Tensor([1], [0]));
}

/** A running sum of equal rows: as often as there are positions so far, the position itself among them unless `exclusive`. */
function countRows(b: Builder, { node, recipe: { axes }, type, counter }: Rows, rows: string): string {
  const first = b.one("Cast", [b.ints("first", node.attributes.exclusive ? 0 : 1)], { to: type }, { hint: "first" });
  const count = b.one("Add", [positionsAs(b, counter, type), first], {}, { hint: "count" });
  const along = axes.map((_, k) => (k === timeAxis(axes) ? -1 : 1));
  const shaped = b.one("Reshape", [count, b.ints("along", along)], {}, { hint: "count" });
  return b.one("Mul", [rows, shaped], {}, { hint: "sum" });
}

/** Rows of an evaluated table; of one that has settled the last row serves every later position. */
function lookUp(b: Builder, counter: Counter, { tensor, axis, settles }: PositionTable): string {
  const table = b.constant("table", tensor);
  const last = b.ints("last_row", tensor.dims[axis]! - 1);
  const row = settles ? b.one("Min", [counter.flat, last], {}, { hint: "row" }) : counter.flat;
  return b.one("Gather", [table, row], { axis }, { hint: "rows" });
}

/** Batch and time apart first, then every axis to its place. */
function placeRows(b: Builder, flat: string, place: Placement, symbols: SymbolNames): string {
  const { split, order, unsqueezed, repeated, merged } = place;
  let rows = b.one("Reshape", [flat, shapeOperand(b, split, symbols)], {}, { hint: "rows" });
  if (order.some((k, i) => k !== i)) rows = b.one("Transpose", [rows], { perm: order }, { hint: "rows" });
  if (unsqueezed.length) rows = b.one("Unsqueeze", [rows, b.ints("axes", unsqueezed)], {}, { hint: "rows" });
  if (repeated) rows = b.one("Expand", [rows, dynamicShape(b, repeated, symbols)], {}, { hint: "rows" });
  return merged ? b.one("Reshape", [rows, shapeOperand(b, merged, symbols)], {}, { hint: "rows" }) : rows;
}
