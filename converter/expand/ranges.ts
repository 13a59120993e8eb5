/**
 * https://onnx.ai/onnx/operators/onnx__GatherND.html that takes everything: `mask[rows, columns]` with both counted from 0 to the end, as
 * Hugging Face's masks are made. It is the data with its axes at other places.
 */
import type { Node } from "../graph/graph.ts";
import type { Expansion, Site } from "./expansion.ts";

export const GatherND: Expansion = (b, node, site) => {
  const [data, indices] = node.inputs as [string, string];
  const joined = site.producerOf(indices);
  const sizes = site.sizesOf(data);
  if (node.attributes.batch_dims || joined?.op !== "Concat" || sizes?.length !== joined.inputs.length) return false;
  const rank = site.sizesOf(indices)?.length;
  if (rank === undefined || ![-1, rank - 1].includes(Number(joined.attributes.axis))) return false;
  const axes = joined.inputs.map((input, k) => countedAxis(site, input, sizes[k]));
  if (axes.includes(undefined) || axes.some((axis, k) => k > 0 && axis! <= axes[k - 1]!)) return false;
  const fresh = Array.from({ length: rank - 1 }, (_, axis) => axis).filter((axis) => !axes.includes(axis));
  const [output] = node.outputs as [string];
  if (fresh.length > 0) b.one("Unsqueeze", [data, b.ints("axes", fresh)], {}, { outputs: [output] });
  else b.one("Identity", [data], {}, { outputs: [output] });
  return true;
};

/** The axis along which indices [..., 1] count 0, 1, … to the end of an axis of this size; they are the same along all others. */
function countedAxis(site: Site, name: string, size: number | string | undefined): number | undefined {
  const node = site.producerOf(name);
  const rank = site.sizesOf(name)?.length;
  if (size === undefined || node?.domain !== "" || rank === undefined) return undefined;
  const [data] = node.inputs as [string];
  if (node.op === "Range") {
    const [first, , step] = node.inputs.map((input) => site.numberOf(input));
    return first === 0 && step === 1 && site.sizesOf(name)![0] === size ? 0 : undefined;
  }
  const before = countedAxis(site, data, size);
  if (before === undefined) return undefined;
  if (node.op === "Identity") return before;
  if (node.op === "Expand") return before + rank - site.sizesOf(data)!.length;
  if (node.op !== "Unsqueeze") return undefined;
  const fresh = freshAxes(site, node, rank);
  return fresh && Array.from({ length: rank }, (_, axis) => axis).filter((axis) => !fresh.includes(axis))[before];
}

function freshAxes(site: Site, { inputs }: Node, rank: number): number[] | undefined {
  return site.numbersOf(inputs[1] ?? "")?.map((axis) => (axis < 0 ? axis + rank : axis));
}
