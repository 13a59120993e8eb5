/** Softmax, LogSoftmax and Hardmax before opset 13: over all axes from `axis` (1 by default) on, laid out as one. */
import { changed, type Row, replaced } from "./row.ts";

const flattening: Row = {
  before: 13,
  rewrite(site) {
    const { axis = 1 } = site.node.attributes as { axis?: number };
    const data = site.node.inputs[0]!;
    const rank = site.rankOf(data);
    const from = axis < 0 && rank !== undefined ? axis + rank : axis;
    if (from === -1 || from + 1 === rank) return changed(site, { add: { axis: -1 } });
    const { b } = site;
    // axes before it stay apart, so that time and batch are still seen
    const flat =
      from < 0
        ? b.one("Flatten", [data], { axis: from })
        : b.one("Reshape", [data, b.ints("flat", [...new Array<number>(from).fill(0), -1])]);
    return replaced(site, "Reshape", [b.one(site.node.op, [flat], { axis: -1 }), b.one("Shape", [data])]);
  },
};

export const SOFTMAX: Readonly<Record<string, Row>> = {
  Softmax: flattening,
  LogSoftmax: flattening,
  Hardmax: flattening,
};
