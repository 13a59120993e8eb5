/** Shapes that are known beforehand are those that ONNX Runtime makes. */
import { InferenceSession, Tensor } from "onnxruntime-node";
import { expect, test } from "vitest";
import { encodeAttributes } from "../graph/attributes.ts";
import type { Attributes } from "../graph/graph.ts";
import { encodeMessage } from "../graph/schema.ts";
import { einsumShapes } from "./products.ts";
import { MANY_OUTPUTS, SHAPE_RULES } from "./shape-rules.ts";

type Input =
  | { readonly dims: readonly number[] }
  | { readonly ids: readonly number[] }
  | { readonly floats: readonly number[] };
const x = (...dims: number[]): Input => ({ dims });
const ids = (...numbers: number[]): Input => ({ ids: numbers });

type Made = Parameters<typeof encodeAttributes>[0];
type Case = readonly [op: string, inputs: readonly (Input | undefined)[], attributes?: Made, outputs?: number];

const CASES: readonly Case[] = [
  ["Einsum", [x(2, 3), x(3, 4)], { equation: "ij,jk->ik" }],
  ["Einsum", [x(2, 3), x(4, 5)], { equation: "ab,cd->abcd" }],
  ["Einsum", [x(2, 3), x(3, 4), x(4, 5)], { equation: "ij, jk, kl" }],
  ["Split", [x(2, 7), ids(3, 4)], { axis: 1 }, 2],
  ["Split", [x(2, 6)], { axis: -1, num_outputs: 3 }, 3],
  ["TopK", [x(2, 6), ids(4)], {}, 2],
  ["GatherND", [x(2, 3, 4), ids(0, 1)]],
  ["Flatten", [x(2, 3, 4)], { axis: 2 }],
  ["Flatten", [x(2, 3, 4)], { axis: -2 }],
  ["Resize", [x(1, 2, 3), undefined, undefined, ids(1, 2, 7)]],
  ["Resize", [x(1, 2, 3), undefined, { floats: [1, 1, 2.5] }]],
  ["ConvTranspose", [x(1, 4, 5), x(4, 3, 3)], { strides: [2], pads: [1, 0], output_padding: [1] }],
  ["Conv", [x(1, 4, 9), x(3, 4, 3)], { strides: [2], pads: [1, 0], dilations: [2] }],
  ["MaxPool", [x(1, 4, 9)], { kernel_shape: [3], strides: [2], pads: [1, 1] }],
  ["LSTM", [x(5, 2, 3), x(1, 16, 3), x(1, 16, 4)], { hidden_size: 4 }, 3],
  ["GRU", [x(5, 2, 3), x(1, 12, 3), x(1, 12, 4)], { hidden_size: 4 }, 2],
  ["STFT", [x(2, 16, 1), ids(4), undefined, ids(6)]],
  ["HannWindow", [ids(6)]],
  ["ArgMax", [x(2, 3, 4)], { axis: 1, keepdims: 0 }],
  ["MatMul", [x(2, 3, 4), x(4, 5)]],
  ["Split", [x(2, 7)], { axis: 1, num_outputs: 3 }, 3],
  ["Reshape", [x(2, 3, 4), ids(0, -1, 2)]],
  ["Slice", [x(2, 9, 4), ids(-7), ids(8), ids(1), ids(3)]],
  ["Slice", [x(2, 9, 4), ids(-1), ids(-100), ids(1), ids(-1)]],
  ["Conv", [x(1, 4, 9), x(3, 4, 3)], { strides: [2], auto_pad: "SAME_UPPER" }],
  ["Attention", [x(2, 5, 12), x(2, 7, 6), x(2, 7, 10)], { q_num_heads: 4, kv_num_heads: 2 }],
  ["Attention", [x(2, 4, 5, 3), x(2, 2, 7, 3), x(2, 2, 7, 5)]],
  ["com.microsoft::MultiHeadAttention", [x(2, 5, 8), x(2, 5, 8), x(2, 5, 12)], { num_heads: 4 }],
  ["GlobalAveragePool", [x(2, 3, 7)]],
  ["com.microsoft::FusedMatMul", [x(2, 4, 3), x(2, 4, 5)], { transA: 1 }],
  ["DFT", [x(2, 5, 3, 1)], { axis: 1, onesided: 1 }],
  ["DFT", [x(2, 5, 2)], { axis: 1, inverse: 1, onesided: 1 }],
  ["Shape", [x(2, 5, 4, 3)], { start: 1, end: -1 }],
  ["com.microsoft::Attention", [x(2, 5, 8), x(8, 24), x(24)], { num_heads: 4 }],
  ["com.microsoft::FusedConv", [x(1, 4, 9), x(3, 4, 3)], { activation: "Relu", pads: [2, 0] }],
];

const cases = CASES.map(([op, inputs, attributes = {}, outputs = 1]) => ({ op, inputs, attributes, outputs }));

test.each(cases)("$op $attributes", async ({ op, inputs, attributes, outputs }) => {
  const given = inputs.map((input) => {
    if (!input) return undefined;
    if ("dims" in input)
      return new Tensor("float32", new Float32Array(input.dims.reduce((a, b) => a * b, 1)), input.dims);
    if ("floats" in input) return new Tensor("float32", Float32Array.from(input.floats), [input.floats.length]);
    const scalar = SCALARS.some(([name, at]) => name === op && inputs[at] === input);
    return new Tensor("int64", BigInt64Array.from(input.ids, BigInt), scalar ? [] : [input.ids.length]);
  });
  const names = given.map((tensor, i) => (tensor ? `i${i}` : ""));
  const value = (name: string, elemType: number) => ({ name, type: { tensorType: { elemType } } });
  const made = Array.from({ length: outputs }, (_, k) => `o${k}`);
  const isIds = op === "ArgMax" || op === "Shape";
  const [type, domain = ""] = op.split("::").reverse() as [string, string?];
  const bytes = encodeMessage("ModelProto", {
    ...{
      irVersion: 10,
      opsetImport: [{ version: type === "Attention" && !domain ? 23 : 18 }, { domain: "com.microsoft", version: 1 }],
    },
    graph: {
      name: "g",
      node: [{ opType: type, domain, input: names, output: made, attribute: encodeAttributes(attributes) }],
      input: given.flatMap((tensor, i) => (tensor ? [value(names[i]!, tensor.type === "int64" ? 7 : 1)] : [])),
      output: made.map((name, k) => value(name, isIds || (op === "TopK" && k === 1) ? 7 : 1)),
    },
  });
  const session = await InferenceSession.create(bytes);
  const feeds = Object.fromEntries(given.flatMap((tensor, i) => (tensor ? [[names[i]!, tensor] as const] : [])));
  const results = await session.run(feeds);
  const known = given.map((tensor) => {
    const small = tensor && tensor.dims.length < 2;
    return (
      tensor && { dims: tensor.dims, values: small ? Array.from(tensor.data as BigInt64Array, Number) : undefined }
    );
  });
  expect(outputs > 1).toBe(MANY_OUTPUTS.has(op));
  for (const [k, name] of made.entries())
    expect(SHAPE_RULES[op]!(known, attributes as Attributes, k, outputs), name).toEqual(results[name]!.dims);
  await session.release();
});

/** Inputs that are a number, and no list of one. */
const SCALARS: readonly (readonly [op: string, at: number])[] = [
  ["STFT", 1],
  ["STFT", 3],
  ["HannWindow", 0],
];

test("a product of several is made pair by pair, over the letters that are asked for later", () => {
  const dims = (...sizes: number[]) => ({ dims: sizes, values: undefined });
  const shapes = einsumShapes([dims(2, 3), dims(5, 7), dims(2, 5)], "ab,cd,ac->b");
  expect(shapes).toEqual([[2, 3], [2, 3, 5], [3]]);
  expect(einsumShapes([dims(2, 3)], "a...->a")).toEqual([]);
});
