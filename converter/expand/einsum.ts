/**
 * Products of pairs of positions, as attention has them: "bhid,bhjd->bhij" is a MatMul of transposed tensors.
 * https://onnx.ai/onnx/operators/onnx__Einsum.html
 */
import type { Builder } from "../graph/build.ts";
import type { Expansion } from "./expansion.ts";

/** Letters of a product over one axis, with axes that both share in front. */
interface Product {
  readonly shared: readonly string[];
  readonly left: string;
  readonly right: string;
  readonly summed: string;
}

export const Einsum: Expansion = (b, node) => {
  const [terms, result] = String(node.attributes.equation ?? "")
    .replaceAll(" ", "")
    .split("->");
  const [first, second, ...more] = (terms ?? "").split(",").map((term) => [...term]);
  if (!first || !second || more.length > 0 || result === undefined) return false;
  const product = productOf(first, second, [...result]);
  if (!product) return false;
  const { shared, left, right, summed } = product;
  const a = turned(b, node.inputs[0]!, first, [...shared, left, summed]);
  const c = turned(b, node.inputs[1]!, second, [...shared, summed, right]);
  turned(b, b.one("MatMul", [a, c]), [...shared, left, right], [...result], node.outputs[0]!);
  return true;
};

/** Undefined where it is anything else: a weight, an ellipsis, a sum over several axes. */
function productOf(
  first: readonly string[],
  second: readonly string[],
  result: readonly string[],
): Product | undefined {
  const letters = [first, second, result];
  if (letters.some((own) => new Set(own).size !== own.length || own.some((letter) => !/[A-Za-z]/.test(letter))))
    return undefined;
  // the batch in front of all: else it is a matrix of positions times a stream
  if (first[0] !== second[0] || first[0] !== result[0]) return undefined;
  const both = first.filter((letter) => second.includes(letter));
  const shared = both.filter((letter) => result.includes(letter));
  const summed = both.filter((letter) => !result.includes(letter));
  const left = first.filter((letter) => !second.includes(letter));
  const right = second.filter((letter) => !first.includes(letter));
  const isWhole = result.length === shared.length + 2 && [...left, ...right].every((letter) => result.includes(letter));
  if (shared.length === 0 || summed.length !== 1 || left.length !== 1 || right.length !== 1 || !isWhole)
    return undefined;
  return { shared, left: left[0]!, right: right[0]!, summed: summed[0]! };
}

/** A tensor with its axes in another order. @param output its name, if it has one */
function turned(b: Builder, tensor: string, from: readonly string[], to: readonly string[], output?: string): string {
  const outputs = output === undefined ? {} : { outputs: [output] };
  const perm = to.map((letter) => from.indexOf(letter));
  if (perm.some((k, i) => k !== i)) return b.one("Transpose", [tensor], { perm }, outputs);
  return output === undefined ? tensor : b.one("Identity", [tensor], {}, outputs);
}
