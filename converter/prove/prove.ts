/**
 * Proves what probes only show: that a region is one convolution at every length. The nodes between its ends, and those that
 * make its kernel, are followed symbolically; where a comparison of sizes depends on the length, both cases are proven.
 */
import { LongConvError } from "../../src/errors.ts";
import type { GraphIndex, Model, Node } from "../onnx/graph.ts";
import { dim, TIME } from "../time/dim.ts";
import { axisOf as axisWith, type Fact, type Layout, timeAxis } from "../time/fact.ts";
import type { Constant } from "../time/fold.ts";
import type { TimeFacts } from "../time/follow.ts";
import { RANDOM } from "../time/rules/refused.ts";
import {
  atLeast,
  type Case,
  EVERY_LENGTH,
  firstOf,
  isEmpty,
  isSame,
  LONGEST,
  NotRun,
  numberOf,
  Split,
  Unproven,
} from "./cases.ts";
import { fixed, type Rule, type Site, sizes } from "./rule.ts";
import { FROM_SIZES, RULES, SIZE_RULES } from "./rules/index.ts";
import { delayed, keyUpTo } from "./sequence.ts";
import {
  type Axes,
  type Factor,
  lineAt,
  linesOf,
  positionOf,
  type Sequence,
  streamOf,
  tensor,
  type Value,
} from "./value.ts";

export type Proof =
  | {
      readonly proven: true;
      /** Lags from which on the kernel is 0 by rule, of a function of the position: no more is read; undefined: not known. */
      readonly reach: number | undefined;
      /** Positions that the graph can be run at, and why no more; undefined: any number. */
      readonly ends: { readonly positions: number; readonly because: string } | undefined;
    }
  | { readonly proven: false; readonly node: Node; readonly because: string };

/** What is known of the graph around what is proven. */
export interface Known {
  readonly model: Model;
  readonly index: GraphIndex;
  /** onnx.TensorProto.DataType of a tensor, as it was seen. */
  readonly typeOf: (tensor: string) => number | undefined;
  readonly time: TimeFacts;
  readonly constants: ReadonlyMap<string, Constant>;
  /** Functions of the position whose layout was seen, not proven. */
  readonly seen: ReadonlySet<string>;
}

/** So many cases are told apart at most. */
const MOST_CASES = 512;

/** Why a walk stopped, with the node. */
class Stopped {
  readonly node: Node;
  readonly why: Split | Unproven | NotRun;
  constructor(node: Node, why: Split | Unproven | NotRun) {
    this.node = node;
    this.why = why;
  }
}

/** One end of a region. */
interface End {
  readonly tensor: string;
  readonly axes: Layout;
}

/** Proves that what lies between two ends is a causal convolution with one kernel at every length. */
export function proveRegion(
  known: Known,
  region: { readonly entry: End; readonly exit: End; readonly opening: Node },
): Proof {
  const { entry, exit } = region;
  const start = new Map<string, Value>([[entry.tensor, tensor(axesOf(entry.axes), streamOf(TIME))]]);
  return prove(known, exit.tensor, start, region.opening, (which, value) => causal(which, value, exit.axes));
}

/** Proves that row i of a tensor is a function of i alone, at every length. */
export function provePosition(known: Known, name: string, layout: Layout): Proof {
  const node = known.index.producer.get(name);
  if (!node) throw new LongConvError("invalid-graph", "no node makes this tensor", { tensor: name });
  return prove(known, name, new Map(), node, (which, value) => {
    const s = sequenceAlong(which, value, layout);
    if (s.stream || numberOf(s.shift) !== 0) throw new Unproven("is moved along time");
    return s;
  });
}

/** A sequence with a row for each position of the layout. @throws Unproven where it is none */
function sequenceAlong(which: Case, value: Value | undefined, layout: Layout): Sequence {
  if (value?.kind !== "tensor" || value.pair !== undefined)
    throw new Unproven("does not come out as one row for each position");
  const [body] = value.parts;
  const k = timeAxis(layout);
  const size = lineAt(value.axes, k);
  const batch = axisWith(layout, "batch");
  if (body?.kind !== "sequence" || !size || value.axes.length !== layout.length)
    throw new Unproven("does not come out as one row for each position");
  if (batch >= 0 && value.axes[batch]!.join() !== "batch") throw new Unproven("does not keep the rows of the batch");
  if (!isSame(which, size, TIME)) throw new NotRun("gives another number of positions than it takes");
  if (body.reversed || body.gain.size > 0) throw new Unproven("is scaled by a number made of the length");
  const isWhole = (!body.from || atLeast(which, dim(0), body.from)) && (!body.to || atLeast(which, body.to, TIME));
  if (!isWhole) throw new Unproven("wraps around or is cut off at some positions");
  return body;
}

function causal(which: Case, value: Value | undefined, layout: Layout): Sequence {
  const s = sequenceAlong(which, value, layout);
  const ahead = numberOf(s.shift);
  if (!s.stream) throw new Unproven("does not depend on the stream");
  if (ahead === undefined) throw new Unproven("is moved along time by the length");
  if (s.first < ahead) throw new Unproven(`looks ${ahead - s.first} positions ahead`);
  return delayed({ ...s, shift: dim(0) }, -ahead);
}

/** Walks to a tensor in every case, and compares what comes out. */
function prove(
  known: Known,
  goal: string,
  start: ReadonlyMap<string, Value>,
  blamed: Node,
  judge: (which: Case, value: Value | undefined) => Sequence,
): Proof {
  const nodes = nodesTo(known, goal, start);
  const found: { readonly which: Case; readonly sequence: Sequence }[] = [];
  let ends: { positions: number; because: string } | undefined;
  const left: Case[] = [EVERY_LENGTH];
  for (let count = 0; left.length > 0; count++) {
    const which = left.pop()!;
    if (isEmpty(which)) continue;
    if (count > MOST_CASES) return { proven: false, node: blamed, because: "its sizes fall into too many cases" };
    try {
      const value = walk(known, nodes, goal, start, which);
      found.push({ which, sequence: at(blamed, () => judge(which, value)) });
    } catch (error) {
      if (!(error instanceof Stopped)) throw error;
      const { node, why } = error;
      if (why instanceof Unproven) return { proven: false, node, because: why.because };
      if (why instanceof Split) left.push(...why.parts);
      else if (which.from > 1 && which.to === LONGEST && (!ends || firstOf(which) - 1 < ends.positions))
        ends = { positions: firstOf(which) - 1, because: why.because };
    }
  }
  if (found.length === 0) return { proven: false, node: blamed, because: "it cannot be followed at any length" };
  const longest = found.reduce((a, b) => (b.which.to > a.which.to ? b : a));
  for (const { which, sequence } of found) {
    const top = Math.min(which.to, longest.which.to);
    if (keyUpTo(sequence.key, top) !== keyUpTo(longest.sequence.key, top))
      return { proven: false, node: blamed, because: `it is another one from length ${which.from} to ${which.to}` };
  }
  return { proven: true, reach: longest.sequence.reach, ends };
}

/** Runs something for a node. @throws Stopped with that node */
function at<T>(node: Node, run: () => T): T {
  try {
    return run();
  } catch (error) {
    if (error instanceof Split || error instanceof Unproven || error instanceof NotRun) throw new Stopped(node, error);
    throw error;
  }
}

/** The nodes that make a tensor from others, in their order. */
function nodesTo({ model, index }: Known, goal: string, start: ReadonlyMap<string, Value>): readonly Node[] {
  const wanted = new Set<Node>();
  const queue = [goal];
  for (let name = queue.pop(); name !== undefined; name = queue.pop()) {
    const node = start.has(name) ? undefined : index.producer.get(name);
    if (!node || wanted.has(node)) continue;
    wanted.add(node);
    queue.push(...node.inputs.filter(Boolean));
  }
  return model.graph.nodes.filter((node) => wanted.has(node));
}

/** Follows the nodes in one case. */
function walk(
  known: Known,
  nodes: readonly Node[],
  goal: string,
  start: ReadonlyMap<string, Value>,
  which: Case,
): Value | undefined {
  const values = new Map(start);
  const opset = known.model.opsets.get("") ?? 1;
  const failed = new Map<string, Stopped>();
  const valueAt = (name: string): Value | undefined => {
    const value = values.get(name) ?? fromFact(known, name);
    if (value) values.set(name, value);
    return value;
  };
  for (const node of nodes) {
    if (node.outputs.every((name) => !name || known.constants.has(name))) continue;
    const site: Site = { which, opset, node, typeOf: known.typeOf };
    try {
      const stopped = node.inputs.map((name) => failed.get(name)).find((each) => each !== undefined);
      const inputs = node.inputs.map((name) => (name ? valueAt(name) : undefined));
      const missing = node.inputs.findIndex((name, i) => name && !inputs[i]);
      if (missing >= 0 && stopped) throw stopped;
      if (missing >= 0)
        throw new Stopped(node, new Unproven(`takes in '${node.inputs[missing]}', which is not followed`));
      const made = at(node, () => follow(node, inputs, site));
      for (const [i, name] of node.outputs.entries()) if (name && made[i]) values.set(name, made[i]);
    } catch (error) {
      if (!(error instanceof Stopped) || error.why instanceof Split) throw error;
      // what is known of it by the rules of time is enough, if it is wanted at all
      for (const name of node.outputs) if (name && !fromFact(known, name)) failed.set(name, error);
    }
  }
  const stopped = failed.get(goal);
  if (stopped) throw stopped;
  return valueAt(goal);
}

/** The values of a node's outputs. */
function follow(node: Node, inputs: readonly (Value | undefined)[], site: Site): readonly Value[] {
  const name = node.domain ? `${node.domain}::${node.op}` : node.op;
  if (RANDOM.has(node.op)) throw new Unproven("draws random numbers");
  const ofSizes = inputs.some((input) => input?.kind !== "tensor" && input !== undefined);
  const isSmall = inputs.every((input) => !input || input.kind !== "tensor" || input.axes.flat().length <= 1);
  const rules: (Rule | undefined)[] = [
    FROM_SIZES[name] ?? (ofSizes && isSmall ? SIZE_RULES[name] : undefined),
    RULES[name],
  ];
  let refused: Unproven | undefined;
  for (const rule of rules) {
    if (!rule) continue;
    try {
      const made = rule(inputs, node.attributes, site);
      return Array.isArray(made) ? made : [made as Value];
    } catch (error) {
      if (!(error instanceof Unproven)) throw error;
      refused ??= error;
    }
  }
  throw refused ?? new Unproven(`is an operator that no proof follows`);
}

const axesOf = (layout: Layout): Axes =>
  layout.map((axis) => axis.map((factor): Factor => (factor === "time" ? { line: TIME } : factor)));

/** What the rules of time know of a tensor that is no stream. */
function fromFact({ time, constants, seen }: Known, name: string): Value | undefined {
  const fact: Fact | undefined = time.facts.get(name);
  const constant = constants.get(name);
  if (constant) {
    const axes = constant.dims.map((size) => (size === 1 ? [] : [size]));
    const count = constant.dims.reduce((a, b) => a * b, 1);
    const read = () => constant.tensor();
    return fixed(axes, name, {
      tensor: read,
      zero: count <= SMALL && [...(read().data as Iterable<number | bigint>)].every((value) => Number(value) === 0),
    });
  }
  if (fact?.kind === "shape") return fact.values && sizes(fact.rank, fact.values);
  if (fact?.kind !== "position" || !fact.axes || seen.has(name)) return undefined;
  const axes = axesOf(fact.axes);
  const [line, ...others] = linesOf(axes);
  if (line === undefined) return fixed(axes, name);
  return others.length > 0 ? undefined : tensor(axes, positionOf(name, TIME));
}

/** Constants that are looked at for zeros. */
const SMALL = 4096;
