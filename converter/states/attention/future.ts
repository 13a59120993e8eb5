/**
 * Proves of which keys an attention takes nothing, at any length: what stands at a query and a key is followed through the graph.
 */
import type { Known } from "../../find/carried.ts";
import type { Node } from "../../graph/graph.ts";
import type { Layout } from "../../time/facts/fact.ts";
import { type At, constantAt, numberAt } from "./made.ts";
import type { Pairs } from "./pairs.ts";
import { endOf, isOfDifference, valueAt } from "./places.ts";
import { ANY, BIT, isZero, number, type Region, SCORE, type Value } from "./value.ts";
import { elementwise, triangle } from "./values.ts";

const FUTURE: Region = { first: "query", behind: 1 };
const ITSELF: Region = { first: "query", behind: 0, exactly: true };
const before = (behind: number): Region => ({ first: "key", behind });

/** Whether nothing behind a query reaches it, by rule, at any length; and whether it sees itself, so that not all is hidden. */
export const hidesFuture = (known: Known, pairs: Pairs): boolean =>
  isDark(known, pairs, FUTURE) && seesItself(known, pairs);

/**
 * Whether all that depends on two positions is a function of their difference, by rule, and of nothing else: the same for the last
 * positions alone as for all.
 */
export function isOfDifferences(known: Known, pairs: Pairs): boolean {
  const isOfSizes = (name: string, i: number, { op }: Node) =>
    known.time.facts.get(name)?.kind === "shape" && !(SHAPED.has(op) && i === 1);
  if (pairs.nodes.some((node) => node.inputs.some((name, i) => isOfSizes(name, i, node)))) return false;
  return [...pairs.positions].every(([name, layout]) => isOfDifference(known, atOf(name, layout)));
}

/** Where the tables end that functions of two positions are read from: the export runs no longer sequence. */
export const tablesEnd = (known: Known, pairs: Pairs) =>
  [...pairs.positions]
    .flatMap(([name, layout]) => endOf(known, atOf(name, layout)) ?? [])
    .sort((a, b) => a.positions - b.positions)[0];

/**
 * The positions that a query sees, its own among them: nothing before reaches it, by rule.
 * @returns undefined where no rule finds a window
 */
export function windowOf(known: Known, pairs: Pairs): number | undefined {
  if (!isOfDifferences(known, pairs)) return undefined;
  const turns = new Set<number>();
  const add = (distance: number) => turns.add(Math.ceil(distance)).add(Math.floor(distance) + 1);
  isDark(known, pairs, { ...before(1), turns: add });
  const widths = [...turns].filter((width) => width >= 1).sort((a, b) => a - b);
  return widths.find((width) => isDark(known, pairs, before(width)));
}

/** Operators whose second input says a shape, which is made anew. */
const SHAPED = new Set(["Reshape", "Expand"]);

const atOf = (name: string, layout: Layout): At => {
  const axisOf = (factor: "time" | "keys") => layout.findIndex((axis) => axis.includes(factor));
  return { name, row: axisOf("time"), key: axisOf("keys") };
};

/** Whether no sum over the keys takes anything of a region. */
function isDark(known: Known, pairs: Pairs, region: Region): boolean {
  return walk(known, pairs, region, ({ op }, inputs, keyed, isSum) => {
    if (!isSum) return true;
    if (op === "ReduceMax" || op === "ReduceLogSumExp") return inputs[0]!.kind === "hidden";
    if (op === "ReduceSum") return isZero(inputs[0]);
    return op === "MatMul" && inputs.some((value, i) => keyed[i] && isZero(value));
  });
}

/** Whether no softmax is over keys that are all hidden: it would take all of them, later ones too. */
const seesItself = (known: Known, pairs: Pairs): boolean =>
  walk(known, pairs, ITSELF, ({ op }, [x], [keyed]) => {
    if (!keyed || !WEIGHS.has(op)) return true;
    return x!.kind === "score" || x!.kind === "linear";
  });

/** Operators that make weights of scores. */
const WEIGHS = new Set(["Softmax", "LogSoftmax", "Exp"]);

/** Asks at each node, with what is known of its inputs in a region, which of them have keys, and whether it sums over them. */
function walk(
  known: Known,
  pairs: Pairs,
  region: Region,
  holds: (node: Node, inputs: readonly Value[], keyed: readonly boolean[], isSum: boolean) => boolean,
): boolean {
  const values = new Map<string, Value>();
  const valueIn = (name: string): Value | undefined => {
    const layout = pairs.positions.get(name);
    const made =
      values.get(name) ?? (layout ? valueAt(known, atOf(name, layout), region) : outside(known, name, region));
    if (made) values.set(name, made);
    return made;
  };
  const layoutOf = (name: string) => pairs.layouts.get(name) ?? pairs.keyed.get(name) ?? pairs.positions.get(name);
  const hasKeys = (name: string) => layoutOf(name)?.flat().includes("keys") ?? false;
  return pairs.nodes.every((node) => {
    const names = node.inputs.filter(Boolean);
    const inputs = names.map(valueIn);
    if (inputs.includes(undefined)) return false;
    const keyed = names.map(hasKeys);
    const isSum = keyed.includes(true) && !hasKeys(node.outputs[0]!);
    const made = isSum ? SCORE : pairOf(known, node, inputs as Value[], region);
    for (const name of node.outputs) values.set(name, made);
    return holds(node, inputs as Value[], keyed, isSum);
  });
}

/** What enters from outside. */
function outside(known: Known, name: string, region: Region): Value | undefined {
  const kind = known.time.facts.get(name)?.kind;
  if (kind === "constant") return constantAt(known, name);
  if (kind === "shape") return ANY;
  if (kind !== "stream" && kind !== "still") return undefined;
  return ofMask(known, name, region) ?? SCORE;
}

/** What is made of the mask that drivers give, which shows a token to itself; undefined of other data. */
function ofMask(known: Known, name: string, region: Region): Value | undefined {
  const { graphs, constants } = known;
  if (name === graphs.driven.mask) return region.exactly ? number(1) : BIT;
  const node = graphs.index.producer.get(name);
  const values: Value[] = [];
  for (const input of node?.inputs ?? []) {
    const isSize = known.time.facts.get(input)?.kind === "shape";
    const value = constants.has(input) ? constantAt(known, input) : isSize ? ANY : ofMask(known, input, region);
    if (!value) return undefined;
    values.push(value);
  }
  return node && values.length > 0 ? pairOf(known, node, values, region) : undefined;
}

/** What a node between queries and keys makes of values there. */
function pairOf(known: Known, node: Node, inputs: readonly Value[], region: Region): Value {
  const [x] = inputs;
  if (OVER_CHANNELS.has(node.op)) return x!.kind === "score" || isZero(x) ? x! : ANY;
  if (node.op === "Trilu") {
    const by = node.inputs[1] ? numberAt(known, node.inputs[1]) : 0;
    return by === undefined ? ANY : triangle(x!, Number(node.attributes.upper ?? 1) !== 0, by, region);
  }
  if (node.op === "LogSoftmax") return x!.kind === "hidden" || x!.kind === "any" ? x! : SCORE;
  if (node.op === "Softmax" || node.op === "Exp")
    return x!.kind === "hidden" ? number(0) : x!.kind === "any" ? ANY : SCORE;
  // picked products of the query with rows of a table
  if (node.op === "MatMul" || node.op === "GatherElements") return SCORE;
  return MOVES.has(node.op) ? x! : (elementwise(node, inputs, region) ?? ANY);
}

/** Sums over channels: of zeros they are zero, of scores scores. */
const OVER_CHANNELS = new Set(["ReduceSum", "ReduceMean"]);
/** Operators that move values and leave them as they are. */
const MOVES = new Set(["Reshape", "Transpose", "Unsqueeze", "Squeeze", "Expand", "Identity", "Dropout"]);
