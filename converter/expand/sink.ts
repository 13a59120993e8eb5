/**
 * An attention sink: scores with one more column, a softmax over all of them, and the column left out again, as GPT-OSS has it. It is a
 * softmax whose sum has one more term.
 *
 *     exp(a - m) / (Σ exp(a - m) + exp(z - m)),   m the largest of a and z
 */
import type { Expansion, Site } from "./expansion.ts";

export const Slice: Expansion = (b, node, site) => {
  const [data, starts, ends, axes, steps] = node.inputs;
  const softmax = site.producerOf(data!);
  if (softmax?.op !== "Softmax" || (steps && site.numberOf(steps) !== 1)) return false;
  const joined = columnsOf(site, softmax.inputs[0]!);
  if (joined?.inputs.length !== 2) return false;
  const rank = site.dimsOf(joined.inputs[1]!)?.length;
  const isLast = (axis: number | undefined) => axis === -1 || (rank !== undefined && axis === rank - 1);
  const along = axes ? site.numberOf(axes) : undefined;
  const own = [softmax.attributes.axis ?? -1, joined.attributes.axis].map(Number);
  if (!isLast(along) || !own.every(isLast)) return false;
  if (site.numberOf(starts!) !== 0 || site.numberOf(ends!) !== -1) return false;
  const [scores, sink] = joined.inputs as [string, string];
  if (!isColumn(site, sink)) return false;
  const last = b.ints("last", [-1]);
  const most = (x: string) =>
    b.opset < 18
      ? b.one("ReduceMax", [x], { axes: [-1], keepdims: 1 })
      : b.one("ReduceMax", [x, last], { keepdims: 1 });
  const largest = b.one("Max", [most(scores), sink], {}, { hint: "largest" });
  const power = (x: string) => b.one("Exp", [b.one("Sub", [x, largest])], {}, { hint: "power" });
  const weights = power(scores);
  const sum = b.one("Add", [b.one("ReduceSum", [weights, last], { keepdims: 1 }), power(sink)], {}, { hint: "sum" });
  b.one("Div", [weights, sum], {}, { outputs: [node.outputs[0]!] });
  return true;
};

/** Whether the last axis has one entry. */
function isColumn(site: Site, tensor: string): boolean {
  const dims = site.dimsOf(tensor);
  if (dims) return dims.at(-1) === 1;
  const node = site.producerOf(tensor);
  if (node?.op !== "Expand") return false;
  const [data, shape] = node.inputs as [string, string];
  const sizes = site.producerOf(shape);
  const last = sizes?.op === "Concat" ? sizes.inputs.at(-1)! : shape;
  return isColumn(site, data) && site.numbersOf(last)?.at(-1) === 1;
}

/** The scores and the column; the largest of them may be taken out first, which changes nothing. */
function columnsOf(site: Site, tensor: string) {
  const node = site.producerOf(tensor);
  if (node?.op === "Concat") return node;
  const [x, largest] = node?.op === "Sub" ? node.inputs : [];
  const reduced = site.producerOf(largest ?? "");
  if (reduced?.op !== "ReduceMax" || reduced.inputs[0] !== x) return undefined;
  const joined = site.producerOf(x!);
  return joined?.op === "Concat" ? joined : undefined;
}
