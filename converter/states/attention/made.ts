/** How functions of the position are made, one step towards their sources. */
import type { Known } from "../../find/carried.ts";
import { fromFront, permOf } from "../../graph/axis.ts";
import type { Node } from "../../graph/graph.ts";
import { toNumbers } from "../../graph/tensor.ts";
import { isConstant } from "../../time/facts/dim.ts";
import { ELEMENTWISE } from "../../time/rules/elementwise.ts";
import { ANY, number, ofTensor, type Value } from "./value.ts";

/** A function of the position, and its axes of queries and of keys; -1 where it has none. */
export interface At {
  readonly name: string;
  readonly row: number;
  readonly key: number;
}

/** How it is made, in a way in which it does not depend on the length. */
export type Made =
  | { readonly how: "constant" }
  /** first, first + 1, … */
  | { readonly how: "range"; readonly first: number }
  | { readonly how: "filled"; readonly value: Value }
  | { readonly how: "moved"; readonly of: At }
  /** The first rows, or rows and columns, of a table. */
  | { readonly how: "block"; readonly table: string; readonly row: number; readonly key: number }
  /** A sum along the positions, or along another axis. */
  | { readonly how: "summed"; readonly of: At; readonly isAlong: boolean }
  /** One row more in front of the others. */
  | { readonly how: "behind"; readonly front: At; readonly of: At }
  /** From a row on, or that row alone. */
  | { readonly how: "cut"; readonly of: At; readonly from: number; readonly alone: boolean }
  /** What is `by` or more behind the diagonal, or before it, is left; else 0. */
  | { readonly how: "triangle"; readonly of: At; readonly upper: boolean; readonly by: number }
  /** That or 0, whatever the place along an axis beside those of the triangle. */
  | { readonly how: "chosen"; readonly of: At }
  /** Sums over another axis, or parts beside one another along one. */
  | { readonly how: "beside"; readonly of: readonly At[] }
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

/** How it is made; undefined where that is not known, or may depend on the length. */
export function madeOf(known: Known, { name, row, key }: At): Made | undefined {
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
      // axes of the sequence and of the batch keep their order
      const [own, before] = [name, data!].map((tensor) => freeAxes(known, tensor));
      if (!own || !before || own.length !== before.length) return undefined;
      if (own.some((axis, k) => !isAlike(known, [name, axis], [data!, before[k]!]))) return undefined;
      const moved = (axis: number) => (axis < 0 ? -1 : (before[own.indexOf(axis)] ?? -1));
      return { how: "moved", of: { name: data!, row: moved(row), key: moved(key) } };
    }
    case "Transpose": {
      const order = permOf(node, rank);
      return { how: "moved", of: { name: data!, row: order[row] ?? -1, key: order[key] ?? -1 } };
    }
    case "Expand":
      return { how: "moved", of: broadcast(data!) };
    case "ConstantOfShape": {
      const { value } = node.attributes;
      const isTensor = value && typeof value === "object" && "data" in value;
      return { how: "filled", value: isTensor ? ofTensor(value) : number(0) };
    }
    case "Trilu": {
      const by = node.inputs[1] ? numberAt(known, node.inputs[1]) : 0;
      if (by !== undefined && row >= 0 && row < rank - 2 && key < 0)
        return { how: "chosen", of: { name: data!, row, key } };
      if (by === undefined || row !== rank - 2 || key !== rank - 1) return undefined;
      const upper = Number(node.attributes.upper ?? 1) !== 0;
      return { how: "triangle", of: { name: data!, row, key }, upper, by };
    }
    case "CumSum": {
      const along = fromFront(numberAt(known, node.inputs[1]!) ?? Number.NaN, rank);
      return { how: "summed", of: { name: data!, row, key }, isAlong: along === row || along === key };
    }
    case "Concat": {
      const along = fromFront(Number(node.attributes.axis), rank);
      if (along !== row && along !== key)
        return { how: "beside", of: node.inputs.map((input) => ({ name: input, row, key })) };
      const [front, of] = node.inputs.map((input) => ({ name: input, row, key }));
      if (node.inputs.length !== 2 || !isSize(known, front!.name, along, 1)) return undefined;
      return { how: "behind", front: { ...front!, row: -1, key: -1 }, of: of! };
    }
    case "MatMul": {
      const isWeight = known.constants.get(node.inputs[1]!)?.dims.length === 2;
      const isSummed = row === rank - 1 || key === rank - 1;
      return isWeight && !isSummed ? { how: "beside", of: [{ name: data!, row, key }] } : undefined;
    }
    case "Slice":
      return sliced(known, node, { name, row, key });
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

/** A slice of a table from its beginning, or along positions from one of them on. */
function sliced(known: Known, node: Node, { name, row, key }: At): Made | undefined {
  const [data, starts, , axes, steps] = node.inputs;
  const table = tableUnder(known, name);
  if (table !== undefined) return { how: "block", table, row, key };
  const [from, along] = [starts, axes].map((input) => numberAt(known, input ?? ""));
  const rank = known.graphs.shapes.seen.get(name)?.dims[0]?.length ?? 0;
  if (from === undefined || from < 0 || along === undefined || (steps && numberAt(known, steps) !== 1))
    return undefined;
  const axis = fromFront(along, rank);
  const alone = isSize(known, name, axis, 1);
  // positions alone: a pair would be another one
  if (alone && row < 0 && key < 0) return { how: "cut", of: { name: data!, row: axis, key: -1 }, from, alone };
  if ((axis === row && key < 0) || (axis === key && row < 0))
    return { how: "cut", of: { name: data!, row, key }, from, alone };
  return axis !== row && axis !== key ? { how: "moved", of: { name: data!, row, key } } : undefined;
}

/** The table whose first rows and columns a slice, or a slice of a slice, is. */
function tableUnder(known: Known, name: string): string | undefined {
  const node = known.graphs.index.producer.get(name);
  const [data, starts, , , steps] = node?.inputs ?? [];
  if (node?.op !== "Slice" || node.domain !== "") return undefined;
  const from = known.constants.get(starts!)?.tensor() ?? known.graphs.model.graph.initializers.get(starts!)?.tensor();
  if (!from || toNumbers(from).some((value) => value !== 0) || (steps && numberAt(known, steps) !== 1))
    return undefined;
  return known.constants.has(data!) ? data : tableUnder(known, data!);
}

/** Axes whose size is that of the sequence, or of the batch. */
const freeAxes = ({ graphs: { shapes } }: Known, tensor: string): number[] => {
  const dims = shapes.seen.get(tensor)?.dims ?? [];
  return (dims[0] ?? []).flatMap((size, k) => (dims.every((each) => each[k] === size) ? [] : [k]));
};

const isAlike = ({ graphs: { shapes } }: Known, [x, k]: readonly [string, number], [y, l]: readonly [string, number]) =>
  shapes.seen.get(x)!.dims.every((dims, run) => dims[k] === shapes.seen.get(y)!.dims[run]![l]);

const isSize = ({ graphs: { shapes } }: Known, tensor: string, axis: number, size: number): boolean =>
  shapes.seen.get(tensor)?.dims.every((dims) => dims[axis] === size) ?? false;

/** An axis that has an entry for each position; -1 for one that is stretched. */
const narrowed = (known: Known, tensor: string, axis: number): number =>
  axis >= 0 && freeAxes(known, tensor).includes(axis) ? axis : -1;
