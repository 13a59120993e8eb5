/** Which axes of the inputs are batch and time. Expected values: the rules in the comment of `inputAxes`. */
import path from "node:path";
import { expect, test } from "vitest";
import { ROOT } from "../../scripts/root.ts";
import { openConverted } from "../../test/converted.ts";
import { close, conv, converted, signal, small } from "../../test/small.ts";
import { makeModel } from "../graph/build.ts";
import type { ValueInfo } from "../graph/graph.ts";
import { DataType, int64Tensor, toNumbers } from "../graph/tensor.ts";
import { inspect } from "../inspect.ts";
import { openModel } from "../ort/run.ts";
import { describeLayout } from "./facts/fact.ts";
import { inputAxes, whyTime } from "./inputs.ts";

const layouts = (inputs: Record<string, ValueInfo["dims"]>, timeAxis?: Record<string, number>) => {
  const infos = Object.entries(inputs).map(([name, dims]) => ({ name, type: DataType.FLOAT, dims }));
  const model = makeModel({ inputs: infos, outputs: [], nodes: [], initializers: [], opsets: 18 });
  return Object.fromEntries(
    [...inputAxes(model, { timeAxis }).layouts].map(([name, axes]) => [name, describeLayout(axes)]),
  );
};

test.each<[string, Record<string, ValueInfo["dims"]>, Record<string, string>]>([
  ["the sequence's own symbol without a batch", { x: ["b", "n", 4], i: ["n"] }, { x: "[batch, time, 4]", i: "[time]" }],
  ["another symbol on axis 0", { x: ["b", "n", 4], c: ["rows", 3] }, { x: "[batch, time, 4]", c: "[batch, 3]" }],
  ["conditioning first", { c: ["b", 3], x: ["b", "n", 4] }, { c: "[batch, 3]", x: "[batch, time, 4]" }],
  [
    "conditioning first, channels before time",
    { c: ["b", 3, 1], x: ["b", 4, "n"] },
    { c: "[batch, 3, 1]", x: "[batch, 4, time]" },
  ],
  ["an initial state first", { h: [1, "b", 6], x: ["b", "n", 4] }, { h: "[1, batch, 6]", x: "[batch, time, 4]" }],
  ["fixed sizes: the first", { x: [1, 9, 4], c: [1, 3] }, { x: "[batch, time, 4]", c: "[batch, 3]" }],
  ["one symbol for both", { x: ["s", "s", 4], c: ["s", 3] }, { x: "[batch, time, 4]", c: "[batch, 3]" }],
  ["no names", { x: [undefined, undefined, 4], c: [undefined, 3] }, { x: "[batch, time, 4]", c: "[batch, 3]" }],
])("%s", (_, inputs, expected) => expect(layouts(inputs)).toEqual(expected));

test.each<[string, ValueInfo["dims"], string | undefined]>([
  ["called after time", ["batch", "seq_len", 4], undefined],
  ["called after time, channels first", [1, 4, "frames"], undefined],
  ["open, without names", [undefined, undefined, 4], "axis 1 of 'x' is time: it is the only open one behind the batch"],
  [
    "open, with names that say nothing",
    ["s0", 4, "s1"],
    "axis 2 of 'x' is time: it is the only open one behind the batch",
  ],
  ["alone open", [1, "s1", 4], "axis 1 of 'x' is time: no other is open"],
  [
    "before an axis called after the batch",
    ["s0", "batch", 4],
    "axis 0 of 'x' is time: axis 1 is called after the batch",
  ],
  ["fixed", [1, 9, 4], "axis 1 of 'x' is taken for time, as is usual, and all of it runs along it"],
])("why an axis is time: %s", (_, dims, why) => {
  const inputs = [{ name: "x", type: DataType.FLOAT, dims }];
  const model = makeModel({ inputs, outputs: [], nodes: [], initializers: [], opsets: 18 });
  expect(whyTime(inputAxes(model), true)).toBe(why);
});

test("inspect says why an axis is time where no name does, and not where it is told", async () => {
  const file = path.join(ROOT, "test", "models", "stream", "no-symbols", "model.onnx");
  expect((await inspect(file)).timeBecause).toContain("the only open one");
  expect((await inspect(file, { timeAxis: { signal: 1 } })).timeBecause).toBeUndefined();
});

test.each<[Record<string, number>, string]>([
  [{ nope: 1 }, "not an input"],
  [{ x: 3 }, "has no axis 3"],
  [{ x: -1 }, "has no axis -1"],
  [{ x: 1, nope: 1 }, "not an input"],
])("a time axis that the model does not have: %j", (timeAxis, reason) => {
  expect(() => layouts({ x: ["b", "n", 4] }, timeAxis)).toThrow(reason);
  expect(() => layouts({ x: ["b", "n", 4] }, timeAxis)).toThrow("[usage]");
});

test("ids that all sequences share run beside the stream", async () => {
  const model = small({
    inputs: [{ name: "ids", type: DataType.INT64, dims: ["n"] }],
    build(b) {
      const rows = b.one("Gather", [
        b.floats(
          "table",
          [3, 4],
          Float32Array.from({ length: 12 }, (_, i) => i),
        ),
        "ids",
      ]);
      b.one("Mul", [conv(b, "x"), rows], {}, { outputs: ["y"] });
    },
  });
  const x = signal(20);
  const ids = int64Tensor(
    [20],
    Array.from({ length: 20 }, (_, i) => i % 3),
  );
  const original = await openModel(model);
  const wanted = toNumbers((await original.run({ x, ids })).y!);
  await original.close();
  const session = await openConverted(await converted(model), { ids: 0 });
  const { y } = await session.run({ x, ids }, [1, 7, 20]);
  await session.close();
  close(toNumbers(y!), wanted);
});
