/** A cache of N positions where one would grow: right up to N, and claimed up to there; no cache where it could not be right. */
import { expect, test } from "vitest";
import { close, signal, small, steps } from "../../../test/small.ts";
import { convertModel } from "../../convert.ts";
import type { Builder } from "../../graph/build.ts";
import type { Model } from "../../graph/graph.ts";
import { toNumbers } from "../../graph/tensor.ts";
import { openModel } from "../../ort/run.ts";

/** softmax(x xᵀ, hidden where the mask says so) x */
const attention = (mask: (b: Builder, rows: string, keys: string) => string): Model =>
  small({
    build(b) {
      const length = b.one("Squeeze", [b.one("Shape", ["x"], { start: 1, end: 2 })]);
      const keys = b.one("Range", [b.ints("first", 0), length, b.ints("step", 1)]);
      const rows = b.one("Unsqueeze", [keys, b.ints("axis", [1])]);
      const scores = b.one("MatMul", ["x", b.one("Transpose", ["x"], { perm: [0, 2, 1] })]);
      const low = b.floats("low", [], [Number.NEGATIVE_INFINITY]);
      const weights = b.one("Softmax", [b.one("Where", [mask(b, rows, keys), scores, low])], { axis: -1 });
      b.one("MatMul", [weights, "x"], {}, { outputs: ["y"] });
    },
  });

const causal = (b: Builder, rows: string, keys: string) => b.one("GreaterOrEqual", [rows, keys]);
const window = (width: number) => (b: Builder, rows: string, keys: string) =>
  b.one("And", [causal(b, rows, keys), b.one("Less", [b.one("Sub", [rows, keys]), b.ints("width", width)])]);

/** What a model makes of a whole sequence. */
async function whole(model: Model, time: number): Promise<Float64Array> {
  const original = await openModel(model);
  const { y } = await original.run({ x: signal(time) });
  await original.close();
  return toNumbers(y!);
}
const joined = (rows: readonly Float64Array[]) => Float64Array.from(rows.flatMap((row) => [...row]));

test.each([1, 2, 3, 20, 100])("%i positions are held, and the model ends there", async (capacity) => {
  const model = attention(causal);
  const options = { cacheCapacity: capacity, stepFile: true };
  const { model: converted, step, claim, layers } = await convertModel(model, options);
  const because = `its cache holds ${capacity} positions, as was asked for`;
  expect(claim).toEqual({ kind: "ends", positions: capacity, node: expect.any(String), because });
  expect(layers.map(({ form, order }) => [form, order])).toEqual(Array(3).fill(["rows", Math.max(1, capacity - 1)]));
  const due = await whole(model, capacity);
  for (const each of [converted, step!]) close(joined(await steps(each, signal(capacity))), due);
});

test("beyond, it is what sees the last N alone", async () => {
  const { model } = await convertModel(attention(causal), { cacheCapacity: 20 });
  close(joined(await steps(model, signal(90))), await whole(attention(window(20)), 90));
});

test("a window never ends", async () => {
  const { claim, layers } = await convertModel(attention(window(6)), { cacheCapacity: 20 });
  expect(claim).toEqual({ kind: "proven" });
  expect(layers.map(({ order }) => order)).toEqual([5, 5, 5]);
});

test.each<[string, Parameters<typeof attention>[0]]>([
  [
    "the first positions hidden but from themselves",
    (b, rows, keys) => {
      const own = b.one("Equal", [rows, keys]);
      return b.one("Or", [own, b.one("And", [causal(b, rows, keys), b.one("Greater", [keys, b.ints("first", 2)])])]);
    },
  ],
  [
    "one pair hidden",
    (b, rows, keys) => {
      const at = (tensor: string, position: number) => b.one("Equal", [tensor, b.ints("at", position)]);
      const pair = b.one("And", [at(rows, 60), at(keys, 59)]);
      return b.one("And", [causal(b, rows, keys), b.one("Not", [pair])]);
    },
  ],
  [
    "blocks",
    (b, rows, keys) => {
      const block = (tensor: string) => b.one("Div", [tensor, b.ints("size", 8)]);
      return b.one("And", [causal(b, rows, keys), b.one("Equal", [block(rows), block(keys)])]);
    },
  ],
])("what depends on the positions themselves is refused: %s", async (_, mask) => {
  await expect(convertModel(attention(mask), { cacheCapacity: 20 })).rejects.toMatchObject({
    code: "usage",
    reason: expect.stringContaining("a cache of 20 positions is asked for"),
  });
});

test.each([0, 1.5, -3])("no capacity: %d", async (cacheCapacity) => {
  await expect(convertModel(attention(causal), { cacheCapacity })).rejects.toMatchObject({ code: "usage" });
});
