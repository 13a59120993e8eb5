/** Rotary positions in a fused operator, written out: the operator itself, on the whole sequence, is the judge. No inner shape is declared. */
import { expect, test } from "vitest";
import { CHANNELS, conversion, drawn, sameAsOriginal, small } from "../../test/small.ts";
import { convertModel } from "../convert.ts";
import type { Builder } from "../graph/build.ts";
import { DataType } from "../graph/tensor.ts";

const [HEADS, WIDTH, ROWS] = [2, 8, 4096];

interface Spelling {
  readonly attributes?: Readonly<Record<string, number>>;
  /** [batch, time, heads · width] instead of [batch, heads, time, width]. */
  readonly flat?: boolean;
  /** Channels of a head that are turned. */
  readonly turned?: number;
  /** How positions are given: as ids, as the first alone, or as rows of the tables that were taken already. */
  readonly by?: "ids" | "first" | "rows";
  readonly first?: number;
  readonly domain?: string;
}

/** [batch, time] */
function ids(b: Builder): string {
  const [batch, length] = [0, 1].map((axis) => b.one("Shape", ["x"], { start: axis, end: axis + 1 }));
  const range = b.one("Range", [b.ints("zero", 0), b.one("Squeeze", [length!]), b.ints("one", 1)]);
  const shape = b.one("Concat", [batch!, length!], { axis: 0 });
  return b.one("Expand", [b.one("Unsqueeze", [range, b.ints("axis", [0])]), shape]);
}

const model = ({ attributes = {}, flat = false, turned = WIDTH, by = "ids", first = 0, domain }: Spelling) =>
  small({
    opset: 23,
    build(b) {
      const half = turned / 2;
      const angles = (turn: (x: number) => number) =>
        Float32Array.from({ length: ROWS * half }, (_, i) => turn(Math.floor(i / half) / 30 ** ((i % half) / half)));
      const tables = [Math.cos, Math.sin].map((turn) => b.floats(turn.name, [ROWS, half], angles(turn)));
      const heads = (tensor: string) =>
        b.one("Transpose", [b.one("Reshape", [tensor, b.ints("heads", [0, 0, HEADS, WIDTH])])], { perm: [0, 2, 1, 3] });
      const rotated = (name: string) => {
        const made = b.one("MatMul", ["x", drawn(b, name, [CHANNELS, HEADS * WIDTH])]);
        const x = flat ? made : heads(made);
        const given = flat ? { num_heads: HEADS, ...attributes } : attributes;
        const at = by === "first" ? b.ints("first", [first]) : ids(b);
        if (domain) return b.one("RotaryEmbedding", [x, at, ...tables], given, { domain });
        const rows = tables.map((table) => (by === "rows" ? b.one("Gather", [table, at]) : table));
        return b.one("RotaryEmbedding", [x, ...rows, by === "rows" ? "" : at], given);
      };
      const [q, k] = ["q", "k"].map((name) => (flat ? heads(rotated(name)) : rotated(name)));
      const scores = b.one("MatMul", [q!, b.one("Transpose", [k!], { perm: [0, 1, 3, 2] })]);
      const length = b.one("Squeeze", [b.one("Shape", ["x"], { start: 1, end: 2 })]);
      const keys = b.one("Range", [b.ints("zero", 0), length, b.ints("one", 1)]);
      const seen = b.one("GreaterOrEqual", [b.one("Unsqueeze", [keys, b.ints("axis", [1])]), keys]);
      const low = b.floats("low", [], [Number.NEGATIVE_INFINITY]);
      const weights = b.one("Softmax", [b.one("Where", [seen, scores, low])], { axis: -1 });
      const values = heads(b.one("MatMul", ["x", drawn(b, "v", [CHANNELS, HEADS * WIDTH])]));
      const back = b.one("Transpose", [b.one("MatMul", [weights, values])], { perm: [0, 2, 1, 3] });
      const joined = b.one("Reshape", [back, b.ints("joined", [0, 0, HEADS * WIDTH])]);
      b.one("MatMul", [joined, drawn(b, "out", [HEADS * WIDTH, CHANNELS])], {}, { outputs: ["y"] });
    },
  });

const OF_ORT = "com.microsoft";
const PART = { rotary_embedding_dim: 4 };

test.each<[string, Spelling]>([
  ["[batch, heads, time, width]", {}],
  ["rows of the tables", { by: "rows" }],
  ["interleaved", { attributes: { interleaved: 1 } }],
  ["a part of the channels", { attributes: PART, turned: 4 }],
  ["[batch, time, heads * width]", { flat: true }],
  ["[batch, time, heads * width], by rows of the tables", { flat: true, by: "rows" }],
  [
    "[batch, time, heads * width], a part, interleaved",
    { flat: true, turned: 4, attributes: { ...PART, interleaved: 1 } },
  ],
  ["of ONNX Runtime", { domain: OF_ORT }],
  ["of ONNX Runtime, [batch, time, heads * width]", { domain: OF_ORT, flat: true }],
  ["of ONNX Runtime, without its number of heads", { domain: OF_ORT, flat: true, attributes: { num_heads: 0 } }],
  ["of ONNX Runtime, interleaved", { domain: OF_ORT, attributes: { interleaved: 1 } }],
  ["of ONNX Runtime, a part", { domain: OF_ORT, flat: true, turned: 4, attributes: PART }],
  ["of ONNX Runtime, from the first position on", { domain: OF_ORT, by: "first" }],
  ["of ONNX Runtime, from the fifth position on, flat", { domain: OF_ORT, by: "first", first: 4, flat: true }],
])("%s", async (_, spelling) => {
  // a file for one token has no rows that grow
  await sameAsOriginal(model(spelling), {});
  const { layers } = await conversion(model(spelling));
  expect(new Set(layers.map(({ form }) => form))).toEqual(new Set(["cache", "counter"]));
});

test.each<[string, boolean, RegExp]>([
  ["a first position that is data", false, /begins at a position that is data, 'from'/],
  ["sequences that are packed", true, /packed behind one another/],
])("refused: %s", async (_, packed, reason) => {
  const from = { name: "from", type: DataType.INT64, dims: [1] };
  const graph = small({
    inputs: packed ? [] : [from],
    build(b) {
      const x = b.one("MatMul", ["x", drawn(b, "q", [CHANNELS, HEADS * WIDTH])]);
      const tables = ["c", "s"].map((name) => drawn(b, name, [64, WIDTH / 2]));
      const inputs = [x, packed ? ids(b) : "from", ...tables];
      const attributes = { num_heads: HEADS, is_packed_batching: Number(packed) };
      const turned = b.one("RotaryEmbedding", inputs, attributes, { domain: OF_ORT });
      b.one("MatMul", [turned, drawn(b, "out", [HEADS * WIDTH, CHANNELS])], {}, { outputs: ["y"] });
    },
  });
  await expect(convertModel(graph)).rejects.toMatchObject({ reason: expect.stringMatching(reason) });
});
