/** Attributes, decoded and encoded. */
import { expect, test } from "vitest";
import { decodeAttributes, encodeAttributes } from "./attributes.ts";
import { decodeMessage, encodeMessage } from "./schema.ts";
import { float32Tensor } from "./tensor.ts";

test("every kind survives", () => {
  const tensor = float32Tensor([2], [1, 2]);
  const inputs = {
    axis: -1,
    epsilon: { float: 0.5 },
    one: { float: 1 },
    mode: "constant",
    perm: [0, 2, 1],
    none: [],
    scales: { floats: [1, 2.5] },
    names: { strings: ["a", "é"] },
    value: { tensor },
    body: { graph: { name: "g" } },
    absent: undefined,
  };
  const written = encodeMessage("NodeProto", { attribute: encodeAttributes(inputs) });
  const { attribute } = decodeMessage("NodeProto", written);
  const decoded = decodeAttributes(attribute);
  expect(decoded).toMatchObject({ axis: -1, epsilon: 0.5, one: 1, mode: "constant", perm: [0, 2, 1], none: [] });
  expect(decoded).toMatchObject({ scales: [1, 2.5], names: ["a", "é"], body: { name: "g" } });
  expect(decoded.value).toMatchObject({ type: 1, dims: [2], data: Float32Array.of(1, 2) });
  expect("absent" in decoded).toBe(false);
  // onnx.AttributeProto.AttributeType: INT 2, FLOAT 1, STRING 3, INTS 7, FLOATS 6, STRINGS 8, TENSOR 4, GRAPH 5.
  expect(attribute?.map((each) => each.type)).toEqual([2, 1, 1, 3, 7, 7, 6, 8, 4, 5]);
});

test("a float is never written as INT by mistake", () => {
  expect(() => encodeAttributes({ alpha: 0.5 })).toThrow("attribute 'alpha' must be an integer, got 0.5");
  expect(() => encodeAttributes({ axes: [1, Number.NaN] })).toThrow("invalid-graph");
});

test("the sentinels of Slice are numbers beyond every length", () => {
  const least = encodeMessage("AttributeProto", { name: "end", type: 2, i: -(2 ** 63) });
  expect(decodeAttributes([decodeMessage("AttributeProto", least)]).end).toBe(-(2 ** 63));
});

test("references to a function's attribute have no value of their own", () => {
  expect(decodeAttributes([{ name: "axis", refAttrName: "axis", type: 2 }])).toEqual({});
});
