/** Operators that cut, pad and pick, whose sizes became inputs, and Scatter, which got another name. */
import { changed, listAsInput, ofDataAlone, type Row } from "./row.ts";
import { scalarOf } from "./scalars.ts";

/** Ends such as the largest int64 are read inexactly; no axis is as long as this. */
const bounded = (values: readonly number[]): number[] =>
  values.map((value) => Math.max(-Number.MAX_SAFE_INTEGER, Math.min(Number.MAX_SAFE_INTEGER, value)));

/** https://onnx.ai/onnx/operators/onnx__Slice.html: starts, ends and axes are inputs from opset 10 on. */
const Slice = ofDataAlone({
  before: 10,
  rewrite(site) {
    const { starts = [], ends = [], axes } = site.node.attributes as Record<string, readonly number[] | undefined>;
    const { b } = site;
    const inputs = [b.ints("starts", bounded(starts)), b.ints("ends", bounded(ends)), axes ? b.ints("axes", axes) : ""];
    return changed(site, { inputs: [site.node.inputs[0]!, ...inputs], drop: ["starts", "ends", "axes"] });
  },
});

/** https://onnx.ai/onnx/operators/onnx__Split.html: sizes are an input from opset 13 on; without them the parts are equal. */
const Split = listAsInput(13, "split");

/** https://onnx.ai/onnx/operators/onnx__Pad.html: pads and value are inputs from opset 11 on. */
const Pad = ofDataAlone({
  before: 11,
  rewrite(site) {
    const { pads = [], value = 0 } = site.node.attributes as { pads?: readonly number[]; value?: number };
    const data = site.node.inputs[0]!;
    const fill = value === 0 ? "" : scalarOf(site, "value", value, data);
    return changed(site, { inputs: [data, site.b.ints("pads", pads), fill], drop: ["pads", "value"] });
  },
});

/** https://onnx.ai/onnx/operators/onnx__TopK.html: k is an input from opset 10 on; the largest, sorted, as before. */
const TopK: Row = {
  before: 10,
  rewrite(site) {
    const count = site.b.ints("k", [site.node.attributes.k as number]);
    return changed(site, { inputs: [site.node.inputs[0]!, count], drop: ["k"] });
  },
};

/** https://onnx.ai/onnx/operators/onnx__Scatter.html: called ScatterElements from opset 11 on. */
const Scatter: Row = { before: 13, rewrite: (site) => changed(site, { op: "ScatterElements" }) };

/** https://onnx.ai/onnx/operators/onnx__Range.html: the type in which float16 adds up, new at opset 27, is what runtimes use anyway. */
const Range: Row = {
  rewrite: (site) => changed(site, { drop: ["stash_type"] }),
};

export const CUTTING: Readonly<Record<string, Row>> = { Slice, Split, Pad, TopK, Scatter, Range };
