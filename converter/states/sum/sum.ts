/**
 * Running sums along time: CumSum is kept, and what was summed before is added.
 * https://onnx.ai/onnx/operators/onnx__CumSum.html
 */
import type { Carried, Kind, Place, Realisation, StateReport } from "../../find/carried.ts";
import { type RefusedOpening, refuseOpening } from "../../find/region.ts";
import { ssmPorts } from "../../find/start.ts";
import type { Builder } from "../../graph/build.ts";
import type { Node } from "../../graph/graph.ts";
import { DataType } from "../../graph/tensor.ts";
import { hidden } from "../../lower/lower.ts";
import { type Graphs, typeIn } from "../../parts/graphs.ts";
import { axisSize, channelCount, type Layout, timeAxis } from "../../time/facts/fact.ts";
import { isOffset } from "../../time/offset.ts";
import { maskFor } from "../rows/carry.ts";
import { addUp, partsOf, SUM_ROWS } from "../rows/sums.ts";

const END = 2 ** 53 - 1;
const FLOATS = new Set<number>([DataType.FLOAT, DataType.FLOAT16, DataType.BFLOAT16]);

export const SUM: Kind<RefusedOpening> = {
  name: "running sum",
  isFirst: (_known, { node }) => isSum(node),
  async find(known, { node, stream, reason }) {
    const { graphs, time } = known;
    const fact = time.facts.get(stream);
    if (!isSum(node) || stream !== node.inputs[0] || fact?.kind !== "stream") return undefined;
    const { axes } = fact;
    const refuse = (code: RefusedOpening["code"], why: string) => refuseOpening(node, code, why);
    if (node.attributes.reverse) return refuse("not-causal", "sums the time axis from its end");
    if (isOffset(fact)) return refuse("mixes-time", "sums over the padding before the first position");
    const type = typeIn(graphs, stream);
    const batchFirst = axes[0]!.join() === "batch" && axes[timeAxis(axes)]!.join() === "time";
    if (!batchFirst || !(FLOATS.has(type) || isCounted(graphs, stream))) return undefined;
    return {
      ...{ opening: node, nodes: new Set([node]), reason },
      exits: [{ tensor: node.outputs[0]!, fact: { kind: "stream", axes } }],
      plan: async () => realised(node, axes),
    } satisfies Carried;
  },
};

const isSum = ({ op, domain }: Node): boolean => domain === "" && op === "CumSum";

/** Operators that leave 0 and 1 as they are. */
const KEEPS = new Set(["Cast", "Identity", "Unsqueeze", "Squeeze", "Reshape", "Transpose", "Expand"]);

/** Whether a tensor holds 0 and 1 alone: its sum counts positions, which float32 holds as far as any counter. */
function isCounted(graphs: Graphs, tensor: string): boolean {
  if (tensor === graphs.driven.mask || typeIn(graphs, tensor) === DataType.BOOL) return true;
  const node = graphs.index.producer.get(tensor);
  return node !== undefined && node.domain === "" && KEEPS.has(node.op) && isCounted(graphs, node.inputs[0]!);
}

function realised(node: Node, axes: Layout): Realisation {
  const dims = axes.slice(1).map((axis) => axisSize(axis, { batch: 1, time: SUM_ROWS }));
  const report: StateReport = {
    ...{ state: "ssm", form: "sum", channels: channelCount(axes), lags: 0, order: SUM_ROWS, dims },
    because: "the sum so far is carried, and what rounding has left out of it",
  };
  return {
    ...{ opening: node, nodes: new Set([node]), reports: [report], needsStart: false },
    add: (b, place) => {
      const ports = ssmPorts(place.index, dims);
      addSum(b, place.original(node), axes, place, ports.past.name, ports.present.name);
      return [ports];
    },
  };
}

function addSum(b: Builder, node: Node, axes: Layout, place: Place, past: string, present: string): void {
  const type = place.typeOf(node.inputs[0]!);
  const axis = timeAxis(axes);
  const at = (tensor: string, from: number, to: number, hint: string) =>
    b.one("Slice", [tensor, b.ints("from", [from]), b.ints("to", [to]), b.ints("axis", [axis])], {}, { hint });
  const float = type === DataType.FLOAT ? node.inputs[0]! : b.one("Cast", [node.inputs[0]!], { to: DataType.FLOAT });
  const x = place.mask ? hidden(b, float, maskFor(b, axes, place.symbols, place.mask)) : float;
  const [within] = b.copy(node, [x, b.ints("time_axis", axis)]);
  const { sum, rest } = partsOf(b, past, axis);
  const add = (p: string, q: string) => b.one("Add", [p, q], {}, { hint: "sum" });
  const y = add(sum, add(rest, within!));
  if (type === DataType.FLOAT) b.one("Identity", [y], {}, { outputs: node.outputs });
  else b.one("Cast", [y], { to: type }, { outputs: node.outputs });
  const last = at(within!, -1, END, "last");
  const added = add(rest, node.attributes.exclusive ? add(last, at(x, -1, END, "last")) : last);
  addUp(b, sum, added, axis, present);
}
