/**
 * Loops over the rows of a tensor, written as Scan: a Loop that turns as often as a tensor has rows along an axis, reads the
 * row of its turn and nothing else that depends on the turn, and collects what it gives, means the same as a Scan over those rows.
 * A Loop of which that cannot be read from the graph stays as it is.
 * https://onnx.ai/onnx/operators/onnx__Loop.html
 */
import { LongConvError } from "../../src/errors.ts";
import { type Builder, createBuilder, namesOf, patched } from "../graph/build.ts";
import { type GraphIndex, indexGraph, type Model, type Node, whereOf } from "../graph/graph.ts";
import { rewire } from "../graph/node.ts";
import { prune } from "../graph/prune.ts";
import { DataType, type Tensor } from "../graph/tensor.ts";
import { valueInfoToProto } from "../graph/valueinfo.ts";
import { constantsOf, known } from "../shapes/follow.ts";
import type { Known } from "../shapes/known.ts";
import { knownAt } from "../shapes/sizes.ts";
import { type Body, bodyOf, type Ranked } from "./body.ts";
import { type Collected, collectedIn, isListOfOne, type Turning } from "./collect.ts";
import { axesGiven, isSame, type Names, sizeAlong } from "./sizes.ts";
import { countersOf, turnsOf } from "./turns.ts";

/**
 * The model with each Loop over rows written as Scan.
 * @throws LongConvError control-flow for another Loop that carries a sequence of tensors, which nothing else can follow
 */
export function withScans(model: Model): Model {
  const { graph } = model;
  if (!graph.nodes.some(isLoop)) return model;
  const index = indexGraph(graph);
  const around = knownAt(graph, () => undefined);
  const b = createBuilder(model.opsets.get("") ?? 13, namesOf(graph));
  const scans = new Map<Node, readonly Node[]>();
  const gone = new Set<Node>();
  for (const node of graph.nodes.filter(isLoop)) {
    const { made: joins, nodes: added } = b.added(() => addScan(b, node, { index, model, around }), node);
    if (!joins && node.inputs.some((name) => isSequence(index, name)))
      throw new LongConvError(
        "control-flow",
        "is a loop with a sequence of tensors, and not one turn for each row from the first to the last",
        whereOf(model, node),
        "Export the model without it (trace instead of script), or let it read one row a turn and append what it gives.",
      );
    if (!joins) continue;
    // errors and reports name the node as the file does
    const named = (each: Node) => (each.op === "Scan" ? rewire(each, { name: node.name }) : each);
    scans.set(node, added.map(named));
    for (const join of joins) gone.add(join);
  }
  const nodes = graph.nodes.flatMap((node) => scans.get(node) ?? (gone.has(node) ? [] : [node]));
  return { ...model, graph: patched(graph, b, nodes) };
}

const SEQUENCES = new Set(["SequenceEmpty", "SequenceConstruct", "SplitToSequence"]);

const isSequence = ({ producer }: GraphIndex, name: string): boolean => SEQUENCES.has(producer.get(name)?.op ?? "");

const isLoop = ({ op, domain }: Node): boolean => op === "Loop" && domain === "";

/** The graph around a loop, and what is known of its shapes. */
interface Around {
  readonly index: GraphIndex;
  readonly model: Model;
  readonly around: ReadonlyMap<string, Known>;
}

/**
 * Adds a Scan that gives what a loop gives.
 * @returns nodes behind the loop that it does the work of; undefined where the loop is none over rows
 */
function addScan(b: Builder, loop: Node, { index, model, around }: Around): readonly Node[] | undefined {
  const body = bodyOf(b, loop, model.file);
  if (!body) return undefined;
  const names = namesIn(b, body, index, model);
  const counters = countersOf(names, body);
  const turns = turnsOf(names, loop, body, counters);
  const isRead = (name: string) => index.outputs.has(name) || (index.consumers.get(name) ?? []).length > 0;
  if (!turns || "rows" in turns || insideOf(body).has(turns.of)) return undefined;
  if (counters.some(({ end }) => isRead(end))) return undefined;
  const turnIn = (name: string): "number" | "row" | undefined => {
    if (name === body.turn || counters.some(({ before }) => before === name)) return "number";
    const node = names.producer(name);
    return node && isListOfOne(names, node) && turnIn(node.inputs[0]!) === "number" ? "row" : undefined;
  };
  const readers = (name: string) => body.nodes.filter(({ inputs }) => inputs.includes(name));
  const rest = body.carried.filter((carry) => !counters.includes(carry));
  const collected = rest.flatMap((carry) => collectedIn({ names, readers, turnIn, turns }, carry) ?? []);
  const states = rest.filter((carry) => collected.every((each) => each.carry !== carry));
  // what grows is no state of a Scan
  if (states.some(({ before, after, start }) => isJoined(names.producer(after), before) || isSequence(index, start)))
    return undefined;
  const inner = b.subgraph();
  const read = rowsRead(inner, turnIn, body);
  // as many rows as turns: else those of the tensor whose size the turns are, which are not used
  const isEnough = read.some(({ tensor, axis }) => {
    const size = sizeAlong(names, tensor, axis);
    return size !== undefined && isSame(size, turns);
  });
  const scanned = isEnough ? read : [...read, { tensor: turns.of, axis: turns.axis, row: inner.name("turn") }];
  const behind = laidBehind(inner, names, collected, body, index);
  if (!behind) return undefined;
  const bodyInputs = [...states.map(({ before }) => before), ...scanned.map(({ row }) => row)];
  const bodyOutputs = madeInside(inner, bodyInputs, [
    ...states.map(({ after }) => after),
    ...behind.map(({ each }) => each),
  ]);
  const nodes = prune(inner.nodes, bodyOutputs);
  const open = new Set([...body.own, ...body.carried.map(({ before }) => before)]);
  for (const name of bodyInputs) open.delete(name);
  if (nodes.some(({ inputs }) => inputs.some((name) => open.has(name)))) return undefined;
  // Scan asks for the rank of what its body gives, which is not always inferred
  const of = (ranks: readonly (Ranked | undefined)[]) => (name: string, i: number) => ranked(name, ranks[i]);
  const outside = known(b.nodes, new Map([...around, ...constantsOf(b)]));
  const within = new Map(outside);
  for (const { before, start } of states)
    within.set(before, outside.get(start) ?? { dims: undefined, values: undefined });
  for (const { tensor, axis, row } of scanned)
    within.set(row, { dims: outside.get(tensor)?.dims?.toSpliced(axis, 1), values: undefined });
  const followed = known(inner.nodes, within);
  const rankOf = (name: string, type: number | undefined): Ranked | undefined => {
    const rank = followed.get(name)?.dims?.length;
    return type && rank !== undefined ? { type, rank } : undefined;
  };
  const ofStates = states.map(({ before }) => body.declared.get(before) ?? rankOf(before, body.types.get(before)));
  const ofRows = behind.map(({ each, rank, type }) => rank ?? rankOf(each, type));
  const graph = {
    ...{ name: `${loop.name}_body`, node: nodes.map(({ proto }) => proto) },
    input: bodyInputs.map(of(ofStates)),
    output: bodyOutputs.map(of([...ofStates, ...ofRows])),
  };
  const turned = behind.map(({ all, perm }) => (perm ? b.name(`${all}_rows`) : all));
  const ends = states.map(({ end }) => end || b.name("state"));
  b.add(
    "Scan",
    [...states.map(({ start }) => start), ...scanned.map(({ tensor }) => tensor)],
    {
      ...{ body: { graph }, num_scan_inputs: scanned.length },
      ...{ scan_input_axes: scanned.map(({ axis }) => axis), scan_output_axes: behind.map(({ axis }) => axis) },
    },
    { outputs: [...ends, ...turned], hint: loop.name },
  );
  for (const [i, { all, perm }] of behind.entries())
    if (perm) b.one("Transpose", [turned[i]!], { perm }, { outputs: [all] });
  return behind.flatMap(({ join }) => join ?? []);
}

const isJoined = (node: Node | undefined, name: string): boolean => node?.op === "Concat" && node.inputs.includes(name);

/** Names of a body. */
const insideOf = ({ own, carried, nodes }: Body): ReadonlySet<string> =>
  new Set([...own, ...carried.map(({ before }) => before), ...nodes.flatMap(({ outputs }) => outputs)]);

/** Names of the body, and of the graph around it. */
function namesIn(b: Builder, body: Body, index: GraphIndex, { graph }: Model): Names {
  const made = new Map(
    [...b.nodes, ...body.nodes].flatMap((node) => node.outputs.map((name) => [name, node] as const)),
  );
  const producer = (name: string) => made.get(name) ?? index.producer.get(name);
  const constant = (name: string): Tensor | undefined => {
    const node = producer(name);
    const value = node?.op === "Constant" ? node.attributes.value : undefined;
    if (value && typeof value === "object" && "data" in value) return value;
    const isInput = graph.inputs.some((input) => input.name === name);
    return isInput ? undefined : (graph.initializers.get(name) ?? b.initializers.get(name))?.tensor();
  };
  return { producer, constant };
}

/** Adds the body's nodes, but for those that pick the row of the turn; gives what they pick. */
function rowsRead(inner: Builder, turnIn: Turning["turnIn"], body: Body) {
  const inside = insideOf(body);
  const rows: { readonly tensor: string; readonly axis: number; readonly row: string }[] = [];
  for (const node of body.nodes) {
    const [data, at] = node.inputs;
    const index = node.op === "Gather" && node.domain === "" && !inside.has(data!) ? turnIn(at!) : undefined;
    if (!index) {
      inner.copy(node, node.inputs, node.outputs);
      continue;
    }
    const axis = Number(node.attributes.axis ?? 0);
    const row = index === "number" ? node.outputs[0]! : inner.name(`${node.outputs[0]}_row`);
    if (index === "row") inner.one("Unsqueeze", [row, inner.ints("axis", [axis])], {}, { outputs: node.outputs });
    rows.push({ tensor: data!, axis, row });
  }
  return rows;
}

/** What each turn gives, and how it lies behind the loop. */
interface Behind {
  readonly each: string;
  readonly all: string;
  readonly axis: number;
  readonly perm?: readonly number[] | undefined;
  readonly rank?: Ranked | undefined;
  /** The type, where no rank is declared. */
  readonly type?: number | undefined;
  /** The node that joins a sequence. */
  readonly join?: Node | undefined;
}

/** Undefined where a sequence is read by something else than a node that joins it. */
function laidBehind(
  inner: Builder,
  names: Names,
  collected: readonly Collected[],
  { given, declared, types }: Body,
  index: GraphIndex,
): readonly Behind[] | undefined {
  const all: Behind[] = given.map(({ each, all, as }) => ({
    ...{ each, all: all || inner.name("given"), axis: 0 },
    rank: declared.get(as),
    type: types.get(as),
  }));
  for (const { carry, row, rowAxis, axis, perm } of collected) {
    if (axis !== undefined && rowAxis !== undefined) {
      const whole = declared.get(carry.before);
      const rank = whole && { ...whole, rank: whole.rank - 1 };
      all.push({ each: without(inner, names, row, rowAxis), all: carry.end, axis, perm, rank });
      continue;
    }
    const [join, ...others] = index.consumers.get(carry.end) ?? [];
    if (join?.op !== "ConcatFromSequence" || others.length > 0 || index.outputs.has(carry.end)) return undefined;
    const along = Number(join.attributes.axis);
    const each = join.attributes.new_axis ? row : without(inner, names, row, along);
    const { dtype = DataType.FLOAT } = names.producer(carry.start)!.attributes;
    all.push({ each, all: join.outputs[0]!, axis: along, join, type: Number(dtype) });
  }
  return all;
}

/** A value of the body, with its type and as many axes as are known. */
const ranked = (name: string, known: Ranked | undefined) =>
  known
    ? valueInfoToProto({ name, type: known.type, dims: Array.from({ length: known.rank }, () => undefined) })
    : { name };

/** A row without the axis along which it is one. */
function without(inner: Builder, names: Names, row: string, axis: number): string {
  const node = names.producer(row);
  const axes = node?.op === "Unsqueeze" ? axesGiven(names, node) : undefined;
  if (axes?.length === 1 && axes[0] === axis) return node!.inputs[0]!;
  return inner.one("Squeeze", [row, inner.ints("axis", [axis])], {}, { hint: "row" });
}

/** Outputs of a body have different names, and are made in it. */
function madeInside(inner: Builder, inputs: readonly string[], outputs: readonly string[]): string[] {
  const made = new Set([...inner.nodes].flatMap((node) => node.outputs));
  return outputs.map((name, i) =>
    made.has(name) && outputs.indexOf(name) === i && !inputs.includes(name)
      ? name
      : inner.one("Identity", [name], {}, { hint: "given" }),
  );
}
