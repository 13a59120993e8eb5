/** What is named when a graph is refused: the first cause, in its own words. */
import { expect, test } from "vitest";
import type { ErrorCode } from "../../src/errors.ts";
import { CHANNELS, small } from "../../test/small.ts";
import { convertModel } from "../convert.ts";
import { type Builder, createBuilder, makeModel } from "../graph/build.ts";
import { DataType } from "../graph/tensor.ts";

const turned = (b: Builder, x: string, outputs?: readonly string[]) =>
  b.one("Transpose", [x], { perm: [0, 2, 1] }, outputs ? { outputs } : {});
const numbers = (b: Builder, size: number) =>
  b.floats(
    "numbers",
    [size],
    Array.from({ length: size }, (_, i) => 1 + i),
  );

test.each<[string, ErrorCode, RegExp, (b: Builder) => void]>([
  [
    "GroupNorm of one group, as PyTorch exports it",
    "not-causal",
    /normalises over the time axis: what it gives at a position depends on later ones too/,
    (b) => {
      const flat = b.one("Reshape", [turned(b, "x"), b.ints("groups", [0, 1, -1])]);
      const normal = b.one("InstanceNormalization", [flat, numbers(b, 1), b.floats("zero", [1], [0])]);
      const back = b.one("Reshape", [normal, b.one("Shape", [turned(b, "x")])]);
      turned(b, b.one("Relu", [back]), ["y"]);
    },
  ],
  [
    "InstanceNorm",
    "not-causal",
    /normalises over the time axis: .* later ones too/,
    (b) =>
      void turned(b, b.one("InstanceNormalization", [turned(b, "x"), numbers(b, CHANNELS), numbers(b, CHANNELS)]), [
        "y",
      ]),
  ],
  [
    "Softmax over time",
    "not-causal",
    /normalises over the time axis: .* later ones too/,
    (b) => void b.one("Mul", ["x", b.one("Softmax", ["x"], { axis: 1 })], {}, { outputs: ["y"] }),
  ],
  [
    "padding that is not cut off again",
    "mixes-time",
    /gives the output 'y' 3 positions more than the sequence has/,
    (b) => {
      const taps = (size: number) =>
        b.floats("taps", [CHANNELS, CHANNELS, size], new Array(CHANNELS ** 2 * size).fill(0.1));
      const first = b.one("Relu", [b.one("Conv", [turned(b, "x"), taps(3)], { pads: [2, 0] })]);
      turned(b, b.one("Conv", [first, taps(4)], { pads: [3, 3] }), ["y"]);
    },
  ],
])("%s", async (_, code, reason, build) => {
  await expect(convertModel(small({ outputDims: ["b", "m", CHANNELS], build }))).rejects.toMatchObject({
    code,
    reason: expect.stringMatching(reason),
  });
});

test("of an export of one size, the axis that is not summed over", async () => {
  const [channels, length] = [6, 16];
  const b = createBuilder(18, ["x", "y"]);
  const taps = b.floats("taps", [4, channels, 3], new Array(4 * channels * 3).fill(0.1));
  b.one("Relu", [b.one("Conv", ["x", taps], { strides: [2], pads: [2, 0] })], {}, { outputs: ["y"] });
  const ends = {
    inputs: [{ name: "x", type: DataType.FLOAT, dims: [1, channels, length] }],
    outputs: [{ name: "y", type: DataType.FLOAT, dims: [1, 4, length / 2] }],
  };
  const model = makeModel({ ...ends, nodes: b.nodes, initializers: b.initializers, opsets: 18 });
  await expect(convertModel(model)).rejects.toMatchObject({
    code: "mixes-time",
    reason: expect.stringMatching(/runs at another rate: a stride of 2 along the time axis/),
  });
});
