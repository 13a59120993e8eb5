/** Functions of two positions, for all keys and the new queries alone: masks, biases, decays, computed as the graph computes them. */
import type { Known } from "../../find/carried.ts";
import { fromFront, permOf } from "../../graph/axis.ts";
import type { Builder } from "../../graph/build.ts";
import { type GraphIndex, indexGraph, type Model, type Node } from "../../graph/graph.ts";
import { DataType } from "../../graph/tensor.ts";
import type { SymbolNames } from "../../parts/layout.ts";
import { fixedSizes } from "../../parts/seen-shapes.ts";
import type { Dim } from "../../time/facts/dim.ts";
import { ELEMENTWISE } from "../../time/rules/elementwise.ts";

/** What is known of a total length: N positions, of which the last T are new. */
export interface Total {
  readonly symbols: SymbolNames;
  /** int64 [1]: N. */
  readonly keys: string;
  /** int64 [1]: positions before the new ones. */
  readonly past: string;
}

/** Computes functions of the position for N positions; along `rows`, of the new ones alone. */
export type Compute = (name: string, rows: number | undefined) => string;

/** The way to compute functions of the position in a graph. @param given what is known for N positions already */
export function positionsIn(
  b: Builder,
  known: Known,
  model: Model,
  total: Total,
  given: ReadonlyMap<string, string> = new Map(),
): Compute {
  const index = indexGraph(model.graph);
  const made = new Map([...given].map(([name, tensor]) => [`${name} undefined`, tensor]));
  const compute: Compute = (name, rows) => {
    const key = `${name} ${rows}`;
    const before = made.get(key);
    if (before !== undefined) return before;
    const tensor = computed({ b, known, index, total, compute }, name, rows);
    made.set(key, tensor);
    return tensor;
  };
  return compute;
}

interface Scope {
  readonly b: Builder;
  readonly known: Known;
  readonly index: GraphIndex;
  readonly total: Total;
  readonly compute: Compute;
}

function computed(scope: Scope, name: string, rows: number | undefined): string {
  const { b, known, index, total, compute } = scope;
  const fact = known.time.facts.get(name);
  const node = index.producer.get(name);
  if (fact?.kind === "shape" && fact.values) return sizesFor(b, fact.values, fact.rank, typeOf(known, name), total);
  if (!node || known.constants.has(name)) return rows === undefined ? name : newRows(b, name, rows, total);
  if (rows === undefined) return copied(scope, node, name, (input) => compute(input, undefined));
  const growing = (tensor: string, axis: number) => grows(known, tensor, axis);
  const rank = known.graphs.shapes.seen.get(name)!.dims[0]!.length;
  const rankOf = (tensor: string) =>
    known.graphs.shapes.seen.get(tensor)?.dims[0]?.length ?? known.constants.get(tensor)?.dims.length ?? 0;
  if (node.domain === "") {
    const special = SPECIAL[node.op]?.(scope, node, rows);
    if (special !== undefined) return special;
    if (ELEMENTWISE.rules[node.op])
      return copied(scope, node, name, (input) => {
        const axis = rows - (rank - rankOf(input));
        return compute(input, axis >= 0 && growing(input, axis) ? axis : undefined);
      });
  }
  return newRows(
    b,
    copied(scope, node, name, (input) => compute(input, undefined)),
    rows,
    total,
  );
}

function copied({ b }: Scope, node: Node, name: string, of: (input: string) => string): string {
  const outputs = b.copy(
    node,
    node.inputs.map((input) => (input ? of(input) : "")),
  );
  return outputs[node.outputs.indexOf(name)]!;
}

/** A diagonal where so many rows in front are left out. @param rows int64 [1] */
export function movedBy(b: Builder, rows: string, diagonal: string | undefined): string {
  const by = b.one("Reshape", [rows, b.ints("scalar", [])], {}, { hint: "past" });
  if (!diagonal) return by;
  return b.one("Add", [b.one("Reshape", [diagonal, b.ints("scalar", [])]), by], {}, { hint: "diagonal" });
}

const newRows = (b: Builder, tensor: string, axis: number, { past }: Total): string =>
  b.one("Slice", [tensor, past, b.ints("end", [2 ** 53 - 1]), b.ints("axis", [axis])], {}, { hint: "new_rows" });

/** Whether an axis has as many entries as there are positions. */
export function grows({ graphs }: Known, tensor: string, axis: number): boolean {
  const { shapes, inputs } = graphs;
  const seen = shapes.seen.get(tensor);
  if (!seen || fixedSizes(inputs).time !== undefined) return false;
  return shapes.runs.every(({ time }, run) => seen.dims[run]![axis] === time);
}

const typeOf = ({ graphs }: Known, name: string): number => graphs.shapes.seen.get(name)?.type ?? DataType.INT64;

/** Numbers made of the batch size and the length, for N positions. */
function sizesFor(b: Builder, values: readonly Dim[], rank: 0 | 1, type: number, { symbols, keys }: Total): string {
  const parts = values.map(({ constant, batch, time, product }) => {
    const times = (tensor: string, by: number) =>
      by === 1 ? tensor : b.one("Mul", [tensor, b.ints("factor", [by])], {}, { hint: "size" });
    const terms = [
      ...(batch ? [times(symbols.batch(), batch)] : []),
      ...(time ? [times(keys, time)] : []),
      ...(product ? [times(b.one("Mul", [symbols.batch(), keys], {}, { hint: "size" }), product)] : []),
      ...(constant || !(batch || time || product) ? [b.ints("size", [constant])] : []),
    ];
    return terms.reduce((a, c) => b.one("Add", [a, c], {}, { hint: "size" }));
  });
  const joined = parts.length === 1 ? parts[0]! : b.one("Concat", parts, { axis: 0 }, { hint: "sizes" });
  const shaped = rank === 0 ? b.one("Reshape", [joined, b.ints("scalar", [])], {}, { hint: "size" }) : joined;
  return type === DataType.INT64 ? shaped : b.one("Cast", [shaped], { to: type }, { hint: "size" });
}

/** Operators whose rows are made without making all of them. */
const SPECIAL: Readonly<Record<string, (scope: Scope, node: Node, rows: number) => string | undefined>> = {
  /** https://onnx.ai/onnx/operators/onnx__Unsqueeze.html */
  Unsqueeze({ b, known, compute }, node, rows) {
    const [data, axes] = node.inputs;
    const given = axes ? known.constants.get(axes)?.tensor() : undefined;
    if (!given) return undefined;
    const rank = known.graphs.shapes.seen.get(node.outputs[0]!)!.dims[0]!.length;
    const fresh = Array.from(given.data as ArrayLike<number | bigint>, (axis) => fromFront(Number(axis), rank));
    if (fresh.includes(rows)) return undefined;
    return b.copy(node, [compute(data!, rows - fresh.filter((axis) => axis < rows).length), axes!])[0]!;
  },
  /** https://onnx.ai/onnx/operators/onnx__Transpose.html */
  Transpose({ b, compute, known }, node, rows) {
    const rank = known.graphs.shapes.seen.get(node.outputs[0]!)!.dims[0]!.length;
    return b.copy(node, [compute(node.inputs[0]!, permOf(node, rank)[rows]!)])[0]!;
  },
  /** https://onnx.ai/onnx/operators/onnx__Trilu.html: the diagonal moves with the rows that are left out. */
  Trilu({ b, known, compute, total }, node, rows) {
    const rank = known.graphs.shapes.seen.get(node.outputs[0]!)!.dims[0]!.length;
    if (rows < rank - 2) return undefined;
    const [data, diagonal] = node.inputs;
    const by = rows === rank - 2 ? total.past : b.one("Neg", [total.past], {}, { hint: "past" });
    return b.copy(node, [compute(data!, rows), movedBy(b, by, diagonal && compute(diagonal, undefined))])[0]!;
  },
  /** https://onnx.ai/onnx/operators/onnx__Expand.html: to as many rows as are new. */
  Expand({ b, known, compute, total }, node, rows) {
    const [data, shape] = node.inputs;
    const fact = known.time.facts.get(shape!);
    const rank = known.graphs.shapes.seen.get(node.outputs[0]!)!.dims[0]!.length;
    if (fact?.kind !== "shape" || !fact.values || fact.values.length !== rank) return undefined;
    const own = known.graphs.shapes.seen.get(data!)?.dims[0] ?? known.constants.get(data!)?.dims ?? [];
    const axis = rows - (rank - own.length);
    const isWide = axis >= 0 && grows(known, data!, axis);
    const parts = fact.values.map((value, k) =>
      k === rows ? total.symbols.time() : sizesFor(b, [value], 1, DataType.INT64, total),
    );
    const target = b.one("Concat", parts, { axis: 0 }, { hint: "shape" });
    return b.copy(node, [compute(data!, isWide ? axis : undefined), target])[0]!;
  },
  /** https://onnx.ai/onnx/operators/onnx__Gather.html: rows of a table, picked by positions. */
  Gather({ b, known, compute }, node, rows) {
    const [data, indices] = node.inputs;
    const axis = Number(node.attributes.axis ?? 0);
    if (axis !== 0 || !known.constants.has(data!)) return undefined;
    const rank = known.graphs.shapes.seen.get(indices!)?.dims[0]?.length ?? 0;
    if (rows >= rank || !grows(known, indices!, rows)) return undefined;
    return b.copy(node, [data!, compute(indices!, rows)])[0]!;
  },
  /** https://onnx.ai/onnx/operators/onnx__GatherND.html */
  GatherND({ b, known, compute }, node, rows) {
    const [data, indices] = node.inputs;
    const rank = known.graphs.shapes.seen.get(indices!)?.dims[0]?.length ?? 0;
    if (node.attributes.batch_dims || !known.constants.has(data!) || rows >= rank - 1 || !grows(known, indices!, rows))
      return undefined;
    return b.copy(node, [data!, compute(indices!, rows)])[0]!;
  },
};
