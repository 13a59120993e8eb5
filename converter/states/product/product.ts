/**
 * Running products along time: CumProd is kept, and what was multiplied before is a factor.
 * https://onnx.ai/onnx/operators/onnx__CumProd.html
 */
import type { Carried, Kind, Place, Realisation, StateReport } from "../../find/carried.ts";
import { type RefusedOpening, refuseOpening } from "../../find/region.ts";
import { begunWith, ssmPorts } from "../../find/start.ts";
import type { Builder } from "../../graph/build.ts";
import type { Node } from "../../graph/graph.ts";
import { DataType } from "../../graph/tensor.ts";
import { typeIn } from "../../parts/graphs.ts";
import { axisSize, channelCount, type Layout, timeAxis } from "../../time/facts/fact.ts";
import { isOffset } from "../../time/offset.ts";
import { maskFor } from "../rows/carry.ts";

const END = 2 ** 53 - 1;

export const PRODUCT: Kind<RefusedOpening> = {
  name: "running product",
  isFirst: (_known, { node }) => isProduct(node),
  async find({ graphs, time }, { node, stream, reason }) {
    const fact = time.facts.get(stream);
    if (!isProduct(node) || stream !== node.inputs[0] || fact?.kind !== "stream") return undefined;
    const { axes } = fact;
    if (node.attributes.reverse) return refuseOpening(node, "not-causal", "multiplies the time axis from its end");
    if (isOffset(fact))
      return refuseOpening(node, "mixes-time", "multiplies over the padding before the first position");
    const batchFirst = axes[0]!.join() === "batch" && axes[timeAxis(axes)]!.join() === "time";
    if (!batchFirst || typeIn(graphs, stream) !== DataType.FLOAT) return undefined;
    return {
      ...{ opening: node, nodes: new Set([node]), reason },
      exits: [{ tensor: node.outputs[0]!, fact: { kind: "stream", axes } }],
      plan: async () => realised(node, axes),
    } satisfies Carried;
  },
};

const isProduct = ({ op, domain }: Node): boolean => domain === "" && op === "CumProd";

function realised(node: Node, axes: Layout): Realisation {
  const dims = axes.slice(1).map((axis) => axisSize(axis, { batch: 1, time: 1 }));
  const report: StateReport = {
    ...{ state: "ssm", form: "recurrent", channels: channelCount(axes), lags: 0, order: 1, dims },
    because: "the product so far is carried",
  };
  return {
    ...{ opening: node, nodes: new Set([node]), reports: [report], needsStart: true },
    add: (b, place) => {
      const ports = ssmPorts(place.index, dims);
      addProduct(b, place.original(node), axes, place, ports.past.name, ports.present.name);
      return [ports];
    },
  };
}

function addProduct(b: Builder, node: Node, axes: Layout, place: Place, past: string, present: string): void {
  const axis = timeAxis(axes);
  const one = b.floats("one", [1], [1]);
  const before = begunWith(
    b,
    place,
    one,
    past,
    axes.map((_, k) => (k === 0 ? -1 : 1)),
  );
  const x = place.mask ? shown(b, node.inputs[0]!, maskFor(b, axes, place.symbols, place.mask), one) : node.inputs[0]!;
  const [within] = b.copy(node, [x, b.ints("time_axis", axis)]);
  b.one("Mul", [before, within!], {}, { outputs: node.outputs });
  const last = (tensor: string) =>
    b.one("Slice", [tensor, b.ints("from", [-1]), b.ints("to", [END]), b.ints("axis", [axis])], {}, { hint: "last" });
  const own = node.attributes.exclusive ? b.one("Mul", [last(within!), last(x)]) : last(within!);
  b.one("Mul", [before, own], {}, { outputs: [present] });
}

/** Padding is a factor of one. */
const shown = (b: Builder, x: string, mask: string, one: string): string =>
  b.one("Where", [b.one("Cast", [mask], { to: DataType.BOOL }), x, one], {}, { hint: "shown" });
