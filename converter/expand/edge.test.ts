/** A first entry that is joined in front is padding with the edge: the exported graph in ORT is the judge; what is something else stays. */
import { describe, expect, test } from "vitest";
import { CHANNELS, close, conversion, signal, small, steps } from "../../test/small.ts";
import type { Builder } from "../graph/build.ts";
import type { Model } from "../graph/graph.ts";
import { DataType, toNumbers } from "../graph/tensor.ts";
import { valueInfoToProto } from "../graph/valueinfo.ts";
import { openModel } from "../ort/run.ts";
import { expanded } from "./index.ts";

const END = 2 ** 53 - 1;
const slice = (b: Builder, x: string, from: number, to: number, axis = 1) =>
  b.one("Slice", [x, b.ints("from", [from]), b.ints("to", [to]), b.ints("axis", [axis])]);
const join = (b: Builder, parts: readonly string[], axis = 1) => b.one("Concat", parts, { axis });
/** x - what comes before, behind what is not linear. */
const minus = (b: Builder, before: string) => b.one("Tanh", [b.one("Sub", ["x", before])], {}, { outputs: ["y"] });

async function outputs(model: Model): Promise<Float64Array> {
  const runner = await openModel(model);
  const y = toNumbers((await runner.run({ x: signal(13) })).y!);
  await runner.close();
  return y;
}
const pads = ({ graph }: Model) => graph.nodes.filter(({ op }) => op === "Pad").length;

describe("padding with the edge", () => {
  test.each<[string, (b: Builder) => void]>([
    ["before the others", (b) => void minus(b, join(b, [slice(b, "x", 0, 1), slice(b, "x", 0, -1)]))],
    ["counted from the end", (b) => void minus(b, join(b, [slice(b, "x", 0, 1, -2), slice(b, "x", 0, -1, -2)], -2))],
    [
      "picked, not cut",
      (b) => {
        const first = b.one("Gather", ["x", b.ints("first", 0)], { axis: 1 });
        minus(b, join(b, [b.one("Unsqueeze", [first, b.ints("axis", [1])]), slice(b, "x", 0, -1)]));
      },
    ],
    [
      "differences, the first of which is 0",
      (b) => {
        const all = join(b, [slice(b, "x", 0, 1), "x"]);
        b.one("Tanh", [b.one("Sub", [slice(b, all, 1, END), slice(b, all, 0, -1)])], {}, { outputs: ["y"] });
      },
    ],
  ])("%s", async (_, build) => {
    const model = small({ build });
    const rewritten = expanded(model);
    expect(pads(rewritten)).toBe(1);
    const wanted = await outputs(model);
    expect(await outputs(rewritten)).toEqual(wanted);
    const { model: made, claim } = await conversion(model);
    expect(claim.kind).toBe("proven");
    close(Float64Array.from((await steps(made, signal(13))).flatMap((row) => [...row])), wanted);
  });
});

test.each<[string, (b: Builder) => void]>([
  ["the second entry", (b) => void minus(b, join(b, [slice(b, "x", 1, 2), slice(b, "x", 0, -1)]))],
  ["the last entry", (b) => void minus(b, join(b, [slice(b, "x", -1, END), slice(b, "x", 0, -1)]))],
  ["two entries", (b) => void minus(b, join(b, [slice(b, "x", 0, 2), slice(b, "x", 0, -2)]))],
  ["what is left is cut in front", (b) => void minus(b, join(b, [slice(b, "x", 0, 1), slice(b, "x", 1, END)]))],
  ["of something else", (b) => void minus(b, join(b, [slice(b, b.one("Neg", ["x"]), 0, 1), slice(b, "x", 0, -1)]))],
  ["along channels", (b) => void minus(b, join(b, [slice(b, "x", 0, 1, 2), slice(b, "x", 0, CHANNELS - 1, 2)], 2))],
])("left as it is: %s", async (_, build) => {
  const model = small({ build });
  const rewritten = expanded(model);
  expect(pads(rewritten)).toBe(0);
  expect(await outputs(rewritten)).toEqual(await outputs(model));
});

/** The differences of x and what was three before, the entry at `first` in front, as `repeat` is exported: an Expand, then Tile. */
function repeated(first: number, size: number, times: number): Model {
  const count = size * times;
  const names: string[] = [];
  const build = (b: Builder) => {
    const ints = (...values: number[]) => b.ints("list", values);
    const entry = slice(b, "x", first, first + 1);
    const large = b.one("Expand", [entry, ints(1, size, 1)]);
    const all = b.one("Tile", [large, ints(1, times, 1)]);
    names.push(entry, large, all);
    minus(b, slice(b, join(b, [all, "x"]), 0, -count));
  };
  const model = small({ build });
  const sizes = [1, size, count];
  model.proto.graph!.valueInfo = names.map((name, k) =>
    valueInfoToProto({ name, type: DataType.FLOAT, dims: ["b", sizes[k]!, CHANNELS] }),
  );
  return model;
}

test("repeated, behind an Expand that leaves it as it is", async () => {
  const model = repeated(0, 1, 3);
  expect(pads(expanded(model))).toBe(1);
  const wanted = await outputs(model);
  expect(await outputs(expanded(model))).toEqual(wanted);
  const { model: made, claim } = await conversion(model);
  expect(claim.kind).toBe("proven");
  close(Float64Array.from((await steps(made, signal(13))).flatMap((row) => [...row])), wanted);
});

test.each([
  ["another entry", 1, 1, 3],
  ["an Expand that makes it larger", 0, 2, 2],
] as const)("repeated, left as it is: %s", async (_, first, size, times) => {
  const model = repeated(first, size, times);
  expect(pads(expanded(model))).toBe(0);
  expect(await outputs(expanded(model))).toEqual(await outputs(model));
});
