/** Graphs that declare any length and take only some: a sentence, found by trying. */
import { afterEach, beforeEach, expect, test } from "vitest";
import { type Scratch, scratch } from "../../test/command.ts";
import { CHANNELS, conv, small } from "../../test/small.ts";
import { convert } from "../convert.ts";
import { encodeModel } from "../file/encode.ts";
import { writeModel } from "../file/write.ts";
import type { Builder } from "../graph/build.ts";
import { inspect } from "../inspect.ts";

let dir: Scratch;
beforeEach(() => {
  dir = scratch();
});
afterEach(() => dir.remove());

const table = (b: Builder, rows: number) =>
  b.floats(
    "table",
    [rows, CHANNELS],
    Float32Array.from({ length: rows * CHANNELS }, (_, i) => Math.sin(i)),
  );

const GRAPHS: readonly (readonly [reason: RegExp, build: (b: Builder) => void])[] = [
  [
    /^runs at multiples of 16 positions only/,
    (b) => {
      // a piece of its own for each 16: positions are still positions
      const pieces = b.one("Reshape", [conv(b, "x"), b.ints("pieces", [0, -1, 16, CHANNELS])]);
      const within = b.one("Softmax", [
        b.one("MatMul", [pieces, b.one("Transpose", [pieces], { perm: [0, 1, 3, 2] })]),
      ]);
      b.one("Reshape", [b.one("MatMul", [within, pieces]), b.ints("whole", [0, -1, CHANNELS])], {}, { outputs: ["y"] });
    },
  ],
  [
    /^runs at another rate: one position for each 4 of its input's, so that the graph runs at multiples of 4 positions only/,
    (b) => {
      const pieces = b.one("Reshape", [conv(b, "x"), b.ints("pieces", [0, -1, 4 * CHANNELS])]);
      b.one("Reshape", [b.one("Tanh", [pieces]), b.ints("whole", [0, -1, CHANNELS])], {}, { outputs: ["y"] });
    },
  ],
  [
    /^runs at 90 positions only/,
    (b) => b.one("Reshape", [conv(b, "x"), b.ints("shape", [-1, 90, CHANNELS])], {}, { outputs: ["y"] }),
  ],
  [/^runs at 1 and at 200 positions only/, (b) => b.one("Add", [conv(b, "x"), table(b, 200)], {}, { outputs: ["y"] })],
];

test.each(GRAPHS)("%s", async (reason, build) => {
  const file = dir.at("model.onnx");
  await writeModel(small({ build: (b) => void build(b) }), file);
  const code = reason.source.startsWith("^runs at another rate") ? "mixes-time" : "depends-on-length";
  const error = { code, reason: expect.stringMatching(reason), where: expect.objectContaining({ file }) };
  await expect(convert(file, { exact: true, horizon: 64 })).rejects.toMatchObject(error);
  await expect(inspect(file)).rejects.toMatchObject(error);
});

test.each([
  ["pairs of 2,048 positions would take a gigabyte", 2048, "runtime-failed"],
  ["those of 90 are tried", 90, "depends-on-length"],
])("%s", async (_, positions, code) => {
  const build = (b: Builder) => {
    const rows = b.one("Unsqueeze", ["x", b.ints("row", [2])]);
    const columns = b.one("Unsqueeze", ["x", b.ints("column", [1])]);
    const pairs = b.one("Tile", [b.one("Mul", [rows, columns]), b.ints("times", [1, 1, 1, 16])]);
    const one = b.one("ReduceMean", [b.one("ReduceMean", [pairs], { axes: [2], keepdims: 0 })], { axes: [2] });
    const only = b.one("Reshape", [conv(b, "x"), b.ints("shape", [-1, positions, CHANNELS])]);
    b.one("Add", [only, one], {}, { outputs: ["y"] });
  };
  await expect(inspect(encodeModel(small({ build, opset: 17 })))).rejects.toMatchObject({ code });
});
