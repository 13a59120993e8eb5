/** Finite reach: what each operator does to the positions, what stands before the first, and what is refused; the check compares. */
import { describe, expect, test } from "vitest";
import type { ErrorCode } from "../../../src/errors.ts";
import { CHANNELS, close, signal, small, steps } from "../../../test/small.ts";
import { convertModel } from "../../convert.ts";
import type { Builder } from "../../graph/build.ts";
import type { Model } from "../../graph/graph.ts";
import { float16FromFloat32 } from "../../graph/halves.ts";
import { DataType, float32Tensor, makeTensor, toNumbers } from "../../graph/tensor.ts";
import { openModel } from "../../ort/run.ts";

/** Nodes on a stream [batch, channels, time]; gives one of as many channels. */
type Layers = (b: Builder, x: string) => string;

const model = (layers: Layers) =>
  small({
    build(b) {
      const turned = b.one("Transpose", ["x"], { perm: [0, 2, 1] });
      b.one("Transpose", [layers(b, turned)], { perm: [0, 2, 1] }, { outputs: ["y"] });
    },
  });

const filter = (b: Builder, taps: number, inputs = CHANNELS) =>
  b.floats(
    "filter",
    [CHANNELS, inputs, taps],
    Array.from({ length: CHANNELS * inputs * taps }, (_, i) => Math.cos(1 + i)),
  );
const conv = (b: Builder, x: string, taps: number, attributes = {}) =>
  b.one("Conv", [x, filter(b, taps), b.floats("bias", [CHANNELS], [0.5, -1, 2, 0.25])], attributes);
const relu = (b: Builder, x: string) => b.one("Relu", [x]);
const pad = (b: Builder, x: string, before: number, after: number, mode = {}) =>
  b.one("Pad", [x, b.ints("pads", [0, 0, before, 0, 0, after])], mode);
const slice = (b: Builder, x: string, from: number, to: number) =>
  b.one("Slice", [x, b.ints("from", [from]), b.ints("to", [to]), b.ints("axis", [2])]);
const END = 2 ** 53 - 1;

/** Rows that are ten times what the check draws: what stands before them must not be what it seemed to be on small ones. */
async function sameOnLarge(original: Model, made: Model): Promise<void> {
  const x = signal(12);
  const large = float32Tensor(
    x.dims,
    (x.data as Float32Array).map((value) => 12 + 10 * value),
  );
  const runner = await openModel(original);
  const wanted = toNumbers((await runner.run({ x: large })).y!);
  await runner.close();
  close(Float64Array.from((await steps(made, large)).flatMap((row) => [...row])), wanted);
}

describe("carried, with so many rows", () => {
  test.each<[string, readonly number[], Layers]>([
    ["padded by the Conv itself", [2], (b, x) => relu(b, conv(b, x, 3, { pads: [2, 0] }))],
    ["dilated", [6], (b, x) => relu(b, conv(b, x, 3, { pads: [6, 0], dilations: [3] }))],
    ["padded on both sides and cut", [4], (b, x) => relu(b, slice(b, conv(b, x, 5, { pads: [4, 4] }), 0, -4))],
    ["padded once, then valid", [2, 3], (b, x) => conv(b, relu(b, conv(b, pad(b, x, 5, 0), 3)), 4)],
    [
      "a skip that is cut to the end",
      [2],
      (b, x) => {
        const padded = pad(b, x, 2, 0);
        return b.one("Add", [relu(b, conv(b, padded, 3)), slice(b, padded, 2, END)]);
      },
    ],
    ["the first position repeated", [2], (b, x) => relu(b, conv(b, pad(b, x, 2, 0, { mode: "edge" }), 3))],
    [
      "transposed, and cut at the end",
      [2],
      (b, x) => relu(b, slice(b, b.one("ConvTranspose", [x, filter(b, 3)]), 0, -2)),
    ],
    [
      "transposed, dilated, its padding behind",
      [4],
      (b, x) => relu(b, b.one("ConvTranspose", [x, filter(b, 3)], { dilations: [2], pads: [0, 4] })),
    ],
    [
      "the first position repeated, and cut off where inputs are rare",
      [2],
      (b, x) => conv(b, relu(b, b.one("Sub", [pad(b, x, 2, 0, { mode: "edge" }), b.floats("far", [], [9])])), 3),
    ],
    ["padded again where positions were left out", [2], (b, x) => pad(b, relu(b, conv(b, x, 3)), 2, 0)],
    ["the largest of four", [3], (b, x) => b.one("MaxPool", [x], { kernel_shape: [4], pads: [3, 0] })],
    [
      "the mean of four, padding counted",
      [3],
      (b, x) => b.one("AveragePool", [relu(b, x)], { kernel_shape: [4], pads: [3, 0], count_include_pad: 1 }),
    ],
    [
      "the mean of four, padding left out",
      [3],
      (b, x) => b.one("AveragePool", [relu(b, x)], { kernel_shape: [4], pads: [3, 0], ceil_mode: 1 }),
    ],
    [
      "the same of both sides, and cut at the end",
      [3],
      (b, x) => slice(b, b.one("AveragePool", [relu(b, x)], { kernel_shape: [4], pads: [3, 3] }), 0, -3),
    ],
    [
      "padding left out, behind two positions of zeros that count",
      [3, 1],
      (b, x) => slice(b, b.one("AveragePool", [pad(b, relu(b, x), 2, 0)], { kernel_shape: [4], pads: [2, 0] }), 0, -1),
    ],
    [
      "padding of another axis left out as well",
      [3],
      (b, x) => {
        const planes = b.one("Unsqueeze", [relu(b, x), b.ints("axes", [1])]);
        const means = b.one("AveragePool", [planes], { kernel_shape: [3, 4], pads: [1, 3, 1, 0] });
        return b.one("Squeeze", [means, b.ints("axes", [1])]);
      },
    ],
    ["one position before, behind what is not linear", [1], (b, x) => slice(b, pad(b, relu(b, x), 1, 0), 0, -1)],
    [
      "positions of two times that meet",
      [1],
      (b, x) => {
        const padded = relu(b, pad(b, x, 1, 0));
        return b.one("Mul", [slice(b, padded, 1, END), slice(b, padded, 0, -1)]);
      },
    ],
  ])("%s", async (_, rows, layers) => {
    const { layers: reports, claim, check, model: made } = await convertModel(model(layers));
    await sameOnLarge(model(layers), made);
    const carried = reports.filter(({ form }) => form === "rows" || form === "window");
    expect(carried.map(({ order }) => order)).toEqual(rows);
    expect(claim.kind).toBe("proven");
    expect(check.largest).toBeLessThan(1e-6);
  });
});

test("means of dilated windows leave padding out", async () => {
  const attributes = { kernel_shape: [3], pads: [2, 0], dilations: [2] };
  const original = {
    ...model((b, x) => b.one("AveragePool", [pad(b, relu(b, x), 2, 0)], attributes)),
    opsets: new Map([["", 19]]),
  };
  const { claim, model: made } = await convertModel(original);
  await sameOnLarge(original, made);
  expect(claim.kind).toBe("proven");
});

test("rows in half precision: each is rounded where it is carried, which ONNX Runtime leaves out of the original", async () => {
  const half = (b: Builder, dims: number[], values: readonly number[]) =>
    b.constant("half", makeTensor(DataType.FLOAT16, dims, float16FromFloat32(Float32Array.from(values))));
  const taps = Array.from({ length: CHANNELS * CHANNELS * 3 }, (_, i) => Math.cos(1 + i));
  const layer = (b: Builder, x: string) =>
    relu(b, b.one("Conv", [x, half(b, [CHANNELS, CHANNELS, 3], taps)], { pads: [2, 0] }));
  const { check } = await convertModel(
    model((b, x) => {
      const layers = Array.from({ length: 4 }).reduce<string>(
        (tensor) => layer(b, tensor),
        b.one("Cast", [x], { to: DataType.FLOAT16 }),
      );
      return b.one("Cast", [layers], { to: DataType.FLOAT });
    }),
  );
  expect(check.largest).toBeGreaterThan(1e-4);
  // two roundings to half precision, beside the tolerance of the check
  expect(check.largest).toBeLessThan(2 ** -9 + 1e-4);
});

test("rows that another input without time is added to are refused, and those that it scales are zeros", async () => {
  const gain = { name: "gain", type: DataType.FLOAT, dims: ["b", CHANNELS, 1] };
  const given = (op: string, bias = 0) => {
    const build = (b: Builder) => {
      const before = pad(b, b.one("Transpose", ["x"], { perm: [0, 2, 1] }), 2, 0);
      const padded = bias ? b.one("Add", [before, b.floats("bias", [], [bias])]) : before;
      // nothing of it is left on inputs that are usual
      const rare = relu(b, b.one("Sub", ["gain", b.floats("far", [], [9])]));
      const y = conv(b, b.one(op, [padded, rare]), 3);
      b.one("Transpose", [y], { perm: [0, 2, 1] }, { outputs: ["y"] });
    };
    return small({ inputs: [gain], build });
  };
  await expect(convertModel(given("Add"))).rejects.toMatchObject({
    reason: expect.stringMatching(/depend on the data/),
  });
  await expect(convertModel(given("Mul", 1))).rejects.toMatchObject({
    reason: expect.stringMatching(/depend on the data/),
  });
  const { claim } = await convertModel(given("Mul"));
  expect(claim.kind).toBe("proven");
});

describe("refused", () => {
  test.each<[string, ErrorCode, RegExp, Layers]>([
    ["symmetric", "not-causal", /looks 1 positions ahead/, (b, x) => relu(b, conv(b, x, 3, { pads: [1, 1] }))],
    [
      "transposed, and cut in the middle",
      "not-causal",
      /looks 1 positions ahead/,
      (b, x) => relu(b, b.one("ConvTranspose", [x, filter(b, 3)], { pads: [1, 1] })),
    ],
    ["SAME_UPPER", "not-causal", /looks 1 positions ahead/, (b, x) => conv(b, x, 3, { auto_pad: "SAME_UPPER" })],
    [
      "a shift to the left",
      "not-causal",
      /looks 2 positions ahead/,
      (b, x) => slice(b, pad(b, relu(b, x), 0, 2), 2, END),
    ],
    ["reflected", "not-causal", /later ones/, (b, x) => conv(b, pad(b, relu(b, x), 2, 0, { mode: "reflect" }), 3)],
    [
      "a mean of later positions that leaves padding out",
      "not-causal",
      /looks 1 positions ahead/,
      (b, x) => b.one("AveragePool", [relu(b, x)], { kernel_shape: [4], pads: [2, 1] }),
    ],
    [
      "padded with a number of the length",
      "mixes-time",
      /number that is not constant/,
      (b, x) => {
        const length = b.one("Shape", [x], { start: 2, end: 3 });
        const far = b.one("Cast", [b.one("Greater", [length, b.ints("far", [50_000])])], { to: 1 });
        const value = b.one("Squeeze", [far]);
        return conv(b, b.one("Pad", [relu(b, x), b.ints("pads", [0, 0, 2, 0, 0, 0]), value]), 3);
      },
    ],
  ])("%s", async (_, code, reason, layers) => {
    await expect(convertModel(model(layers))).rejects.toMatchObject({ code, reason: expect.stringMatching(reason) });
  });
});
