/**
 * Answers for the whole sequence: a sum, a mean or an extreme over time whose result no position reads. What comes out is the answer
 * after what was read so far. https://onnx.ai/onnx/operators/onnx__ReduceMean.html
 */
import type { Carried, Kind, Known, Place, Realisation, StateReport } from "../../find/carried.ts";
import type { RefusedOpening } from "../../find/region.ts";
import { begunWith, ssmPorts } from "../../find/start.ts";
import { fromFront } from "../../graph/axis.ts";
import type { Builder } from "../../graph/build.ts";
import type { Node } from "../../graph/graph.ts";
import { DataType } from "../../graph/tensor.ts";
import { typeIn } from "../../parts/graphs.ts";
import { axisOf, axisSize, channelCount, type Fact, type Layout, timeAxis } from "../../time/facts/fact.ts";
import { isOffset } from "../../time/offset.ts";
import { maskFor } from "../rows/carry.ts";
import { addUp, partsOf, SUM_ROWS } from "../rows/sums.ts";
import { powersSummed } from "./powers.ts";
import { type Reduce, reduced } from "./reduced.ts";

interface Total {
  readonly axes: Layout;
  readonly over: readonly number[];
  readonly kept: boolean;
  readonly join: Join;
  readonly stream: string;
}

/** How two parts of a sequence are put together, and what an empty part is. */
interface Join {
  readonly op: "Add" | "Max" | "Min";
  readonly reduce: Reduce;
  readonly empty: number;
  readonly mean?: boolean;
  /** What of each number is summed. */
  readonly each?: (b: Builder, x: string) => string;
  /** What is made of the sum. */
  readonly answer?: "Sqrt" | "Log";
  /** The logarithm of the sum of powers of e. */
  readonly powers?: boolean;
}

const SUM: Join = { op: "Add", reduce: "ReduceSum", empty: 0 };
const LARGEST: Join = { op: "Max", reduce: "ReduceMax", empty: Number.NEGATIVE_INFINITY };
const SQUARES: Join = { ...SUM, each: (b, x) => b.one("Mul", [x, x], {}, { hint: "square" }) };
const JOINS: Readonly<Record<string, Join>> = {
  ReduceSum: SUM,
  ReduceMean: { ...SUM, mean: true },
  ReduceL1: { ...SUM, each: (b, x) => b.one("Abs", [x], {}, { hint: "size" }) },
  ReduceL2: { ...SQUARES, answer: "Sqrt" },
  ReduceSumSquare: SQUARES,
  ReduceLogSum: { ...SUM, answer: "Log" },
  ReduceLogSumExp: { ...SUM, empty: Number.NEGATIVE_INFINITY, powers: true },
  ReduceMax: LARGEST,
  ReduceMin: { op: "Min", reduce: "ReduceMin", empty: Number.POSITIVE_INFINITY },
  GlobalAveragePool: { ...SUM, mean: true },
  GlobalMaxPool: LARGEST,
};

export const TOTAL: Kind<RefusedOpening> = {
  name: "answer for the whole sequence",
  isFirst: (known, { node }) => joinOf(node) !== undefined && isAnswer(known, node),
  async find(known, { node, stream, reason }) {
    const join = joinOf(node);
    const fact = known.time.facts.get(stream);
    if (!join || fact?.kind !== "stream" || isOffset(fact) || !isAnswer(known, node)) return undefined;
    const { axes } = fact;
    const over = axesOver(known, node, axes);
    const type = typeIn(known.graphs, stream);
    const isPlain = axes[0]!.join() === "batch" && axes[timeAxis(axes)]!.join() === "time";
    if (!over?.includes(timeAxis(axes)) || over.includes(axisOf(axes, "batch")) || !isPlain || type !== DataType.FLOAT)
      return undefined;
    const kept = node.op.startsWith("Global") || Number(node.attributes.keepdims ?? 1) !== 0;
    const left = axes.flatMap((axis, k): Layout => (!over.includes(k) ? [axis] : kept ? [[]] : []));
    const exit: Fact = { kind: "last", axes: left };
    return {
      ...{ opening: node, nodes: new Set([node]), reason, exits: [{ tensor: node.outputs[0]!, fact: exit }] },
      plan: async () => realised(node, { axes, over, kept, join, stream }),
    } satisfies Carried;
  },
};

const joinOf = ({ op, domain }: Node): Join | undefined => (domain === "" ? JOINS[op] : undefined);

/** Whether nothing that is made of a node's result reads a position of the sequence, and not its length either. */
function isAnswer(known: Known, node: Node): boolean {
  const { graphs, time } = known;
  const reached = new Set(node.outputs);
  const queue = [...node.outputs];
  const isStill = (name: string) => {
    const fact = time.facts.get(name);
    return fact?.kind === "constant" || fact?.kind === "still" || fact?.kind === "shape" || fact?.kind === "last";
  };
  // a mean and a deviation meet: what the other is made of is an answer, too
  const isAnother = (name: string): boolean => {
    const producer = graphs.index.producer.get(name);
    if (!producer || reached.has(name) || isStill(name)) return true;
    if (joinOf(producer) && reducesTime(known, producer)) return true;
    const fact = time.facts.get(name);
    return fact?.kind === "open" && producer.inputs.every((input) => !input || isAnother(input));
  };
  const readers = new Set<Node>();
  for (let name = queue.pop(); name !== undefined; name = queue.pop())
    for (const reader of graphs.index.consumers.get(name) ?? []) {
      if (readers.has(reader)) continue;
      readers.add(reader);
      for (const output of reader.outputs.filter((each) => each && !reached.has(each))) {
        reached.add(output);
        queue.push(output);
      }
    }
  return [...readers].every((reader) =>
    reader.inputs.every((name) => !name || reached.has(name) || isStill(name) || isAnother(name)),
  );
}

/** Whether a reduction leaves no position. */
function reducesTime(known: Known, node: Node): boolean {
  const fact = known.time.facts.get(node.inputs[0]!);
  return fact?.kind === "stream" && axesOver(known, node, fact.axes)?.includes(timeAxis(fact.axes)) === true;
}

function axesOver({ constants }: Known, node: Node, axes: Layout): number[] | undefined {
  if (node.op.startsWith("Global")) return axes.map((_, k) => k).slice(2);
  const [, input] = node.inputs;
  const given = input
    ? constants.get(input) && Array.from(constants.get(input)!.tensor().data as ArrayLike<number | bigint>, Number)
    : (node.attributes.axes as readonly number[] | undefined);
  return given?.map((axis) => fromFront(axis, axes.length));
}

function realised(node: Node, total: Total): Realisation {
  const { axes, over, join } = total;
  if (join.powers) return powersSummed(node, total, { hide: (b, place) => given(b, total, place), leave });
  const order = join.op === "Add" ? SUM_ROWS : 1;
  const sizes = axes.map((axis, k) => (over.includes(k) ? 1 : axisSize(axis, { batch: 1, time: 1 }))).slice(1);
  const dims = sizes.map((size, k) => (k + 1 === timeAxis(axes) ? order : size));
  const report: StateReport = {
    ...{ state: "ssm", form: "sum", channels: sizes.reduce((a, c) => a * c, 1), lags: 0, order, dims },
    because:
      join.op === "Add"
        ? "the sum of what was read so far is carried, and what rounding has left out of it"
        : "the answer for what was read so far is carried",
  };
  return {
    ...{ opening: node, nodes: new Set([node]), reports: [report] },
    needsStart: join.op !== "Add" || join.mean === true,
    add: (b, place) => {
      const ports = ssmPorts(place.index, dims);
      addTotal(b, node, total, place, ports.past.name, ports.present.name);
      return [ports];
    },
  };
}

function addTotal(b: Builder, node: Node, total: Total, place: Place, past: string, present: string): void {
  const { axes, over, join } = total;
  const x = given(b, total, place);
  const part = reduced(b, join.reduce, join.each ? join.each(b, x) : x, over);
  const shape = axes.map((_, k) => (k === 0 ? -1 : 1));
  const joined = () => {
    const before = begunWith(b, place, b.floats("empty", [1], [join.empty]), past, shape);
    return b.one(join.op, [before, part], {}, { outputs: [present] });
  };
  const summed = () => {
    const { sum, rest } = partsOf(b, past, timeAxis(axes));
    return addUp(b, sum, b.one("Add", [rest, part], {}, { hint: "sum" }), timeAxis(axes), present);
  };
  const whole = join.op === "Add" ? summed() : joined();
  const answer = join.mean
    ? b.one("Div", [whole, countOf(b, axes, over, place, b.ints("each", shape))], {}, { hint: "mean" })
    : whole;
  leave(b, node, total, join.answer ? b.one(join.answer, [answer]) : answer);
}

/** Adds the answer in the layout that the node gives it. */
function leave(b: Builder, node: Node, { kept, over }: Total, answer: string): void {
  if (kept) b.one("Identity", [answer], {}, { outputs: node.outputs });
  else b.one("Squeeze", [answer, b.ints("axes", over)], {}, { outputs: node.outputs });
}

/** The new positions; padding is as if it were not there. */
function given(b: Builder, { axes, stream, join }: Total, place: Place): string {
  const shown = place.mask && maskFor(b, axes, place.symbols, place.mask);
  return shown ? hidden(b, stream, shown, join) : stream;
}

const hidden = (b: Builder, x: string, shown: string, join: Join): string =>
  b.one(
    "Where",
    [b.one("Cast", [shown], { to: DataType.BOOL }), x, b.floats("empty", [1], [join.empty])],
    {},
    { hint: "shown" },
  );

/** How many numbers were read for one of the answer, for each sequence. */
function countOf(
  b: Builder,
  axes: Layout,
  over: readonly number[],
  { mask, symbols, read }: Place,
  each: string,
): string {
  const added = mask
    ? b.one("ReduceSum", [mask, b.ints("axes", [1])], { keepdims: 1 }, { hint: "count" })
    : b.one("Cast", [symbols.time()], { to: DataType.FLOAT }, { hint: "count" });
  const positions = b.one("Add", [read, added], {}, { hint: "count" });
  const width = channelCount(axes.filter((_, k) => over.includes(k)));
  const count =
    width === 1 ? positions : b.one("Mul", [positions, b.floats("width", [1], [width])], {}, { hint: "count" });
  return b.one("Reshape", [count, each], {}, { hint: "count" });
}
