/** MultiHeadAttention of ONNX Runtime, written out: the operator itself, on the whole sequence, is the judge. */
import { expect, test } from "vitest";
import { CHANNELS, positions, sameAsOriginal, small } from "../../test/small.ts";
import { convertModel } from "../convert.ts";
import type { Builder } from "../graph/build.ts";

interface Spelling {
  readonly attributes?: Readonly<Record<string, number | { readonly float: number }>>;
  /** Of queries, keys and values. */
  readonly bias?: boolean;
  /** Makes what is added to the score of each pair of positions. */
  readonly pairs?: (b: Builder) => string;
}

const model = ({ attributes, bias, pairs }: Spelling) =>
  small({
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
