/** Operators whose numbers became inputs, and those that do in a model that does not train what a simpler one does. */
import { bfloat16FromNumber, float16FromNumber } from "../../graph/halves.ts";
import { asInt64, DataType, makeTensor, type Tensor } from "../../graph/tensor.ts";
import { changed, notLifted, type Row, replacedFirst, type Site } from "./row.ts";

/** A constant of one value, of the type that a tensor has. */
export const scalarOf = (site: Site, hint: string, value: number, like: string): string =>
  site.b.constant(hint, scalar(site.typeOf(like), value));

function scalar(type: number, value: number): Tensor {
  const of = (data: Parameters<typeof makeTensor>[2]) => makeTensor(type, [], data);
  switch (type) {
    case DataType.DOUBLE:
      return of(Float64Array.of(value));
    case DataType.FLOAT16:
      return of(Uint16Array.of(float16FromNumber(value)));
    case DataType.BFLOAT16:
      return of(Uint16Array.of(bfloat16FromNumber(value)));
    case DataType.INT64:
      return of(BigInt64Array.of(asInt64(Math.trunc(value))));
    case DataType.INT32:
      return of(Int32Array.of(value));
  }
  return makeTensor(DataType.FLOAT, [], Float32Array.of(value));
}

/** https://onnx.ai/onnx/operators/onnx__Clip.html: min and max are inputs from opset 11 on. */
const Clip: Row = {
  before: 11,
  rewrite(site) {
    const data = site.node.inputs[0]!;
    const bound = (name: "min" | "max") => {
      const value = site.node.attributes[name] as number | undefined;
      return value === undefined ? "" : scalarOf(site, name, value, data);
    };
    return changed(site, { inputs: [data, bound("min"), bound("max")], drop: ["min", "max"] });
  },
};

/** https://onnx.ai/onnx/operators/onnx__Dropout.html: drops nothing in a model that does not train. */
const Dropout: Row = {
  before: 12,
  rewrite(site) {
    const [, mask = ""] = site.node.outputs;
    if (mask && site.isRead(mask))
      throw notLifted(
        site,
        "its mask is used, and before opset 12 nothing says what it holds in a model that does not train",
        "Export the model again in inference mode (model.eval()).",
      );
    return replacedFirst(site, "Identity", [site.node.inputs[0]!]);
  },
};

/** https://onnx.ai/onnx/operators/onnx__BatchNormalization.html: before opset 9 it may have a mean for every place (`spatial` 0). */
const BatchNormalization: Row = {
  before: 9,
  rewrite(site) {
    const { spatial = 1, epsilon = 1e-5 } = site.node.attributes as { spatial?: number; epsilon?: number };
    if (spatial !== 0) return changed(site, { drop: ["spatial"] });
    if (site.node.outputs.slice(1).some((name) => name && site.isRead(name)))
      throw notLifted(
        site,
        "it gives means and variances, as in training",
        "Export the model again in inference mode (model.eval()).",
      );
    const { b } = site;
    const [data = "", scale = "", bias = "", mean = "", variance = ""] = site.node.inputs;
    const deviation = b.one("Sqrt", [b.one("Add", [variance, scalarOf(site, "epsilon", epsilon, data)])]);
    const normal = b.one("Div", [b.one("Sub", [data, mean]), deviation]);
    return replacedFirst(site, "Add", [b.one("Mul", [normal, scale]), bias]);
  },
};

export const SCALARS: Readonly<Record<string, Row>> = { Clip, Dropout, BatchNormalization };
