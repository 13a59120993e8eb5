/** Functions of the absolute position: what the graph computed from 0, 1, … is computed from the counter that is carried. */
import type { Found } from "../find/found.ts";
import { type Builder, rewire } from "../graph/build.ts";
import { indexGraph, type Node } from "../graph/graph.ts";
import { DataType, float32Tensor, type Tensor } from "../graph/tensor.ts";
import { floatTypeOf } from "../ort/widen.ts";
import type { SymbolNames } from "../parts/layout.ts";
import { dynamicShape, shapeOperand } from "../parts/layout.ts";
import type { CounterUse, Recipe } from "../time/counter.ts";
import { timeAxis } from "../time/facts/fact.ts";
import type { Placement } from "../time/placement.ts";
import type { PositionTable, PositionTables } from "./position-tables.ts";

/**
 * The nodes that meet functions of the position, by name, with these computed from it: one row for each token.
 * @param position int64 [batch · T]: the position of every token, flattened
 */
export function countedNodes(
  b: Builder,
  { original, counter: { uses, recipes } }: Found,
  tables: PositionTables,
  position: string,
  symbols: SymbolNames,
): Map<string, Node> {
  const { producer } = indexGraph(original.graph);
  // the flattened positions take the place of time; no batch is left beside them
  const flat: SymbolNames = {
    batch: () => b.ints("one", [1]),
    time: () => b.one("Shape", [position], {}, { hint: "positions" }),
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
    const made = addRows(b, { name, node, recipe, type, table: tables.get(name), position, flat }, compute);
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
  readonly position: string;
  readonly flat: SymbolNames;
}

/** Adds the nodes of a recipe; gives what was made, by the names in the exported graph. */
function addRows(b: Builder, rows: Rows, compute: (name: string) => string): [string, string][] {
  const { name, node, recipe, position, flat } = rows;
  const { axes } = recipe;
  const [source = ""] = node.inputs;
  const one = (made: string): [string, string][] => [[name, made]];
  switch (recipe.how) {
    case "table":
      return one(lookUp(b, position, rows.table!));
    case "range":
      return one(countSteps(b, rows));
    case "rows":
      return one(b.one("Gather", [source, position], { axis: timeAxis(axes) }, { hint: "row" }));
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
const positionsAs = (b: Builder, position: string, type: number): string =>
  type === DataType.INT64 ? position : b.one("Cast", [position], { to: type }, { hint: "position" });

/** From the first number of a Range, one step for each position. */
function countSteps(b: Builder, { node, type, position }: Rows): string {
  const [first, , step] = node.inputs as [string, string, string];
  const steps = b.one("Mul", [positionsAs(b, position, type), step], {}, { hint: "steps" });
  return b.one("Add", [steps, first], {}, { hint: "position" });
}

/** The value that a ConstantOfShape repeats. */
function fillOf(b: Builder, { attributes: { value } }: Node): string {
  const isTensor = value && typeof value === "object" && "data" in value;
  return b.constant("value", isTensor ? (value as Tensor) : float32Tensor([1], [0]));
}

/** A running sum of equal rows: as often as there are positions so far, the position itself among them unless `exclusive`. */
function countRows(b: Builder, { node, recipe: { axes }, type, position }: Rows, rows: string): string {
  const first = b.one("Cast", [b.ints("first", node.attributes.exclusive ? 0 : 1)], { to: type }, { hint: "first" });
  const count = b.one("Add", [positionsAs(b, position, type), first], {}, { hint: "count" });
  const along = axes.map((_, k) => (k === timeAxis(axes) ? -1 : 1));
  const shaped = b.one("Reshape", [count, b.ints("along", along)], {}, { hint: "count" });
  return b.one("Mul", [rows, shaped], {}, { hint: "sum" });
}

/** Rows of an evaluated table; of one that has settled the last row serves every later position. */
function lookUp(b: Builder, position: string, { tensor, axis, settles }: PositionTable): string {
  const table = b.constant("table", tensor);
  const last = b.ints("last_row", tensor.dims[axis]! - 1);
  const row = settles ? b.one("Min", [position, last], {}, { hint: "row" }) : position;
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
