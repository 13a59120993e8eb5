/**
 * The logarithm of a sum of powers of e over time. The largest exponent so far is carried beside the sum of all powers over its own, so
 * that none overflows:
 *
 *     m' = max(m, max x),   s' = s e^(m - m') + Σ e^(x - m'),   y = m' + log s'
 */
import type { Place, Realisation, StateReport } from "../../find/carried.ts";
import { begunWith, ssmPorts } from "../../find/start.ts";
import type { Builder } from "../../graph/build.ts";
import type { Node } from "../../graph/graph.ts";
import { axisSize, type Layout, timeAxis } from "../../time/facts/fact.ts";
import { addUp, partsOf, SUM_ROWS } from "../rows/sums.ts";
import { finitePart, joinedLargest } from "./largest.ts";
import { reduced } from "./reduced.ts";

/** What is reduced: a stream of this layout, over these axes. */
interface Summed {
  readonly axes: Layout;
  readonly over: readonly number[];
}

/** How the new positions are had, and how an answer leaves. */
interface Ends<T> {
  readonly hide: (b: Builder, place: Place) => string;
  readonly leave: (b: Builder, node: Node, total: T, answer: string) => void;
}

export function powersSummed<T extends Summed>(node: Node, total: T, { hide, leave }: Ends<T>): Realisation {
  const { axes, over } = total;
  const time = timeAxis(axes);
  const dimsOf = (rows: number) =>
    axes.map((axis, k) => (k === time ? rows : over.includes(k) ? 1 : axisSize(axis, { batch: 1, time: 1 }))).slice(1);
  const report = (order: number, because: string): StateReport => {
    const dims = dimsOf(order);
    const channels = dims.reduce((a, c) => a * c, 1) / order;
    return { ...{ state: "ssm", form: "sum", channels, lags: 0, order, dims }, because };
  };
  return {
    ...{ opening: node, nodes: new Set([node]), needsStart: true },
    reports: [
      report(1, "the largest exponent of what was read so far is carried"),
      report(
        SUM_ROWS,
        "the sum of what was read so far, over its largest, is carried, and what rounding has left out of it",
      ),
    ],
    add: (b, place) => {
      const [most, sums] = [ssmPorts(place.index, dimsOf(1)), ssmPorts(place.index + 1, dimsOf(SUM_ROWS))];
      const x = hide(b, place);
      const shape = axes.map((_, k) => (k === 0 ? -1 : 1));
      const none = b.floats("none", [1], [Number.NEGATIVE_INFINITY]);
      const before = begunWith(b, place, none, most.past.name, shape);
      const shared = finitePart(b, joinedLargest(b, before, x, over, most.present.name));
      const power = (of: string) => b.one("Exp", [b.one("Sub", [of, shared])], {}, { hint: "power" });
      const part = reduced(b, "ReduceSum", power(x), over);
      const faded = b.one("Mul", [sums.past.name, power(before)], {}, { hint: "faded" });
      const { sum, rest } = partsOf(b, faded, time);
      const whole = addUp(b, sum, b.one("Add", [rest, part], {}, { hint: "sum" }), time, sums.present.name);
      leave(b, node, total, b.one("Add", [shared, b.one("Log", [whole])], {}, { hint: "answer" }));
      return [most, sums];
    },
  };
}
