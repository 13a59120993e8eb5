/** How functions of the position are made, followed to their sources: what they are at a pair of a query and a key. */
import type { Known } from "../../find/carried.ts";
import type { Node } from "../../graph/graph.ts";
import { toNumbers } from "../../graph/tensor.ts";
import { isConstant } from "../../time/facts/dim.ts";
import { fromFront } from "../../time/facts/rule.ts";
import { ELEMENTWISE } from "../../time/rules/elementwise.ts";
import { grows } from "./positions.ts";
import { ANY, elementwise, number, ofTensor, type Region, triangle, type Value } from "./values.ts";

/** A function of the position, and its axes of queries and of keys; -1 where it has none. */
export interface At {
  readonly name: string;
  readonly row: number;
  readonly key: number;
}

/** How it is made, in a way in which it does not depend on the length. */
type Made =
  | { readonly how: "constant" }
  /** first, first + 1, … */
  | { readonly how: "range"; readonly first: number }
  | { readonly how: "filled"; readonly value: Value }
  | { readonly how: "moved"; readonly of: At }
  /** What is `by` or more behind the diagonal, or before it, is left; else 0. */
  | { readonly how: "triangle"; readonly of: At; readonly upper: boolean; readonly by: number }
  /** Rows of a table. */
  | { readonly how: "picked"; readonly of: At; readonly table: string }
  | { readonly how: "elementwise"; readonly node: Node; readonly of: readonly At[] };

export const constantAt = ({ constants, graphs }: Known, name: string): Value => {
  const tensor = constants.get(name)?.tensor() ?? graphs.model.graph.initializers.get(name)?.tensor();
  return tensor ? ofTensor(tensor) : ANY;
};

/** A constant of one number, or a size that is one. */
export function numberAt(known: Known, name: string): number | undefined {
  const fact = known.time.facts.get(name);
  const [size, ...more] = (fact?.kind === "shape" && fact.values) || [];
  if (size && more.length === 0) return isConstant(size) ? size.constant : undefined;
  const value = constantAt(known, name);
  return value.kind === "linear" ? value.c : undefined;
}

function madeOf(known: Known, { name, row, key }: At): Made | undefined {
  const fact = known.time.facts.get(name);
  if (fact?.kind === "constant" || known.constants.has(name)) return { how: "constant" };
  if (fact?.kind !== "position") return undefined;
  const node = known.graphs.index.producer.get(name);
  if (node?.domain !== "") return undefined;
  const rankOf = (tensor: string) =>
    known.graphs.shapes.seen.get(tensor)?.dims[0]?.length ?? known.constants.get(tensor)?.dims.length ?? 0;
  const rank = rankOf(name);
  /** Of an input whose last axes are those of what is made. */
  const broadcast = (input: string): At => {
    const at = (axis: number) => (axis < 0 ? -1 : narrowed(known, input, axis - rank + rankOf(input)));
    return { name: input, row: at(row), key: at(key) };
  };
  const [data] = node.inputs;
  switch (node.op) {
    case "Range": {
      const [first, , step] = node.inputs.map((input) => numberAt(known, input));
      return first === undefined || step !== 1 ? undefined : { how: "range", first };
    }
    case "Unsqueeze":
    case "Squeeze":
    case "Reshape": {
      // axes that grow keep their order
      const growing = (tensor: string) =>
        Array.from({ length: rankOf(tensor) }, (_, k) => k).filter((k) => grows(known, tensor, k));
      const [own, before] = [growing(name), growing(data!)];
      if (own.length !== before.length) return undefined;
      const moved = (axis: number) => (axis < 0 ? -1 : (before[own.indexOf(axis)] ?? -1));
      return { how: "moved", of: { name: data!, row: moved(row), key: moved(key) } };
    }
    case "Transpose": {
      const order =
        (node.attributes.perm as readonly number[] | undefined) ?? Array.from({ length: rank }, (_, k) => rank - 1 - k);
      return { how: "moved", of: { name: data!, row: order[row] ?? -1, key: order[key] ?? -1 } };
    }
    case "Expand":
      return { how: "moved", of: broadcast(data!) };
    case "ConstantOfShape": {
      const { value } = node.attributes;
      const isTensor = value && typeof value === "object" && "data" in value;
      return { how: "filled", value: number(isTensor ? (toNumbers(value)[0] ?? 0) : 0) };
    }
    case "Trilu": {
      const by = node.inputs[1] ? numberAt(known, node.inputs[1]) : 0;
      if (by === undefined || row !== rank - 2 || key !== rank - 1) return undefined;
      const upper = Number(node.attributes.upper ?? 1) !== 0;
      return { how: "triangle", of: { name: data!, row, key }, upper, by };
    }
    case "Gather":
    case "GatherND": {
      const [table, indices] = node.inputs as [string, string];
      const isTable = known.constants.has(table) && Number(node.attributes.axis ?? 0) === 0;
      const at = (axis: number) => (axis < 0 ? -1 : fromFront(axis, rankOf(indices)));
      return isTable ? { how: "picked", of: { name: indices, row: at(row), key: at(key) }, table } : undefined;
    }
  }
  if (!ELEMENTWISE.rules[node.op]) return undefined;
  return { how: "elementwise", node, of: node.inputs.filter(Boolean).map(broadcast) };
}

/** An axis that has an entry for each position; -1 for one that is stretched. */
const narrowed = (known: Known, tensor: string, axis: number): number =>
  axis >= 0 && grows(known, tensor, axis) ? axis : -1;

/** A function of the position at all pairs of a region; undefined where it may depend on the length. */
export function valueAt(known: Known, at: At, region: Region): Value | undefined {
  const made = madeOf(known, at);
  switch (made?.how) {
    case undefined:
      return undefined;
    case "constant":
      return constantAt(known, at.name);
    case "range":
      return { kind: "linear", a: at.row === 0 ? 1 : 0, b: at.key === 0 ? 1 : 0, c: made.first };
    case "filled":
      return made.value;
    case "moved":
      return valueAt(known, made.of, region);
    case "triangle": {
      const x = valueAt(known, made.of, region);
      return x && triangle(x, made.upper, made.by, region);
    }
    case "picked":
      // rows beyond the table's end fail, and are never others
      return (
        valueAt(known, made.of, region) && (constantAt(known, made.table).kind === "any" ? ANY : { kind: "score" })
      );
    case "elementwise": {
      const inputs = made.of.map((each) => valueAt(known, each, region));
      if (inputs.includes(undefined)) return undefined;
      return elementwise(made.node, inputs as Value[], region) ?? ANY;
    }
  }
}

/** How a function of the position moves from (i, j) to (i + 1, j + 1): by so much, or in another way. */
function slopeOf(known: Known, at: At): number | undefined {
  const made = madeOf(known, at);
  switch (made?.how) {
    case "constant":
    case "filled":
      return 0;
    case "range":
      return (at.row === 0 ? 1 : 0) + (at.key === 0 ? 1 : 0);
    case "moved":
    case "triangle": {
      const slope = slopeOf(known, made.of);
      return made.how === "moved" || slope === 0 ? slope : undefined;
    }
    case "elementwise": {
      const slopes = made.of.map((each) => slopeOf(known, each));
      const [x, y] = slopes;
      if (slopes.every((slope) => slope === 0)) return 0;
      if (x === undefined || y === undefined) return made.node.op === "Cast" ? x : undefined;
      if (made.node.op === "Add") return x + y;
      if (made.node.op === "Sub") return x - y;
      return COMPARISONS.has(made.node.op) && x === y ? 0 : undefined;
    }
    case "picked":
      return isClipped(known, made.of) ? slopeOf(known, made.of) : undefined;
    default:
      return undefined;
  }
}

/** Whether a number is kept within bounds, so that the rows of a table that there are for a sequence are those for any. */
function isClipped(known: Known, at: At): boolean {
  const made = madeOf(known, at);
  if (made?.how === "moved") return isClipped(known, made.of);
  return made?.how === "elementwise" && made.node.op === "Clip" && made.of.length === 3;
}

const COMPARISONS = new Set(["Equal", "Greater", "GreaterOrEqual", "Less", "LessOrEqual"]);

/**
 * Whether a function of two positions is one of their difference, by rule, that can be made for positions beyond the sequence: rows
 * of a table may end with it.
 */
export const isOfDifference = (known: Known, at: At): boolean => slopeOf(known, at) === 0;
