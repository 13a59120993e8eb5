/** How functions of the position are made, followed to their sources: what they are at a pair of a query and a key. */
import type { Known } from "../../find/carried.ts";
import { fromFront } from "../../graph/axis.ts";
import type { Node } from "../../graph/graph.ts";
import { toNumbers } from "../../graph/tensor.ts";
import { isConstant } from "../../time/facts/dim.ts";
import { ELEMENTWISE } from "../../time/rules/elementwise.ts";
import {
  ANY,
  elementwise,
  isZero,
  number,
  ofNumbers,
  ofTensor,
  pairsIn,
  type Region,
  triangle,
  type Value,
} from "./values.ts";

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
  /** The first rows, or rows and columns, of a table. */
  | { readonly how: "block"; readonly table: string; readonly row: number; readonly key: number }
  /** A sum along the positions, or along another axis. */
  | { readonly how: "summed"; readonly of: At; readonly isAlong: boolean }
  /** One row more in front of the others; `isAlong` the positions, or along another axis. */
  | { readonly how: "behind"; readonly front: At; readonly of: At; readonly isAlong: boolean }
  /** From a row on, or that row alone. */
  | { readonly how: "cut"; readonly of: At; readonly from: number; readonly alone: boolean }
  /** What is `by` or more behind the diagonal, or before it, is left; else 0. */
  | { readonly how: "triangle"; readonly of: At; readonly upper: boolean; readonly by: number }
  /** That or 0, whatever the place along an axis beside those of the triangle. */
  | { readonly how: "chosen"; readonly of: At }
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
      // axes of the sequence and of the batch keep their order
      const [own, before] = [name, data!].map((tensor) => freeAxes(known, tensor));
      if (!own || !before || own.length !== before.length) return undefined;
      if (own.some((axis, k) => !isAlike(known, [name, axis], [data!, before[k]!]))) return undefined;
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
      const [front, of] = node.inputs.map((input) => ({ name: input, row, key }));
      if (node.inputs.length !== 2 || !isSize(known, front!.name, along, 1)) return undefined;
      const isAlong = along === row || along === key;
      return { how: "behind", front: isAlong ? { ...front!, row: -1, key: -1 } : front!, of: of!, isAlong };
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

/** Numbers of a table that are looked at. */
const MOST_NUMBERS = 2 ** 24;

/** What a table holds at the pairs of a region. */
function inBlock(
  known: Known,
  { table, row, key }: Extract<Made, { how: "block" }>,
  region: Region,
): Value | undefined {
  const constant = known.constants.get(table)!;
  const { dims } = constant;
  const size = dims.reduce((product, each) => product * each, 1);
  if (size > MOST_NUMBERS) return undefined;
  const numbers = toNumbers(constant.tensor());
  const strideOf = (axis: number) => (axis < 0 ? 0 : dims.slice(axis + 1).reduce((product, each) => product * each, 1));
  const [rows, keys] = [row, key].map((axis) => (axis < 0 ? 1 : dims[axis]!));
  const others = Array.from({ length: size }, (_, at) => at).filter((at) =>
    [row, key].every((axis) => axis < 0 || Math.floor(at / strideOf(axis)) % dims[axis]! === 0),
  );
  const pairs = row < 0 || key < 0 ? pairsIn(rows!, keys!, EVERYWHERE) : pairsIn(rows!, keys!, region);
  function* entries() {
    for (const [i, j] of pairs) for (const at of others) yield numbers[at + i * strideOf(row) + j * strideOf(key)]!;
  }
  return ofNumbers(constant.tensor().type, entries());
}

const EVERYWHERE: Region = { first: "query", behind: Number.NEGATIVE_INFINITY };

/** Where the table ends that a function of the position reads. */
export function endOf(known: Known, at: At): { readonly table: string; readonly positions: number } | undefined {
  const made = madeOf(known, at);
  if (made?.how === "block") {
    const sizes = [made.row, made.key]
      .filter((axis) => axis >= 0)
      .map((axis) => known.constants.get(made.table)!.dims[axis]!);
    return sizes.length > 0 ? { table: made.table, positions: Math.min(...sizes) } : undefined;
  }
  const parts = made && "of" in made ? [made.of].flat() : [];
  const ends = parts.flatMap((part) => endOf(known, part as At) ?? []);
  return ends.sort((a, b) => a.positions - b.positions)[0];
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

/** What holds at every position of a function of one axis. */
const alongOne = (known: Known, of: At): Value | undefined =>
  of.row >= 0 && of.key >= 0 ? undefined : valueAt(known, of, { first: of.row >= 0 ? "query" : "key", behind: 0 });

/** A function of the position at all pairs of a region; undefined where it may depend on the length. */
export function valueAt(known: Known, at: At, region: Region): Value | undefined {
  const made = madeOf(known, at);
  switch (made?.how) {
    case undefined:
      return undefined;
    case "constant":
      return constantAt(known, at.name);
    case "range":
      if (at.row !== 0 && at.key !== 0) return undefined;
      return { kind: "linear", a: at.row === 0 ? 1 : 0, b: at.key === 0 ? 1 : 0, c: made.first };
    case "filled":
      return made.value;
    case "moved":
      return valueAt(known, made.of, region);
    case "chosen":
      return valueAt(known, made.of, region) && ANY;
    case "block":
      return inBlock(known, made, region);
    case "summed": {
      const x = made.isAlong ? alongOne(known, made.of) : undefined;
      return x && (isZero(x) ? x : ANY);
    }
    case "behind": {
      if (!made.isAlong) return undefined;
      const [front, x] = [valueAt(known, made.front, region), alongOne(known, made.of)];
      const isNext = front?.kind === "linear" && x?.kind === "linear" && front.c === x.c - x.a - x.b;
      return front && x && (isNext ? { ...x, c: front.c } : ANY);
    }
    case "cut": {
      const x = alongOne(known, made.of);
      if (x?.kind !== "linear") return x && ANY;
      const c = x.c + (x.a + x.b) * made.from;
      return made.alone ? number(c) : { ...x, c };
    }
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
      return at.row < 0 && at.key < 0 ? 0 : undefined;
    case "filled":
      return 0;
    case "summed":
    case "behind":
    case "cut": {
      if (made.how !== "cut" && !made.isAlong) {
        const slopes = [made.of, ...("front" in made ? [made.front] : [])].map((each) => slopeOf(known, each));
        return slopes.every((slope) => slope === 0) ? 0 : undefined;
      }
      const value = valueAt(known, at, { first: "query", behind: 0 });
      return value?.kind === "linear" ? value.a + value.b : undefined;
    }
    case "range":
      return (at.row === 0 ? 1 : 0) + (at.key === 0 ? 1 : 0);
    case "moved":
    case "chosen":
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

/** Whether a tensor is the same all along an axis, by rule. */
export const isSameAlong = (known: Known, name: string, axis: number): boolean =>
  slopeOf(known, { name, row: axis, key: -1 }) === 0;

/**
 * Whether a function of two positions is one of their difference, by rule, that can be made for positions beyond the sequence: rows
 * of a table may end with it.
 */
export const isOfDifference = (known: Known, at: At): boolean => slopeOf(known, at) === 0;
