/**
 * Attentive pooling: a softmax over all positions that weighs them into one answer, which no position reads.
 *
 *     y = Σ_t e^(s_t) v_t / Σ_t e^(s_t)
 *
 * Carried are the largest score so far and both sums, over e to its power, so that none overflows. The nodes behind the softmax are
 * linear in its weights, so they are kept, and run on powers in its place.
 */
import type { Carried, Kind, Known, Place, Realisation, StateReport } from "../../find/carried.ts";
import type { RefusedOpening } from "../../find/region.ts";
import { begunWith, ssmPorts } from "../../find/start.ts";
import { fromFront } from "../../graph/axis.ts";
import type { Builder } from "../../graph/build.ts";
import type { Node } from "../../graph/graph.ts";
import { DataType, float32Tensor, toNumbers } from "../../graph/tensor.ts";
import { typeIn } from "../../parts/graphs.ts";
import { axisOf, axisSize, channelCount, type Layout, timeAxis } from "../../time/facts/fact.ts";
import { judge, operandOf } from "../../time/judge.ts";
import { isOffset } from "../../time/offset.ts";
import { maskFor } from "../rows/carry.ts";
import { addUp, partsOf, SUM_ROWS } from "../rows/sums.ts";
import { finitePart, joinedLargest } from "./largest.ts";

/** What makes one answer of weights and values. */
interface Pooling {
  readonly scores: string;
  /** What the softmax gives. */
  readonly softmax: string;
  readonly axes: Layout;
  readonly values: string;
  readonly valueAxes: Layout;
  /** From the softmax's weights to the answer. */
  readonly chain: readonly Node[];
  /** Layout of the answer. */
  readonly left: Layout;
}

export const POOLED: Kind<RefusedOpening> = {
  name: "answer for the whole sequence",
  isFirst: (_known, { node }) => isSoftmax(node),
  async find(known, { node, stream, reason }) {
    const fact = known.time.facts.get(stream);
    if (!isSoftmax(node) || fact?.kind !== "stream" || isOffset(fact)) return undefined;
    const { axes } = fact;
    const isAlongTime = fromFront(Number(node.attributes.axis ?? -1), axes.length) === timeAxis(axes);
    const pooling = isAlongTime && isPlain(axes) ? poolingOf(known, node, axes) : undefined;
    if (!pooling || [stream, pooling.values].some((name) => typeIn(known.graphs, name) !== DataType.FLOAT))
      return undefined;
    return {
      ...{ opening: node, nodes: new Set([node, ...pooling.chain]), reason },
      exits: [{ tensor: pooling.chain.at(-1)!.outputs[0]!, fact: { kind: "last", axes: pooling.left } }],
      plan: async () => realised(node, pooling),
    } satisfies Carried;
  },
};

const isSoftmax = ({ op, domain }: Node): boolean => domain === "" && op === "Softmax";
const isPlain = (axes: Layout): boolean => axes[0]!.join() === "batch" && axes[timeAxis(axes)]!.join() === "time";

/** Operators that say the same of weights at one position as at many. */
const LAYOUTS = new Set(["Transpose", "Unsqueeze", "Squeeze"]);

/** Follows the weights, alone, to the node that sums them. */
function poolingOf(known: Known, softmax: Node, scored: Layout): Pooling | undefined {
  const { graphs, time, constants } = known;
  const { index } = graphs;
  const chain: Node[] = [];
  let [weights, axes] = [softmax.outputs[0]!, scored];
  let value: { readonly name: string; readonly axes: Layout } | undefined;
  const found = (left: Layout | undefined): Pooling | undefined =>
    left && value && left[0]?.join() === "batch"
      ? {
          scores: softmax.inputs[0]!,
          softmax: softmax.outputs[0]!,
          axes: scored,
          values: value.name,
          valueAxes: value.axes,
          chain,
          left,
        }
      : undefined;
  for (;;) {
    const [node, ...others] = index.consumers.get(weights) ?? [];
    if (!node || others.length > 0 || index.outputs.has(weights) || node.domain !== "") return undefined;
    chain.push(node);
    if (node.op === "ReduceSum") return found(summed(known, node, axes));
    const at = node.inputs.indexOf(weights);
    const other = node.inputs[1 - at];
    const fact = other === undefined ? undefined : time.facts.get(other);
    const isWeighing = node.op === "Mul" || node.op === "MatMul";
    if (isWeighing ? value || fact?.kind !== "stream" || isOffset(fact) || !isPlain(fact.axes) : !LAYOUTS.has(node.op))
      return undefined;
    if (isWeighing && fact?.kind === "stream") value = { name: other!, axes: fact.axes };
    if (node.op === "MatMul") return found(at === 0 ? product(axes, value!.axes) : product(value!.axes, axes));
    const operands = node.inputs.map((name) => {
      const operand = name ? operandOf(name, time.facts, constants) : undefined;
      return operand && name === weights ? { ...operand, fact: { kind: "stream" as const, axes } } : operand;
    });
    const verdict = judge(node, operands, time.context, time.varies);
    const [next] = "outputs" in verdict ? verdict.outputs : [];
    if (next?.kind !== "stream" || !isPlain(next.axes)) return undefined;
    [weights, axes] = [node.outputs[0]!, next.axes];
  }
}

/** What a sum over time leaves. */
function summed({ constants }: Known, node: Node, axes: Layout): Layout | undefined {
  const given = node.inputs[1] ? constants.get(node.inputs[1])?.tensor() : undefined;
  const over = given && Array.from(toNumbers(given), (axis) => fromFront(axis, axes.length));
  if (!over?.includes(timeAxis(axes)) || over.includes(axisOf(axes, "batch"))) return undefined;
  const isKept = Number(node.attributes.keepdims ?? 1) !== 0;
  return axes.flatMap((axis, k): Layout => (!over.includes(k) ? [axis] : isKept ? [[]] : []));
}

/** What a product leaves that sums over time. */
function product(left: Layout, right: Layout): Layout | undefined {
  const rank = left.length;
  if (rank !== right.length || rank < 3 || timeAxis(left) !== rank - 1 || timeAxis(right) !== rank - 2)
    return undefined;
  const lead = left.slice(0, -2).map((axis, k) => (axis.length > 0 ? axis : right[k]!));
  return [...lead, left[rank - 2]!, right[rank - 1]!];
}

function realised(softmax: Node, pooling: Pooling): Realisation {
  const { axes, left } = pooling;
  const width = channelCount(left);
  const scored = axes.map((axis) => axisSize(axis, { batch: 1, time: 1 })).slice(1);
  const sums = [SUM_ROWS, width];
  const report = (order: number, dims: readonly number[], because: string): StateReport => ({
    ...{ state: "ssm", form: "sum", channels: dims.reduce((a, c) => a * c, 1) / order, lags: 0, order, dims },
    because,
  });
  return {
    ...{ opening: softmax, nodes: new Set([softmax, ...pooling.chain]), needsStart: true },
    reports: [
      report(1, scored, "the largest score of what was read so far is carried"),
      report(SUM_ROWS, sums, "the sum of values, weighed, is carried, and what rounding has left out of it"),
      report(SUM_ROWS, sums, "the sum of weights is carried, and what rounding has left out of it"),
    ],
    add: (b, place) => {
      const [most, above, below] = [scored, sums, sums].map((dims, k) => ssmPorts(place.index + k, dims));
      addPooling(b, pooling, place, [most!, above!, below!]);
      return [most!, above!, below!];
    },
  };
}

type Ports = ReturnType<typeof ssmPorts>;

function addPooling(
  b: Builder,
  { scores, softmax, axes, values, valueAxes, chain, left }: Pooling,
  place: Place,
  [most, above, below]: readonly [Ports, Ports, Ports],
): void {
  const none = b.floats("none", [1], [Number.NEGATIVE_INFINITY]);
  const shown = place.mask && maskFor(b, axes, place.symbols, place.mask);
  const x = shown ? b.one("Where", [b.one("Cast", [shown], { to: DataType.BOOL }), scores, none]) : scores;
  const before = begunWith(
    b,
    place,
    none,
    most.past.name,
    axes.map((_, k) => (k === 0 ? -1 : 1)),
  );
  const shared = finitePart(b, joinedLargest(b, before, x, [timeAxis(axes)], most.present.name));
  const power = (of: string) => b.one("Exp", [b.one("Sub", [of, shared])], {}, { hint: "power" });
  const flat = b.ints("flat", [-1, 1, channelCount(left)]);
  /** What the kept nodes make of weights and values, [batch, 1, width]. */
  const pooled = (weights: string, given: string) => {
    const made = new Map([
      [softmax, weights],
      [values, given],
    ]);
    for (const node of chain) {
      const inputs = node.inputs.map((name) => made.get(name) ?? name);
      made.set(node.outputs[0]!, b.copy(place.original(node), inputs)[0]!);
    }
    return b.one("Reshape", [made.get(chain.at(-1)!.outputs[0]!)!, flat], {}, { hint: "pooled" });
  };
  const ones = (like: string) =>
    b.one("ConstantOfShape", [b.one("Shape", [like])], { value: { tensor: float32Tensor([1], [1]) } });
  const cut = [b.ints("from", [0]), b.ints("to", [1]), b.ints("axis", [timeAxis(valueAxes)])];
  const first = b.one("Slice", [values, ...cut], {}, { hint: "first" });
  const powers = power(x);
  const faded = pooled(power(before), ones(first));
  const total = (part: string, { past, present }: Ports) => {
    const { sum, rest } = partsOf(b, b.one("Mul", [past.name, faded], {}, { hint: "faded" }), 1);
    return addUp(b, sum, b.one("Add", [rest, part], {}, { hint: "sum" }), 1, present.name);
  };
  const mean = b.one("Div", [total(pooled(powers, values), above), total(pooled(powers, ones(values)), below)]);
  const dims = left.map((axis, k) => (k === 0 ? -1 : axisSize(axis, { batch: 1, time: 1 })));
  b.one("Reshape", [mean, b.ints("answer", dims)], {}, { outputs: [chain.at(-1)!.outputs[0]!] });
}
