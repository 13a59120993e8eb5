/** Operators at which positions of different times meet, x[:, 1:] and x[:, :-1] say: the one that is ahead waits for the other. */
import type { Carried, Kind, Realisation } from "../../find/carried.ts";
import { type RefusedOpening, refuseOpening } from "../../find/region.ts";
import type { Node } from "../../graph/graph.ts";
import { timeAxis } from "../../time/facts/fact.ts";
import { judge, operandOf } from "../../time/judge.ts";
import { excess, judgedOffset, offsetOf, withOffset } from "../../time/offset.ts";
import { type Carry, carried } from "../rows/carry.ts";
import { historyOf } from "../rows/history.ts";
import { reportOf, seesPadding } from "../rows/rows.ts";

export const MEETING: Kind<RefusedOpening> = {
  name: "finite reach",
  isFirst: () => true,
  async find(known, { node, reason }) {
    const { time, constants } = known;
    const operands = node.inputs.map((name) => (name ? operandOf(name, time.facts, constants) : undefined));
    const streams = operands.flatMap((operand, i) =>
      operand?.fact.kind === "stream"
        ? [{ i, name: operand.name, axes: operand.fact.axes, offset: offsetOf(operand.fact) }]
        : [],
    );
    const rows = operands.some(
      (operand) => operand?.fact.kind === "position" && operand.fact.axes?.flat().includes("time"),
    );
    const left = Math.min(...streams.map(({ offset }) => offset.left), ...(rows ? [0] : []));
    const more = streams[0] && excess(streams[0].offset);
    if (more === undefined || streams.every(({ offset }) => offset.left === left)) return undefined;
    if (streams.some(({ offset, axes }) => excess(offset) !== more || axes[timeAxis(axes)]!.join() !== "time"))
      return undefined;
    const met = operands.map(
      (operand) => operand && { ...operand, fact: withOffset(operand.fact, { left, right: more - left }) },
    );
    const verdict = judgedOffset(met, time.context, (given, within) => judge(node, given, within, time.varies));
    if (!("outputs" in verdict)) return undefined;
    const carries: (Carry & { readonly place: number; readonly delay: number })[] = [];
    for (const { i, name, axes, offset } of streams) {
      const delay = offset.left - left;
      if (delay === 0) continue;
      const history = await historyOf(known, { tensor: name, axes, offset }, delay, 0);
      if (typeof history === "string") return refuseOpening(node, "mixes-time", history);
      carries.push({ tensor: name, axes, rows: delay, history, place: i, delay });
    }
    const exits = node.outputs.flatMap((tensor, i) => (tensor ? [{ tensor, fact: verdict.outputs[i]! }] : []));
    return {
      ...{ opening: node, nodes: new Set([node]), exits, reason },
      seesPadding: carries.some(({ history }) => seesPadding(history)) ? true : undefined,
      plan: async () => realised(node, carries),
    } satisfies Carried;
  },
};

function realised(
  node: Node,
  carries: readonly (Carry & { readonly place: number; readonly delay: number })[],
): Realisation {
  return {
    ...{ opening: node, nodes: new Set([node]), reports: carries.map(reportOf) },
    needsStart: carries.some(({ history }) => history.kind !== "zeros"),
    add: (b, place) => {
      const inputs = [...node.inputs];
      const ports = carries.map((carry, k) => {
        const { stream, ports } = carried(b, carry, { ...place, index: place.index + k });
        const cut = [b.ints("from", [0]), b.ints("to", [-carry.delay]), b.ints("axis", [timeAxis(carry.axes)])];
        inputs[carry.place] = b.one("Slice", [stream, ...cut], {}, { hint: "delayed" });
        return ports;
      });
      b.copy(place.original(node), inputs, node.outputs);
      return ports;
    },
  };
}
