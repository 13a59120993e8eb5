/** Functions of the absolute position: a carried counter, and what the graph computed from 0, 1, … computed from it. */
import { BATCH_SIZE, pastSsm, presentSsm } from "../../src/contract.ts";
import { LongConvError } from "../../src/errors.ts";
import type { Found } from "../find/find.ts";
import { evaluatePosition, rowsOf } from "../find/tables.ts";
import { type Builder, rewire } from "../onnx/build.ts";
import { indexGraph, type Node, type ValueInfo, whereOf } from "../onnx/graph.ts";
import { DataType, type Tensor } from "../onnx/tensor.ts";
import { floatTypeOf } from "../onnx/widen.ts";
import { axisOf, type Layout, timeAxis } from "../time/fact.ts";
import { ELEMENTWISE } from "../time/rules/elementwise.ts";
import { dynamicShape, type SymbolNames, shapeOperand } from "./layout.ts";

/** Rows of a looked-up table, where it does not settle before. */
const TABLE_ROWS = 4096;
/** A table has settled where its rows no longer change by more than this part of the largest entry. */
const SETTLED = 1e-6;

/** A use of a function of the position, resolved: which tensor meets which layout. */
interface Use {
  readonly node: Node;
  readonly tensor: string;
}

export interface Counter {
  readonly past: ValueInfo;
  readonly present: ValueInfo;
  /** int64 [batch · T]: the position of every token, flattened. */
  readonly flat: string;
}

/** Looked-up tables by tensor, evaluated. */
export type Tables = ReadonlyMap<string, { readonly tensor: Tensor; readonly axis: number; readonly settles: boolean }>;

/** Evaluates the tables that a model looks up; one that settles is cut there and its last row used from then on. */
export async function evaluateTables(found: Found): Promise<Tables> {
  const result = new Map<string, { tensor: Tensor; axis: number; settles: boolean }>();
  for (const [name, axes] of found.tables) {
    const axis = timeAxis(axes);
    const tensor = await evaluatePosition(found.graphs, name, TABLE_ROWS);
    const rows = rowsOf(tensor, axis);
    const largest = rows.reduce((most, row) => row.reduce((a, b) => Math.max(a, Math.abs(b)), most), 0);
    const last = rows.at(-1)!;
    const settles = rows
      .slice(TABLE_ROWS / 2)
      .every((row) => row.every((value, k) => Math.abs(value - last[k]!) <= SETTLED * largest));
    result.set(name, { tensor, axis, settles });
  }
  return result;
}

/** Uses that depend on where a token stands; a function that has the same row everywhere (ones, zeros) needs no counter. */
export function positionUses(found: Found): Use[] {
  const varies = varying(found);
  return found.time.positions.filter(({ tensor }) => varies.has(tensor));
}

/** Operators that repeat what has no time axis: the same row everywhere. */
const UNIFORM = new Set(["ConstantOfShape", "Expand", "Tile"]);

/** Tensors whose rows differ: where a time axis comes from anything but repetition, what is looked up, and all that reads them. */
function varying({ graphs: { model }, time, tables }: Found): Set<string> {
  const found = new Set(tables.keys());
  const hasTime = (name: string) => {
    const fact = time.facts.get(name);
    return fact?.kind === "position" && (fact.axes === undefined || timeAxis(fact.axes) >= 0);
  };
  for (const node of model.graph.nodes) {
    const outputs = node.outputs.filter((name) => time.facts.get(name)?.kind === "position");
    const starts = !UNIFORM.has(node.op) && outputs.some(hasTime) && !node.inputs.some(hasTime);
    if (starts || node.inputs.some((name) => found.has(name))) for (const name of outputs) found.add(name);
  }
  return found;
}

/**
 * Adds the counter: a state [batch_size, 1, 1] that counts the tokens of each row, padding left out.
 * @param mask float32 [batch, T, 1]
 */
export function addCounter(b: Builder, index: number, symbols: SymbolNames, mask: string | undefined): Counter {
  const info = (name: string): ValueInfo => ({ name, type: DataType.FLOAT, dims: [BATCH_SIZE, 1, 1] });
  const [past, present] = [info(pastSsm(index)), info(presentSsm(index))];
  const one = b.floats("one", [1, 1, 1], [1]);
  const size = b.one("Concat", [symbols.batch(), symbols.time(), b.ints("one", [1])], { axis: 0 }, { hint: "tokens" });
  const tokens = b.one("Expand", [mask ?? one, size], {}, { hint: "tokens" });
  const within = b.one("CumSum", [tokens, b.ints("time_axis", 1)], {}, { hint: "count" });
  const counted = b.one("Add", [within, past.name], {}, { hint: "count" });
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

/**
 * The node with a function of the position among its inputs computed from the counter, one row for each token.
 * @param changed the node where another of its inputs has been replaced already
 */
export function fromCounter(
  b: Builder,
  found: Found,
  tables: Tables,
  counter: Counter,
  symbols: SymbolNames,
  { node, tensor }: Use,
  changed?: Node,
): Node {
  const { facts } = found.time;
  const target = facts.get(node.outputs[0]!);
  const fact = facts.get(tensor);
  const broadcasts = node.domain === "" && ELEMENTWISE.rules[node.op];
  if (
    !broadcasts ||
    target?.kind !== "stream" ||
    fact?.kind !== "position" ||
    !fact.axes ||
    fact.axes.flat().includes("batch")
  )
    throw unsupported(found, node, tensor);
  const flat = recompute(b, found, tables, counter, symbols, tensor, node);
  const aligned = alignRows(b, flat, fact.axes, target.axes, symbols);
  if (!aligned) throw unsupported(found, node, tensor);
  const own = changed ?? indexGraph(found.original.graph).producer.get(node.outputs[0]!)!;
  return rewire(own, { inputs: own.inputs.map((name) => (name === tensor ? aligned : name)) });
}

const unsupported = (found: Found, node: Node, tensor: string): LongConvError =>
  new LongConvError(
    "absolute-position",
    `combines a stream with '${tensor}', a function of the absolute position, in a way that has no counter form`,
    whereOf(found.graphs.model, node),
  );

/** Copies the nodes that make `tensor` from positions, with the flattened positions in the place of 0, 1, …, n-1. */
function recompute(
  b: Builder,
  found: Found,
  tables: Tables,
  counter: Counter,
  symbols: SymbolNames,
  tensor: string,
  user: Node,
): string {
  const { original, time } = found;
  const { producer } = indexGraph(original.graph);
  const done = new Map<string, string>();
  // the flattened positions take the place of time; no batch is left beside them
  const flat: SymbolNames = {
    batch: () => b.ints("one", [1]),
    time: () => b.one("Shape", [counter.flat], {}, { hint: "positions" }),
    areOne: symbols.areOne,
  };
  const copy = (name: string): string => {
    const known = done.get(name);
    if (known) return known;
    const fact = time.facts.get(name);
    if (fact?.kind !== "position") return name;
    const table = tables.get(name);
    const made = table ? lookUp(b, counter, table) : copyNode(producer.get(name)!, name, fact.axes);
    done.set(name, made);
    return made;
  };
  const copyNode = (node: Node, output: string, axes: Layout | undefined): string => {
    if (!axes) throw unsupported(found, user, tensor);
    if (node.op === "Range") return fromRange(b, counter, node, floatTypeOf(original, output));
    if (node.op === "Slice" && time.facts.get(node.inputs[0]!)?.kind === "constant")
      return b.one("Gather", [node.inputs[0]!, counter.flat], { axis: timeAxis(axes) }, { hint: "row" });
    if (node.op === "Reshape" || node.op === "Expand") {
      const source = copy(node.inputs[0]!);
      const shape = node.op === "Reshape" ? shapeOperand(b, axes, flat) : dynamicShape(b, axes, flat);
      return b.one(node.op, [source, shape], {}, { hint: node.op });
    }
    const inputs = node.inputs.map((input) => (input ? copy(input) : ""));
    if (node.inputs.some((input) => time.facts.get(input)?.kind === "shape")) throw unsupported(found, user, tensor);
    return b.copy(node, inputs)[node.outputs.indexOf(output)]!;
  };
  return copy(tensor);
}

/** start + position, in the Range's own type. */
function fromRange(b: Builder, counter: Counter, node: Node, type: number): string {
  const typed =
    type === DataType.INT64 ? counter.flat : b.one("Cast", [counter.flat], { to: type }, { hint: "position" });
  return b.one("Add", [typed, node.inputs[0]!], {}, { hint: "position" });
}

/** Rows of an evaluated table; of one that has settled the last row serves every later position. */
function lookUp(
  b: Builder,
  counter: Counter,
  { tensor, axis, settles }: { tensor: Tensor; axis: number; settles: boolean },
): string {
  const table = b.constant("table", tensor);
  const last = b.ints("last_row", tensor.dims[axis]! - 1);
  const row = settles ? b.one("Min", [counter.flat, last], {}, { hint: "row" }) : counter.flat;
  return b.one("Gather", [table, row], { axis }, { hint: "rows" });
}

/** From [.., batch·T, ..] to the target's rank, with batch and time on the target's axes. */
function alignRows(b: Builder, flat: string, axes: Layout, target: Layout, symbols: SymbolNames): string | undefined {
  const offset = target.length - axes.length;
  const [time, batch] = [timeAxis(axes), axisOf(target, "batch")];
  if (
    offset < 0 ||
    time + offset !== timeAxis(target) ||
    target[time + offset]!.length !== 1 ||
    target[batch]!.length !== 1
  )
    return undefined;
  const own = axes[batch - offset];
  if (own && own.length > 0) return undefined;
  // batch and time apart first, then every axis to its place
  const apart: Layout = [...axes.slice(0, time), ["batch"], ["time"], ...axes.slice(time + 1)];
  const split = b.one("Reshape", [flat, shapeOperand(b, apart, symbols)], {}, { hint: "rows" });
  const order: number[] = [];
  const units: number[] = [];
  for (let k = 0; k < target.length; k++) {
    const from = k - offset;
    if (k === batch) order.push(time);
    else if (from === time) order.push(time + 1);
    else if (from < 0) units.push(k);
    else order.push(from < time ? from : from + 1);
  }
  // the axis of size 1 at the batch's place has been taken over by the batch
  const dropped = own ? [batch - offset < time ? batch - offset : batch - offset + 1] : [];
  const squeezed = dropped.length ? b.one("Squeeze", [split, b.ints("axes", dropped)], {}, { hint: "rows" }) : split;
  const shifted = order.map((k) => k - dropped.filter((d) => d < k).length);
  const permuted = shifted.every((k, i) => k === i)
    ? squeezed
    : b.one("Transpose", [squeezed], { perm: shifted }, { hint: "rows" });
  return units.length ? b.one("Unsqueeze", [permuted, b.ints("axes", units)], {}, { hint: "rows" }) : permuted;
}
