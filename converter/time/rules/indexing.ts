/** Operators that pick values by their index, or write them there: pointwise along time where the index is one of channels. */

import { fromFront } from "../../graph/axis.ts";
import { dim, equal, subtract, TIME } from "../facts/dim.ts";
import { type Axis, channelsIn, isChannelAxis, type Layout } from "../facts/fact.ts";
import { axesOf, type Family, integers, joined, mixes, type Operand, type Rule, type Verdict } from "../facts/rule.ts";
import { layoutsOf, meetAxes } from "./broadcast.ts";
import { cutUp, unfollowed } from "./movement.ts";

/** https://onnx.ai/onnx/operators/onnx__Gather.html: an embedding, or a choice of channels. */
const Gather: Rule = ([data, indices], { axis = 0 }) => {
  const [axes, picked] = [axesOf(data!), axesOf(indices!)];
  const last = axes && lastPosition(data!, indices!, axes, fromFront(Number(axis), axes.length));
  if (last) return last;
  if (indices!.fact.kind === "shape") return mixes("picks positions by the length of the sequence");
  if (!axes || !picked) return unfollowed(axes ? indices! : data!);
  const k = fromFront(Number(axis), axes.length);
  const own = axes[k]!;
  if (!isChannelAxis(own)) return cutUp(own, "picks from");
  return joined([data, indices], [...axes.slice(0, k), ...picked, ...axes.slice(k + 1)]);
};

/** x[:, -1]: the last position, by the index -1 or by length - 1. */
function lastPosition(data: Operand, indices: Operand, axes: Layout, k: number): Verdict | undefined {
  const index = integers(indices);
  if (data.fact.kind !== "stream" || index?.length !== 1 || axes[k]!.join() !== "time") return undefined;
  if (!equal(index[0]!, dim(-1)) && !equal(index[0]!, subtract(TIME, dim(1)))) return undefined;
  const rank = indices.fact.kind === "shape" ? indices.fact.rank : (axesOf(indices)?.length ?? 0);
  const rest = [...axes.slice(0, k), ...Array.from({ length: rank }, () => []), ...axes.slice(k + 1)];
  return { outputs: [{ kind: "last", axes: rest }] };
}

/** https://onnx.ai/onnx/operators/onnx__GatherElements.html: out[i, j] = data[indices[i, j], j] for axis 0. */
const GatherElements: Rule = ([data, indices], { axis = 0 }, context) => {
  const found = layoutsOf([data, indices]);
  if (!("layouts" in found)) return found;
  const [axes, picked] = found.layouts;
  const k = fromFront(Number(axis), axes!.length);
  if (!isChannelAxis(axes![k]!)) return cutUp(axes![k]!, "picks from");
  for (const [i, own] of axes!.entries()) {
    // indices may be fewer than the data along other axes of channels
    if (i === k || (isChannelAxis(own) && isChannelAxis(picked![i]!))) continue;
    if (own.length === 0 || picked![i]!.length === 0) return mixes("picks from some positions only");
    const met = meetAxes([own, picked![i]!], found.layouts, context);
    if (!("axis" in met)) return met;
  }
  return joined([data, indices], picked!);
};

/** https://onnx.ai/onnx/operators/onnx__GatherND.html: the last axis of the indices names entries of the first axes. */
const GatherND: Rule = ([data, indices], { batch_dims = 0 }, context) => {
  const found = layoutsOf([data, indices]);
  if (!("layouts" in found)) return found;
  const [axes, picked] = found.layouts;
  const shared = Number(batch_dims);
  const last = picked!.at(-1) ?? [];
  if (!isChannelAxis(last)) return cutUp(last, "picks by");
  const depth = shared + channelsIn(last);
  const taken = axes!.slice(shared, depth).find((axis) => !isChannelAxis(axis));
  if (taken) return cutUp(taken, "picks from");
  const together: Axis[] = [];
  for (let k = 0; k < shared; k++) {
    const met = meetAxes([axes![k]!, picked![k]!], found.layouts, context);
    if (!("axis" in met)) return met;
    together.push(met.axis);
  }
  return joined([data, indices], [...together, ...picked!.slice(shared, -1), ...axes!.slice(depth)]);
};

/** https://onnx.ai/onnx/operators/onnx__ScatterElements.html */
const ScatterElements: Rule = ([data, indices, updates], { axis = 0 }, context) => {
  const operands = [data, indices, updates];
  const found = layoutsOf(operands);
  if (!("layouts" in found)) return found;
  const [axes, ...others] = found.layouts;
  const k = fromFront(Number(axis), axes!.length);
  if (!isChannelAxis(axes![k]!)) return cutUp(axes![k]!, "writes along");
  for (const [i, own] of axes!.entries()) {
    const at = [own, ...others.map((layout) => layout[i]!)];
    if (at.every(isChannelAxis)) continue;
    if (i === k) return mixes("writes from every position");
    if (at.some((axis) => axis.length === 0)) return mixes("writes at some positions only");
    const met = meetAxes(at, found.layouts, context);
    if (!("axis" in met)) return met;
  }
  return joined(operands, axes!);
};

/** https://onnx.ai/onnx/operators/onnx__ScatterND.html: constant indices that name entries of the first axes. */
const ScatterND: Rule = ([data, indices, updates], _attributes, context) => {
  const operands = [data, indices, updates];
  const found = layoutsOf(operands);
  if (!("layouts" in found)) return found;
  const [axes, places, values] = found.layouts;
  if (indices!.fact.kind !== "constant") return mixes("writes at places that are not constant");
  const depth = channelsIn(places!.at(-1) ?? []);
  const written = axes!.slice(0, depth).find((axis) => !isChannelAxis(axis));
  if (written) return cutUp(written, "writes along");
  const outer = places!.length - 1;
  const spread = values!.slice(0, outer).find((axis) => !isChannelAxis(axis));
  if (spread) return cutUp(spread, "writes along");
  for (const [i, own] of axes!.slice(depth).entries()) {
    const value = values![outer + i]!;
    if (!isChannelAxis(own) && value.length === 0) return mixes("writes at some positions only");
    const met = meetAxes([own, value], found.layouts, context);
    if (!("axis" in met)) return met;
    if (isChannelAxis(own) && !isChannelAxis(value)) return mixes("writes a row for each position");
  }
  return joined(operands, axes!);
};

export const INDEXING: Family = {
  title: "Indexing",
  pointwise: "where what is picked or written are channels (or rows of a table: an embedding)",
  otherwise: "a convolution may begin: a shift, a dense matrix by Gather",
  rules: { Gather, GatherElements, GatherND, ScatterElements, ScatterND },
};
