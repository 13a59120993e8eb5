/** How one node between queries and keys reads its inputs, as they are or by their positions as keys, and what it makes of them. */
import type { Known } from "../../find/carried.ts";
import { fromFront } from "../../graph/axis.ts";
import type { Node } from "../../graph/graph.ts";
import { type Axis, type Fact, type Layout, sameLayout, timeAxis } from "../../time/facts/fact.ts";
import { axesOf, numbers, type Operand } from "../../time/facts/rule.ts";
import { judge, operandOf } from "../../time/judge.ts";
import { isOffset } from "../../time/offset.ts";

/** One node, read: the layouts of its outputs, and how its inputs are read. */
export interface Read {
  readonly layouts: readonly Layout[];
  readonly keyed: readonly (readonly [string, Layout])[];
  readonly positions: readonly (readonly [string, Layout])[];
}

/** Why a node is not read. */
export interface Unread {
  readonly why: string;
  readonly waits?: true;
}

/** Whether a layout has keys. */
export const hasKeys = (axes: Layout): boolean => axes.flat().includes("keys");

const hasTwoKeys = (axes: Layout): boolean => axes.flat().filter((factor) => factor === "keys").length > 1;

const asKeys = (axes: Layout): Layout =>
  axes.map((axis): Axis => axis.map((factor) => (factor === "time" ? "keys" : factor)));

/** The operand with another layout: a stream, for the rules. */
const shown = (operand: Operand, axes: Layout): Operand => ({ ...operand, fact: { kind: "stream", axes } });

/** How a node reads its inputs where one of them, or what it makes, has keys; a sentence where it is not understood. */
export function readNode(known: Known, node: Node, inside: ReadonlyMap<string, Layout>): Read | Unread {
  const { time, constants } = known;
  if (node.domain !== "") return { why: "is an operator that is not followed between queries and keys" };
  const plain = node.inputs.map((name) => (name ? operandOf(name, time.facts, constants) : undefined));
  const pairs = plain.map((operand) => operand && inside.get(operand.name));
  if (plain.some((operand, i) => operand?.fact.kind === "open" && !pairs[i]))
    return { why: "reads what is not followed", waits: true };
  if (plain.some((operand) => operand && isOffset(operand.fact)))
    return { why: "reads the padding before the first position" };
  const variants = keyings(known, node, plain, pairs);
  let why = "is not followed between queries and keys";
  for (const { operands, keyed, positions } of variants) {
    const outputs = outputsOf(known, node, operands);
    if (typeof outputs === "string") why = outputs;
    else if (!outputs.some(hasTwoKeys)) return { layouts: outputs, keyed, positions };
  }
  return { why };
}

interface Keying {
  readonly operands: readonly (Operand | undefined)[];
  readonly keyed: readonly (readonly [string, Layout])[];
  readonly positions: readonly (readonly [string, Layout])[];
}

/** The ways in which streams may be read: as they are, or by their positions as keys. */
function keyings(
  known: Known,
  node: Node,
  plain: readonly (Operand | undefined)[],
  pairs: readonly (Layout | undefined)[],
): Keying[] {
  const streams = plain.flatMap((operand, i) => (operand?.fact.kind === "stream" && !pairs[i] ? [i] : []));
  return choicesOf(node, plain, pairs, streams).map((chosen) => {
    const keyed: [string, Layout][] = [];
    const positions: [string, Layout][] = [];
    const operands = plain.map((operand, i) => {
      if (!operand) return undefined;
      const pair = pairs[i];
      if (pair) return shown(operand, pair);
      if (operand.fact.kind === "stream" && chosen.includes(i)) {
        const axes = asKeys(operand.fact.axes);
        keyed.push([operand.name, axes]);
        return shown(operand, axes);
      }
      if (operand.fact.kind === "position") {
        const axes = positionLayout(known, operand.name);
        if (axes) {
          positions.push([operand.name, axes]);
          return shown(operand, axes);
        }
      }
      return operand;
    });
    return { operands, keyed, positions };
  });
}

/** Which streams may be read by their positions as keys. */
function choicesOf(
  { op }: Node,
  plain: readonly (Operand | undefined)[],
  pairs: readonly (Layout | undefined)[],
  streams: readonly number[],
): (readonly number[])[] {
  const crossed = crossedBy(plain, streams);
  // where pairs are read already, a stream may be read either way
  if (pairs.some((axes) => axes && hasKeys(axes))) return [streams, [], ...crossed];
  // what was summed over the keys is met at its own positions
  if (pairs.some(Boolean)) return [[]];
  // queries come first in a product
  if (op === "MatMul" && streams.length === 2) return [[1]];
  return crossed.length > 0 ? crossed : [streams, []];
}

/** Where streams meet with their positions along different axes, those whose positions come last are read as keys. */
function crossedBy(plain: readonly (Operand | undefined)[], streams: readonly number[]): (readonly number[])[] {
  const fromEnd = streams.map((i) => {
    const { fact } = plain[i]!;
    return "axes" in fact && fact.axes ? fact.axes.length - timeAxis(fact.axes) : 0;
  });
  const last = Math.min(...fromEnd);
  const keys = streams.filter((_, k) => fromEnd[k] === last);
  return keys.length < streams.length ? [keys] : [];
}

/**
 * The layout of a function of the position: of two axes that grow, the first is that of the queries; one alone is the last's. The
 * first axis may be that of the batch, with the heads of each row.
 */
function positionLayout({ graphs: { shapes } }: Known, name: string): Layout | undefined {
  const seen = shapes.seen.get(name);
  if (!seen) return undefined;
  const first = seen.dims[0]!;
  const grows = first.map((_, k) => shapes.runs.every(({ time }, run) => seen.dims[run]![k] === time));
  const still = first.map((size, k) => seen.dims.every((dims) => dims[k] === size));
  const perRow = first[0]! / shapes.runs[0]!.batch;
  const isBatch = (k: number) =>
    k === 0 && Number.isInteger(perRow) && shapes.runs.every(({ batch }, run) => seen.dims[run]![k] === batch * perRow);
  if (first.some((_, k) => !grows[k] && !still[k] && !isBatch(k))) return undefined;
  const growing = grows.flatMap((each, k) => (each ? [k] : []));
  const rank = first.length;
  return first.map((size, k): Axis => {
    if (!grows[k] && !still[k]) return perRow === 1 ? ["batch"] : ["batch", perRow];
    if (!grows[k]) return size === 1 ? [] : [size];
    if (growing.length > 1) return k === growing[0] ? ["time"] : ["keys"];
    return k === rank - 1 ? ["keys"] : ["time"];
  });
}

const OVER_KEYS = new Set(["Softmax", "LogSoftmax"]);

/** Layouts of a node's outputs. */
function outputsOf(known: Known, node: Node, operands: readonly (Operand | undefined)[]): readonly Layout[] | string {
  const [data] = operands;
  const axes = data && "axes" in data.fact ? data.fact.axes : undefined;
  if (axes && hasKeys(axes)) {
    if (OVER_KEYS.has(node.op)) {
      const over = axes[fromFront(Number(node.attributes.axis ?? -1), axes.length)]!;
      if (over.join() === "keys") return [axes];
      return over.includes("time")
        ? "normalises over the positions that ask, later ones among them"
        : "normalises over something else than the keys";
    }
    if (/^Reduce(Sum|Max|Mean|LogSumExp)$/.test(node.op)) return reduced(node, operands, axes);
    if (node.op === "Trilu") return triangleOf(operands, axes);
    if (node.op === "GatherElements") return pickedOf(known, node, operands, axes);
  }
  const verdict = judge(node, operands, known.time.context, known.time.varies);
  if ("open" in verdict) return "reads what is not followed";
  if ("refuses" in verdict) return verdict.reason;
  if ("mixes" in verdict) return verdict.mixes;
  const layouts = verdict.outputs.map(layoutIn);
  return layouts.every((layout) => layout !== undefined)
    ? (layouts as Layout[])
    : "gives something that is no tensor of pairs";
}

const layoutIn = (fact: Fact): Layout | undefined =>
  (fact.kind === "stream" || fact.kind === "still") && fact.axes ? fact.axes : undefined;

/** A sum over the keys. */
function reduced(
  node: Node,
  [, axesInput]: readonly (Operand | undefined)[],
  axes: Layout,
): readonly Layout[] | string {
  const given = axesInput ? numbers(axesInput) : (node.attributes.axes as readonly number[] | undefined);
  if (!given) return "reduces axes that are not known";
  const over = given.map((axis) => fromFront(axis, axes.length));
  if (over.some((k) => axes[k]!.some((factor) => factor === "time" || factor === "batch")))
    return "reduces over the positions that ask";
  const kept = Number(node.attributes.keepdims ?? 1);
  return [axes.flatMap((axis, k): Layout => (!over.includes(k) ? [axis] : kept ? [[]] : []))];
}

/** A triangle of all pairs, from a diagonal on that is a constant. */
function triangleOf([, diagonal]: readonly (Operand | undefined)[], axes: Layout): readonly Layout[] | string {
  if (diagonal && diagonal.fact.kind !== "constant") return "takes a triangle from a diagonal on that is computed";
  const [rows, columns] = axes.slice(-2);
  return rows?.join() === "time" && columns?.join() === "keys" ? [axes] : "takes a triangle of other axes";
}

/** Products of queries with rows of a table, picked by a function of the pair: what is picked is made of the query alone. */
function pickedOf(
  { graphs, time }: Known,
  { inputs, attributes }: Node,
  [, indices]: readonly (Operand | undefined)[],
  axes: Layout,
): readonly Layout[] | string {
  const [data, places] = inputs as [string, string];
  const made = graphs.index.producer.get(data);
  const table = made?.op === "MatMul" ? time.facts.get(made.inputs[1]!)?.kind : undefined;
  const picked = indices && axesOf(indices);
  const isOfPositions = table === "position" && time.facts.get(places)?.kind === "position";
  const isKeys = axes[fromFront(Number(attributes.axis ?? 0), axes.length)]?.join() === "keys";
  return isOfPositions && isKeys && picked && sameLayout(picked, axes)
    ? [axes]
    : "picks keys by something else than their distance";
}
