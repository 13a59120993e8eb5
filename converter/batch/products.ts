/** Products of matrices whose data have a batch in front. */
import { again, type Row } from "./row.ts";

export const MatMul: Row = (site) => {
  const { node, isBatched, rankOf } = site;
  const [a, c] = node.inputs.map((name) => ({ rank: rankOf(name) ?? 0, batched: isBatched(name) }));
  if (a!.rank < 2 || c!.rank < 2) return false;
  if (a!.batched && c!.batched) return a!.rank === c!.rank && again(site, node.inputs);
  return a!.batched && c!.rank === 2 && again(site, node.inputs);
};

export const Gemm: Row = (site) => {
  const { node, b, isBatched } = site;
  const [a, w, bias] = node.inputs as [string, string, string | undefined];
  const { transA = 0, transB = 0, alpha = 1, beta = 1 } = node.attributes;
  if (!isBatched(a) || isBatched(w) || transA || alpha !== 1 || beta !== 1 || (bias && isBatched(bias))) return false;
  b.from(node);
  const turned = transB ? b.one("Transpose", [w], { perm: [1, 0] }) : w;
  if (!bias) b.add("MatMul", [a, turned], {}, { outputs: node.outputs });
  else b.add("Add", [b.one("MatMul", [a, turned]), bias], {}, { outputs: node.outputs });
  b.from(undefined);
  return true;
};

/** A letter of its own in front of every operand that has a batch, and of the result. */
export const Einsum: Row = (site) => {
  const { node, isBatched } = site;
  const equation = String(node.attributes.equation ?? "").replaceAll(" ", "");
  const [terms, result] = equation.split("->");
  const letter = [..."ZYXWVUTSRQPONMLKJIHGFEDCBAzyxwvutsrqponmlkjihgfedcba"].find((one) => !equation.includes(one));
  if (result === undefined || letter === undefined) return false;
  const moved = terms!.split(",").map((term, i) => (isBatched(node.inputs[i]!) ? letter + term : term));
  return again(site, node.inputs, { equation: `${moved.join()}->${letter}${result}` });
};
