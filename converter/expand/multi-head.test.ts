/** MultiHeadAttention of ONNX Runtime, written out: the operator itself, on the whole sequence, is the judge. */
import { expect, test } from "vitest";
import { CHANNELS, positions, sameAsOriginal, small } from "../../test/small.ts";
import { convertModel } from "../convert.ts";
import { type Builder, createBuilder, makeModel } from "../graph/build.ts";
import { DataType } from "../graph/tensor.ts";

interface Spelling {
  readonly attributes?: Readonly<Record<string, number | { readonly float: number }>>;
  /** Of queries, keys and values. */
  readonly bias?: boolean;
  /** Makes what is added to the score of each pair of positions. */
  readonly pairs?: (b: Builder) => string;
}

const model = ({ attributes, bias, pairs }: Spelling, time: number | string = "n") =>
  small({
    time,
    build(b) {
      const values = Float32Array.from({ length: 3 * CHANNELS }, (_, i) => Math.cos(i * i));
      const inputs = ["x", "x", "x", bias ? b.floats("bias", [values.length], values) : "", "", pairs?.(b) ?? ""];
      const options = { domain: "com.microsoft", outputs: ["y"] };
      b.add("MultiHeadAttention", inputs, { num_heads: 2, ...attributes }, options);
    },
  });

/** [1, 1, time, time]: a slope times the distance, and -1e30 for those that `hidden` says. */
const slopes = (hidden: (b: Builder, rows: string, keys: string) => string) => (b: Builder) => {
  const rows = positions(b);
  const keys = b.one("Transpose", [rows], { perm: [1, 0] });
  const distance = b.one("Mul", [b.one("Sub", [keys, rows]), b.floats("slope", [], [0.25])]);
  const low = b.floats("low", [], [-1e30]);
  return b.one("Unsqueeze", [b.one("Where", [hidden(b, rows, keys), low, distance]), b.ints("axes", [0, 1])]);
};
const later = (b: Builder, rows: string, keys: string) => b.one("Greater", [keys, rows]);

test.each<[string, Spelling]>([
  ["unidirectional", { attributes: { unidirectional: 1 } }],
  ["a scale and a bias", { attributes: { unidirectional: 1, scale: { float: 0.3 } }, bias: true }],
  ["a mask by rule, with slopes", { pairs: slopes(later), bias: true }],
])("%s", async (_, spelling) => {
  // a file for one token has no rows that grow
  await sameAsOriginal(model(spelling), {});
});

test.each<[string, Spelling]>([
  ["no mask", {}],
  [
    "one later position is seen",
    { pairs: slopes((b, rows, keys) => later(b, b.one("Add", [rows, b.floats("one", [], [1])]), keys)) },
  ],
])("refused: %s", async (_, spelling) => {
  await expect(convertModel(model(spelling))).rejects.toMatchObject({ code: "not-causal" });
});

const VOCABULARY = 11;

/** A language model with a mask of keys that drivers give: 1 for a token, 0 for padding. */
function padded(dims: readonly string[], attributes: Spelling["attributes"], added: readonly number[] = []) {
  const b = createBuilder(18, ["input_ids", "attention_mask", "logits"]);
  const drawn = (rows: number, columns: number) =>
    b.floats(
      "drawn",
      [rows, columns],
      Float32Array.from({ length: rows * columns }, (_, i) => Math.sin(i * i + rows)),
    );
  const x = b.one("Gather", [drawn(VOCABULARY, 8), "input_ids"]);
  const [q, k, v] = [8, 8, 8].map((width) => b.one("MatMul", [x, drawn(8, width)]));
  const mask = b.one("Cast", ["attention_mask"], { to: DataType.INT32 });
  const length = b.one("Shape", ["input_ids"], { start: 1, end: 2 });
  const pairs = b.one("Concat", [b.ints("one", [1, 1]), length, length], { axis: 0 });
  const bias = added.length > 0 ? b.one("Expand", [b.floats("bias", [1, 2, 1, 1], added), pairs]) : "";
  const options = { domain: "com.microsoft" };
  const attended = b.one("MultiHeadAttention", [q!, k!, v!, "", mask, bias], { num_heads: 2, ...attributes }, options);
  b.one("MatMul", [attended, drawn(8, VOCABULARY)], {}, { outputs: ["logits"] });
  return makeModel({
    inputs: [
      { name: "input_ids", type: DataType.INT64, dims: ["b", "n"] },
      { name: "attention_mask", type: DataType.INT64, dims },
    ],
    outputs: [{ name: "logits", type: DataType.FLOAT, dims: ["b", "n", VOCABULARY] }],
    ...{ nodes: b.nodes, initializers: b.initializers },
    opsets: new Map([
      ["", 18],
      ["com.microsoft", 1],
    ]),
  });
}

test.each<[string, Spelling]>([
  ["unidirectional", { attributes: { unidirectional: 1 } }],
  ["with another value for what is hidden", { attributes: { unidirectional: 1, mask_filter_value: { float: -3e4 } } }],
])("keys that are padding, %s: the operator's own answer, padding in front among it", async (_, { attributes }) => {
  const { check, layers, claim } = await convertModel(padded(["b", "n"], attributes));
  expect(claim).toEqual({ kind: "proven" });
  expect(layers.map(({ form }) => form)).toEqual(["cache", "cache"]);
  expect(check.comparisons.filter(({ batch }) => batch > 1).length).toBeGreaterThan(0);
  expect(check.largest).toBeLessThan(1e-5);
});

test("beside what is added to each head's scores", async () => {
  const model = padded(["b", "n"], { unidirectional: 1 }, [0.5, -0.25]);
  expect((await convertModel(model)).check.largest).toBeLessThan(1e-5);
});

test("lengths of keys are not followed", async () => {
  await expect(convertModel(padded(["b"], { unidirectional: 1 }))).rejects.toMatchObject({
    reason: expect.stringContaining("takes lengths of keys in 'key_padding_mask'"),
  });
});

test("at a fixed length, which its mask would have as well", async () => {
  await expect(convertModel(model({ attributes: { unidirectional: 1 } }, 8))).rejects.toMatchObject({
    code: "mixes-time",
    reason: expect.stringContaining("made for the 8 positions of the fixed-length export"),
  });
});
