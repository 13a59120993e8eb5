/**
 * Facts with two times: what lies between queries and keys, followed from where they meet to where the keys are summed over.
 * Every rule of time holds there as well; a stream that is read by its positions as keys has `keys` in the place of time.
 */
import type { Known } from "../../find/carried.ts";
import { fromFront } from "../../graph/axis.ts";
import type { Node } from "../../graph/graph.ts";
import { type Axis, type Fact, type Layout, sameLayout, timeAxis } from "../../time/facts/fact.ts";
import { axesOf, numbers, type Operand } from "../../time/facts/rule.ts";
import { judge, operandOf } from "../../time/follow.ts";
import { isOffset } from "../../time/offset.ts";
import { readsSizes } from "../../time/sized.ts";

/** What was followed. */
export interface Pairs {
  /** In the order of the graph. */
  readonly nodes: readonly Node[];
  /** Of all tensors that the nodes make. */
  readonly layouts: ReadonlyMap<string, Layout>;
  /** Streams that are read by their positions as keys, with `keys` in the place of time. */
  readonly keyed: ReadonlyMap<string, Layout>;
  /** Streams that are read at the position that asks. */
  readonly queried: ReadonlySet<string>;
  /** Functions of the position, with the layout in which they meet the pairs. */
  readonly positions: ReadonlyMap<string, Layout>;
  /** Tensors in which the keys are summed over, and that are read outside. */
  readonly exits: readonly string[];
}

/** Why the walk ended. */
export interface Stuck {
  readonly node: Node;
  readonly reason: string;
  /** It reads what is not followed yet. */
  readonly waits?: true | undefined;
}

/** Why a node is not read. */
interface Unread {
  readonly why: string;
  readonly waits?: true;
}

const hasKeys = (axes: Layout): boolean => axes.flat().includes("keys");

const hasTwoKeys = (axes: Layout): boolean => axes.flat().filter((factor) => factor === "keys").length > 1;

const asKeys = (axes: Layout): Layout =>
  axes.map((axis): Axis => axis.map((factor) => (factor === "time" ? "keys" : factor)));

/** One node, read: the layouts of its outputs, and how its inputs are read. */
interface Read {
  readonly layouts: readonly Layout[];
  readonly keyed: readonly (readonly [string, Layout])[];
  readonly positions: readonly (readonly [string, Layout])[];
}

/** Follows the pairs from an opening. */
export function pairsFrom(known: Known, opening: Node): Pairs | Stuck | undefined {
  const { graphs, time } = known;
  const inside = new Map<string, Layout>();
  const read = new Map<Node, Read>();
  const unread: Stuck[] = [];
  for (const node of graphs.model.graph.nodes) {
    if (node.outputs.every((name) => !name || (time.facts.get(name)?.kind ?? "open") !== "open")) continue;
    const touches = node.inputs.some((name) => hasKeys(inside.get(name) ?? []));
    const made = readNode(known, node, inside);
    if ("why" in made) {
      if (touches) unread.push({ node, reason: made.why, waits: made.waits });
      continue;
    }
    // what is made of a sum over the keys may meet the pairs again
    if (!node.inputs.some((name) => inside.has(name)) && !made.layouts.some(hasKeys) && !isMixing(made)) continue;
    read.set(node, made);
    for (const [i, name] of node.outputs.entries()) if (name) inside.set(name, made.layouts[i]!);
  }
  if (!read.has(opening)) return undefined;
  const component = connected(known, read, inside, opening);
  const ended = [...component].some((node) => node.outputs.some((name) => name && !hasKeys(inside.get(name)!)));
  const leaks = [...component].some((node) =>
    node.outputs.some((name) => {
      // what is made of their sizes is made of the length
      const readers = (graphs.index.consumers.get(name) ?? []).filter((reader) => !readsSizes(reader));
      return (
        hasKeys(inside.get(name) ?? []) && (graphs.index.outputs.has(name) || readers.some((r) => !component.has(r)))
      );
    }),
  );
  // other pairs have other reasons
  const own = new Set(
    [...component].flatMap(({ outputs }) => outputs).filter((name) => hasKeys(inside.get(name) ?? [])),
  );
  if (!ended || leaks) return unread.find(({ node }) => node.inputs.some((name) => own.has(name)));
  return summary(known, component, read, inside);
}

/** Whether a stream is summed over its positions with weights that are made of two positions alone: pairs that end where they begin. */
const isMixing = ({ keyed, positions }: Read): boolean =>
  keyed.length > 0 && positions.some(([, axes]) => hasKeys(axes) && hasQueries(axes));

/** The nodes that hang together through tensors of pairs. */
function connected(
  { graphs: { index } }: Known,
  read: ReadonlyMap<Node, Read>,
  inside: ReadonlyMap<string, Layout>,
  opening: Node,
): Set<Node> {
  const component = new Set<Node>();
  const queue = [opening];
  for (let node = queue.pop(); node; node = queue.pop()) {
    if (component.has(node) || !read.has(node)) continue;
    component.add(node);
    for (const name of node.outputs)
      if (hasKeys(inside.get(name) ?? [])) queue.push(...(index.consumers.get(name) ?? []));
    for (const name of node.inputs) {
      const producer = index.producer.get(name);
      // what was summed over the keys belongs to the pairs that read it
      if (producer && inside.has(name)) queue.push(producer);
    }
  }
  return component;
}

function summary(
  { graphs: { index, model }, time }: Known,
  component: ReadonlySet<Node>,
  read: ReadonlyMap<Node, Read>,
  inside: ReadonlyMap<string, Layout>,
): Pairs {
  const nodes = model.graph.nodes.filter((node) => component.has(node));
  const made = new Set(nodes.flatMap(({ outputs }) => outputs));
  const keyed = new Map(nodes.flatMap((node) => read.get(node)!.keyed));
  const inputs = new Set(nodes.flatMap((node) => node.inputs).filter((name) => name && !made.has(name)));
  const isStream = (name: string) => time.facts.get(name)?.kind === "stream";
  return {
    nodes,
    layouts: new Map([...made].filter(Boolean).map((name) => [name, inside.get(name)!])),
    keyed,
    queried: new Set(
      [...inputs].filter((name) => isStream(name) && nodes.some((node) => readsPlain(read.get(node)!, node, name))),
    ),
    positions: new Map(nodes.flatMap((node) => read.get(node)!.positions)),
    exits: [...made].filter(
      (name) =>
        name &&
        !hasKeys(inside.get(name)!) &&
        (index.outputs.has(name) || (index.consumers.get(name) ?? []).some((reader) => !component.has(reader))),
    ),
  };
}

const readsPlain = ({ keyed }: Read, node: Node, name: string): boolean =>
  node.inputs.includes(name) && !keyed.some(([each]) => each === name);

/** The operand with another layout: a stream, for the rules. */
const shown = (operand: Operand, axes: Layout): Operand => ({ ...operand, fact: { kind: "stream", axes } });

/** How a node reads its inputs where one of them, or what it makes, has keys; a sentence where it is not understood. */
function readNode(known: Known, node: Node, inside: ReadonlyMap<string, Layout>): Read | Unread {
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

/** Whether a layout has queries. */
export const hasQueries = (axes: Layout): boolean => timeAxis(axes) >= 0;
