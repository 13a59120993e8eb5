/** Exports with a mask of their own and no positions: padded rows are compared with what each gives alone, and with nothing else. */
import { expect, test } from "vitest";
import { convertModel } from "../convert.ts";
import { type Builder, createBuilder, makeModel } from "../graph/build.ts";
import { DataType } from "../graph/tensor.ts";

const WIDTH = 4;
const table = (b: Builder, rows: number) =>
  b.floats(
    "table",
    [rows, WIDTH],
    Float32Array.from({ length: rows * WIDTH }, (_, i) => Math.sin(i * i)),
  );

/** Learned positions and one attention that hides what the mask hides. @param leak added to the keys that are hidden */
function model(low: number, places = true) {
  const b = createBuilder(18, ["input_ids", "attention_mask", "logits"]);
  const length = b.one("Squeeze", [b.one("Shape", ["input_ids"], { start: 1, end: 2 })]);
  const keys = b.one("Range", [b.ints("first", 0), length, b.ints("step", 1)]);
  const ids = b.one("Gather", [table(b, 16), "input_ids"]);
  const x = places ? b.one("Add", [ids, b.one("Gather", [table(b, 64), keys])]) : ids;
  const axis = (k: number) => b.ints("axis", [k]);
  const causal = b.one("GreaterOrEqual", [b.one("Unsqueeze", [keys, axis(1)]), keys]);
  const shown = b.one("Unsqueeze", [b.one("Cast", ["attention_mask"], { to: DataType.BOOL }), axis(1)]);
  const scores = b.one("MatMul", [x, b.one("Transpose", [x], { perm: [0, 2, 1] })]);
  const ahead = b.one("Where", [causal, scores, b.floats("lowest", [], [-3e38])]);
  const weights = b.one("Softmax", [b.one("Where", [shown, ahead, b.one("Add", [ahead, b.floats("low", [], [low])])])]);
  const y = b.one("MatMul", [weights, x]);
  b.one("MatMul", [y, b.one("Transpose", [table(b, 16)], { perm: [1, 0] })], {}, { outputs: ["logits"] });
  return makeModel({
    inputs: ["input_ids", "attention_mask"].map((name) => ({ name, type: DataType.INT64, dims: ["b", "n"] })),
    outputs: [{ name: "logits", type: DataType.FLOAT, dims: ["b", "n", 16] }],
    nodes: b.nodes,
    initializers: b.initializers,
    opsets: 18,
  });
}

test("learned positions: rows with padding in front give what each gives alone", async () => {
  const { check, renamed, model: converted } = await convertModel(model(-1e9));
  expect(check.note).toContain("what it gives each alone");
  expect(check.largest).toBeLessThan(1e-5);
  expect(converted.graph.inputs.map(({ name }) => name)).toContain("attention_mask");
  expect(renamed.size).toBe(0);
});

test("without positions, padded rows are compared as they are", async () => {
  expect((await convertModel(model(-1e9, false))).check.note).toBe(undefined);
});

test("padding that is seen a little is neither", async () => {
  await expect(convertModel(model(-2))).rejects.toMatchObject({ code: "check-failed" });
});
