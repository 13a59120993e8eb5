/** Operators that take the absolute position from tables or from their inputs. */
import { sameLayout, timeAxis } from "../facts/fact.ts";
import { type Family, joined, mixes, type Rule, refuses } from "../facts/rule.ts";
import { layoutsOf, meetAxes } from "./broadcast.ts";
import { cutUp } from "./movement.ts";

/**
 * https://onnx.ai/onnx/operators/onnx__RotaryEmbedding.html: turns [batch, heads, time, size] or [batch, time, hidden] by
 * angles that are given for each position, or picked from tables by `position_ids` [batch, time].
 */
const RotaryEmbedding: Rule = ([data, cos, sin, ids], _attributes, context) => {
  const found = layoutsOf([data, cos, sin, ids]);
  if (!("layouts" in found)) return found;
  const [axes, cosAxes, sinAxes, idAxes] = found.layouts;
  const time = timeAxis(axes!);
  if (time >= 0 && time !== axes!.length - 2)
    return refuses("unsupported-layout", "has time on an axis that it does not take for the sequence");
  if (!sameLayout(cosAxes!, sinAxes!)) return refuses("unsupported-layout", "has tables of different layouts");
  const rows = ids ? idAxes! : cosAxes!;
  if (ids && timeAxis(cosAxes!) >= 0) return cutUp(cosAxes![timeAxis(cosAxes!)]!, "picks from");
  for (const [place, k] of [
    [0, 0],
    [1, axes!.length - 2],
  ] as const) {
    const met = meetAxes([axes![k], rows[place]], found.layouts, context);
    if (!("axis" in met)) return met;
    if (met.axis.length !== axes![k]!.length) return mixes("turns one position by the angles of all");
  }
  return joined([data, cos, sin, ids], axes!);
};

export const POSITION: Family = {
  title: "Positions",
  pointwise: "where the angles of a position come from that position",
  otherwise: "refused; a table with a row for each position of a fixed-length export is one",
  rules: { RotaryEmbedding },
};
