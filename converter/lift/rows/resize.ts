/** Upsample, and Resize of opset 10: scales are counted from the first sample, and rounded down where the axis gets longer. */

import type { Node } from "../../graph/graph.ts";
import { float32Tensor, toNumbers } from "../../graph/tensor.ts";
import { changed, notLifted, type Row, replaced, type Site } from "./row.ts";

const MODE = { coordinate_transformation_mode: "asymmetric" } as const;

function resized(site: Site, scales: string, nearest: "floor" | "ceil") {
  const { mode = "nearest" } = site.node.attributes as { mode?: string };
  const inputs = [site.node.inputs[0]!, "", scales];
  return { inputs, attributes: { ...MODE, mode, ...(mode === "nearest" && { nearest_mode: nearest }) } };
}

/** https://onnx.ai/onnx/operators/onnx__Upsample.html: scales are an input from opset 9 on; never below 1. */
const Upsample: Row = {
  before: 13,
  rewrite(site) {
    const listed = site.node.attributes.scales as readonly number[] | undefined;
    const scales = listed ? site.b.floats("scales", [listed.length], listed) : site.node.inputs[1]!;
    const { inputs, attributes } = resized(site, scales, "floor");
    return replaced(site, "Resize", inputs, attributes);
  },
};

/** https://onnx.ai/onnx/operators/onnx__Resize.html: what gets shorter takes the next sample instead, so both kinds of axes need a node each. */
const Resize: Row = {
  before: 13,
  rewrite(site) {
    if (site.opset >= 11) return withoutTfHalfPixel(site);
    const [data = "", scales = ""] = site.node.inputs;
    const values = site.constantOf(scales);
    const nearest = (site.node.attributes.mode ?? "nearest") === "nearest";
    if (nearest && !values)
      throw notLifted(
        site,
        "its scales are computed, and whether samples are rounded up or down depends on them",
        "Export the model again with opset 11 or later.",
      );
    const numbers = values ? [...toNumbers(values)] : [];
    const shorter = nearest && numbers.some((scale) => scale < 1);
    const { inputs, attributes } = resized(site, scales, shorter ? "ceil" : "floor");
    if (!shorter || !numbers.some((scale) => scale > 1)) return replaced(site, "Resize", inputs, attributes);
    const part = (change: (scale: number) => number) =>
      site.b.constant("scales", float32Tensor([numbers.length], numbers.map(change)));
    const longer = site.b.one("Resize", [data, "", part((scale) => Math.max(1, scale))], {
      ...attributes,
      nearest_mode: "floor",
    });
    return replaced(site, "Resize", [longer, "", part((scale) => Math.min(1, scale))], attributes);
  },
};

/**
 * tf_half_pixel_for_nn, which 13 has not: half_pixel without the half that is taken off again, so that what is rounded down there is
 * rounded to the nearest here.
 */
function withoutTfHalfPixel(site: Site): Node {
  const { attributes } = site.node;
  if (attributes.coordinate_transformation_mode !== "tf_half_pixel_for_nn") return site.node;
  const { mode = "nearest", nearest_mode = "round_prefer_floor" } = attributes;
  if (mode !== "nearest" || nearest_mode !== "floor")
    throw notLifted(
      site,
      `tf_half_pixel_for_nn with ${mode === "nearest" ? `nearest_mode ${nearest_mode}` : `mode ${mode}`} is nothing that opset 13 has`,
      "Export the model again with opset 13 or later.",
    );
  return changed(site, {
    add: { coordinate_transformation_mode: "half_pixel", nearest_mode: "round_prefer_ceil" },
  });
}

export const RESIZE: Readonly<Record<string, Row>> = { Upsample, Resize };
