/**
 * Graphs that fill a sequence up to a multiple of some number and cut it again: F.pad(x, n % 2), (n + 1) // 2 * 2. At multiples
 * they are the graph without either; whether they are at other lengths is seen by running both.
 */
import type { Claim } from "../../src/contract.ts";
import type { Initializer, Model, Node } from "../graph/graph.ts";
import { initializerOf } from "../graph/initializer.ts";
import { makeNode } from "../graph/node.ts";
import { DataType, int64Tensor, makeTensor, type Tensor, toNumbers } from "../graph/tensor.ts";
import { openModel, type Runner } from "../ort/run.ts";
import { randomInputs } from "../parts/feeds.ts";
import { type Graphs, precise } from "../parts/graphs.ts";
import { isFailedRun } from "../parts/open-region.ts";
import { fixedSizes } from "../parts/seen-shapes.ts";
import { type Dim, isConstant } from "../time/facts/dim.ts";
import { integers } from "../time/facts/rule.ts";
import type { Constant } from "../time/fold.ts";
import type { TimeFacts } from "../time/follow.ts";
import { operandOf } from "../time/judge.ts";

/** A graph at multiples of some number. */
export interface Unfilled {
  readonly model: Model;
  /** What fills the sequence up. */
  readonly node: Node;
  /** The largest of the numbers. */
  readonly multiple: number;
}

interface What {
  readonly graphs: Graphs;
  readonly time: TimeFacts;
  readonly constants: ReadonlyMap<string, Constant>;
}

const LARGEST_MULTIPLE = 64;
/** Lengths at which both graphs are run beside every one up to twice the multiple. */
const LENGTHS = [31, 33, 63, 65, 127, 129, 255, 257, 511, 513, 1023, 1025, 2047, 2049, 4095, 4097];
const BATCH = 2;
/** Of the largest output: what rounding may be. */
const ROUNDING = 1e-4;

/** The graph as it is at multiples of the numbers that it fills up to; undefined where it fills up to none. */
export function unfilled(model: Model, what: What): Unfilled | undefined {
  if (fixedSizes(what.graphs.inputs).time !== undefined) return undefined;
  const initializers = new Map<string, Initializer>();
  let [first, multiple]: [Node | undefined, number] = [undefined, 0];
  const nodes = model.graph.nodes.flatMap((node) => {
    const remainder = remainderOf(node, what);
    const filled = remainder ? undefined : filledOf(node, what);
    const found = remainder ?? filled;
    if (!found) return [node];
    first ??= node;
    multiple = Math.max(multiple, found.of);
    const [output] = node.outputs;
    const rest = modulo(found.size.constant, found.of);
    if (remainder) {
      const dims = what.graphs.shapes.seen.get(output!)?.dims[0] ?? [];
      initializers.set(output!, initializerOf(output!, whole(what, output!, dims, rest)));
      return [];
    }
    if (rest === 0) return [makeNode(node.name, "Identity", [found.length], node.outputs, { origin: node })];
    const less = `${node.name}_rest`;
    initializers.set(less, initializerOf(less, whole(what, output!, [], rest)));
    return [makeNode(node.name, "Sub", [found.length, less], node.outputs, { origin: node })];
  });
  if (!first) return undefined;
  const all = new Map([...model.graph.initializers, ...initializers]);
  return { node: first, multiple, model: { ...model, graph: { ...model.graph, nodes, initializers: all } } };
}

/** A number a n + c, and what it is divided by. */
interface Divided {
  readonly length: string;
  readonly size: Dim;
  readonly of: number;
}

/** (a n + c) mod k */
const remainderOf = (node: Node, what: What): Divided | undefined =>
  isOp(node, "Mod") && Number(node.attributes.fmod ?? 0) === 0 ? divided(node, what) : undefined;

/** (a n + c) / k · k */
function filledOf(node: Node, what: What): Divided | undefined {
  if (!isOp(node, "Mul")) return undefined;
  for (const [part, factor] of [node.inputs, node.inputs.toReversed()] as [string, string][]) {
    const division = what.graphs.index.producer.get(part);
    const by = wholeNumber(what, factor);
    const found = division && isOp(division, "Div") ? divided(division, what) : undefined;
    if (found && found.of === by) return found;
  }
  return undefined;
}

function divided({ inputs: [length = "", by = ""] }: Node, what: What): Divided | undefined {
  const size = sizeOf(what, length);
  const of = wholeNumber(what, by);
  const isLength = size && size.time !== 0 && size.batch === 0 && size.product === 0;
  return isLength && of !== undefined && of >= 2 && of <= LARGEST_MULTIPLE ? { length, size, of } : undefined;
}

const isOp = ({ op, domain }: Node, wanted: string): boolean => domain === "" && op === wanted;

const modulo = (value: number, by: number): number => ((value % by) + by) % by;

/** One number that is made of sizes, or a constant. */
function sizeOf({ time, constants }: What, name: string): Dim | undefined {
  const values = integers(operandOf(name, time.facts, constants));
  return values?.length === 1 ? values[0] : undefined;
}

/** The value of a constant of one whole number. */
function wholeNumber(what: What, name: string): number | undefined {
  const size = sizeOf(what, name);
  return size && isConstant(size) && Number.isInteger(size.constant) ? size.constant : undefined;
}

/** A whole number of the type that a tensor has. */
function whole({ graphs }: What, like: string, dims: readonly number[], value: number): Tensor {
  const values = new Array<number>(dims.reduce((a, b) => a * b, 1)).fill(value);
  const isInt32 = graphs.shapes.seen.get(like)?.type === DataType.INT32;
  return isInt32 ? makeTensor(DataType.INT32, dims, Int32Array.from(values)) : int64Tensor(dims, values);
}

/**
 * Runs a graph and what it is at multiples, at lengths that are none.
 * @returns how far they were the same; undefined where they are not
 */
export async function seenSame(
  { node, multiple }: Unfilled,
  filled: What,
  plain: Pick<What, "graphs">,
): Promise<Claim | undefined> {
  const short = Array.from({ length: 2 * multiple }, (_, i) => i + 1);
  const lengths = [...new Set([...short, ...LENGTHS])].sort((a, b) => a - b);
  const { batch = BATCH } = fixedSizes(filled.graphs.inputs);
  const runners = [
    await openModel(precise(filled.graphs, filled.graphs.model)),
    await openModel(precise(plain.graphs, plain.graphs.model)),
  ] as const;
  let positions = 0;
  try {
    for (const time of lengths) {
      const feeds = randomInputs(filled.graphs, filled.constants, { batch, time }, time);
      const [was, is] = [await answer(runners[0], feeds), await answer(runners[1], feeds)];
      if (!was || !is) break;
      if (!isSame(was, is)) return undefined;
      positions = time;
    }
  } finally {
    for (const runner of runners) await runner.close();
  }
  if (positions < short.length) return undefined;
  const because = `it fills the sequence up to a multiple of ${multiple}, and what is left of it without that was compared at lengths up to there`;
  return { kind: "seen", positions, node: node.name, because };
}

const answer = (runner: Runner, feeds: Readonly<Record<string, Tensor>>) =>
  runner.run(feeds).catch((error: unknown) => {
    if (!isFailedRun(error)) throw error;
  });

function isSame(was: Readonly<Record<string, Tensor>>, is: Readonly<Record<string, Tensor>>): boolean {
  return Object.entries(was).every(([name, tensor]) => {
    const other = is[name]!;
    if (tensor.dims.join() !== other.dims.join()) return false;
    const [a, b] = [toNumbers(tensor), toNumbers(other)];
    const largest = a.reduce((most, value) => Math.max(most, Math.abs(value)), 0);
    return a.every((value, i) => Math.abs(value - b[i]!) <= ROUNDING * largest);
  });
}
