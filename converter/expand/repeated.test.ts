/** Sums of log gates that are repeated to meet their own transpose: the exported graph in ORT is the judge; what looks ahead is refused. */
import { expect, test } from "vitest";
import { CHANNELS, sameAsOriginal, signal, small } from "../../test/small.ts";
import { convertModel } from "../convert.ts";
import type { Builder } from "../graph/build.ts";
import type { Model, ValueInfo } from "../graph/graph.ts";
import { prune } from "../graph/prune.ts";
import { DataType, toNumbers } from "../graph/tensor.ts";
import { valueInfoToProto } from "../graph/valueinfo.ts";
import { openModel } from "../ort/run.ts";
import { expanded } from "./index.ts";

const END = 2 ** 53 - 1;

/** How the gates are summed, and what is taken of the difference. */
interface Gates {
  /** Zeros joined to the sum: in front of it, behind it, or none. */
  readonly zeros?: "front" | "behind";
  readonly repeat?: "Tile" | "Expand";
  readonly isDeclared?: boolean;
  /** Later positions that are not hidden. */
  readonly later?: number;
  readonly reverse?: number;
  readonly cut?: readonly [rows: number, keys: number];
}

/** (Q Kᵀ ∘ exp(D)) V with D the sum of the log gates between two positions, as xLSTM's parallel form writes it. */
function gated({ zeros, repeat, isDeclared = true, later = 0, reverse = 0, cut }: Gates): Model {
  const declared: ValueInfo[] = [];
  const build = (b: Builder) => {
    const is = (name: string, dims: ValueInfo["dims"]) => {
      if (isDeclared) declared.push({ name, type: DataType.FLOAT, dims });
      return name;
    };
    const ints = (...values: number[]) => b.ints("list", values);
    const slice = (x: string, from: number, to: number, axis: number) =>
      b.one("Slice", [x, ints(from), ints(to), ints(axis)]);
    const swapped = (x: string) => b.one("Transpose", [x], { perm: [0, 2, 1] });
    const length = b.one("Shape", ["x"], { start: 1, end: 2 });
    const gates = b.one("Log", [b.one("Sigmoid", [slice("x", 0, 1, 2)])]);
    const own = is(b.one("CumSum", [gates, b.ints("time", 1)], { reverse }), ["b", "n", 1]);
    const batch = b.one("Shape", ["x"], { start: 0, end: 1 });
    const one = b.one("Concat", [batch, ints(1), ints(1)], { axis: 0 });
    const zero = b.one("Expand", [b.floats("zero", [], [0]), one]);
    const parts = zeros === "front" ? [zero, own] : [own, zero];
    const n = zeros ? "n + 1" : "n";
    const sum = zeros ? is(b.one("Concat", parts, { axis: 1 }), ["b", n, 1]) : own;
    const size = zeros ? b.one("Add", [length, ints(1)]) : length;
    const counts = b.one("Concat", [ints(1), ints(1), size], { axis: 0 });
    const rows = repeat ? is(b.one(repeat, [sum, counts]), ["b", n, n]) : sum;
    const keys = is(swapped(rows), repeat ? ["b", n, n] : ["b", 1, n]);
    let between = is(b.one("Sub", [rows, keys]), ["b", n, n]);
    if (cut) between = is(slice(between, cut[0], cut[0] ? END : -1, 1), ["b", "n", n]);
    if (cut) between = is(slice(between, cut[1], cut[1] ? END : -1, 2), ["b", "n", "n"]);
    const ones = b.one("Expand", [b.floats("ones", [1, 1], [1]), b.one("Concat", [length, length], { axis: 0 })]);
    const seen = b.one("Trilu", [ones, b.ints("later", later)], { upper: 0 });
    const hidden = b.floats("hidden", [], [Number.NEGATIVE_INFINITY]);
    const decay = b.one("Exp", [b.one("Where", [b.one("Cast", [seen], { to: DataType.BOOL }), between, hidden])]);
    const weights = b.one("Mul", [b.one("MatMul", ["x", swapped("x")]), decay]);
    b.one("MatMul", [weights, "x"], {}, { outputs: ["y"] });
  };
  const model = small({ build });
  model.proto.graph!.valueInfo = declared.map(valueInfoToProto);
  return model;
}

async function outputs(model: Model): Promise<Float64Array> {
  const runner = await openModel(model);
  const y = toNumbers((await runner.run({ x: signal(11) })).y!);
  await runner.close();
  return y;
}

/** Repetitions that the output is made of, but for those of constants. */
const repetitions = ({ graph }: Model): number =>
  prune(graph.nodes, ["y"]).filter(
    ({ op, inputs }) => ["Tile", "Expand"].includes(op) && !graph.initializers.has(inputs[0]!),
  ).length;

test.each<[string, Gates]>([
  ["repeated", { repeat: "Tile" }],
  ["made as large", { repeat: "Expand" }],
  ["behind a zero, which is cut off again", { zeros: "front", cut: [1, 1] }],
  ["repeated behind a zero, as xLSTM has it", { zeros: "front", repeat: "Tile", cut: [1, 1] }],
  ["without the gate of the query", { zeros: "front", repeat: "Tile", cut: [0, 1] }],
  ["with the gate of the key", { zeros: "front", repeat: "Expand", cut: [1, 0] }],
])("%s", async (_, gates) => {
  const model = gated(gates);
  const rewritten = expanded(model);
  expect(repetitions(rewritten)).toBe(0);
  expect(await outputs(rewritten)).toEqual(await outputs(model));
  expect((await convertModel(model)).claim.kind).toBe("proven");
  await sameAsOriginal(model, {});
});

test.each<[string, Gates]>([
  ["a later position is not hidden", { zeros: "front", repeat: "Tile", cut: [1, 1], later: 1 }],
  ["the zero is behind, so that each row has the next one's sum", { zeros: "behind", repeat: "Tile", cut: [1, 1] }],
  ["sums from the end", { repeat: "Tile", reverse: 1 }],
])("refused: %s", async (_, gates) => {
  const model = gated(gates);
  expect(await outputs(expanded(model))).toEqual(await outputs(model));
  await expect(convertModel(model)).rejects.toMatchObject({ name: "LongConvError" });
});

test("left as it is where nothing says that it is as often as the other is long", () => {
  const model = gated({ repeat: "Tile", isDeclared: false });
  expect(repetitions(expanded(model))).toBe(1);
});

test("left as it is where it is repeated for channels", async () => {
  const model = small({
    build(b) {
      const first = b.one(
        "Slice",
        ["x", b.ints("from", [0]), b.ints("to", [1]), b.ints("axis", [2])],
        {},
        { hint: "first" },
      );
      const all = b.one("Tile", [first, b.ints("times", [1, 1, CHANNELS])], {}, { hint: "all" });
      b.one("Sub", ["x", all], {}, { outputs: ["y"] });
    },
  });
  const declared: [string, number][] = model.graph.nodes
    .slice(0, 2)
    .map(({ outputs: [name] }, i) => [name!, i ? CHANNELS : 1]);
  model.proto.graph!.valueInfo = declared.map(([name, width]) =>
    valueInfoToProto({ name, type: DataType.FLOAT, dims: ["b", "n", width] }),
  );
  expect(repetitions(expanded(model))).toBe(1);
  expect(await outputs(expanded(model))).toEqual(await outputs(model));
});
