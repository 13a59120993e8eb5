/** Recurrent layers of language models: padding leaves their state alone; backwards along time they are refused. */
import { describe, expect, test } from "vitest";
import { ATTENTION_MASK } from "../../../src/contract.ts";
import { ofIds } from "../../../test/small.ts";
import { convertModel } from "../../convert.ts";
import { type Builder, createBuilder, makeModel } from "../../graph/build.ts";
import type { Model } from "../../graph/graph.ts";
import { DataType } from "../../graph/tensor.ts";

const [VOCABULARY, WIDTH, HIDDEN] = [11, 4, 3];
const GATES = { RNN: 1, GRU: 3, LSTM: 4 } as const;
type Operator = keyof typeof GATES;

const wave = (size: number, by: number) => Array.from({ length: size }, (_, i) => Math.sin(by * (i + 1)));

/** ids → embedding → layer → logits */
const language = (op: Operator, attributes = {}, start?: number, peepholes = false) =>
  ofIds(DataType.INT64, VOCABULARY, (b) => {
    const embedded = b.one("Gather", [b.floats("table", [VOCABULARY, WIDTH], wave(VOCABULARY * WIDTH, 1.3)), "ids"]);
    const turned = b.one("Transpose", [embedded], { perm: [1, 0, 2] });
    const gates = GATES[op] * HIDDEN;
    const weights = [
      b.floats("w", [1, gates, WIDTH], wave(gates * WIDTH, 0.7)),
      b.floats("r", [1, gates, HIDDEN], wave(gates * HIDDEN, 0.9)),
      b.floats("b", [1, 2 * gates], wave(2 * gates, 0.4)),
    ];
    const initial = () => {
      const batch = b.one("Shape", ["ids"], { start: 0, end: 1 });
      const size = b.one("Concat", [b.ints("one", [1]), batch, b.ints("hidden", [HIDDEN])], { axis: 0 });
      return b.one("Expand", [b.floats("start", [1], [start!]), size]);
    };
    const inputs = [turned, ...weights, ...(start === undefined ? [] : ["", initial()])];
    while (peepholes && inputs.length < 7) inputs.push("");
    if (peepholes) inputs.push(b.floats("p", [1, 3 * HIDDEN], wave(3 * HIDDEN, 1.1)));
    const y = b.one(op, inputs, { hidden_size: HIDDEN, ...attributes });
    const back = b.one("Transpose", [b.one("Squeeze", [y, b.ints("ways", [1])])], { perm: [1, 0, 2] });
    b.one(
      "MatMul",
      [back, b.floats("head", [HIDDEN, VOCABULARY], wave(HIDDEN * VOCABULARY, 0.6))],
      {},
      { outputs: ["y"] },
    );
  });

/** x [batch, time, width] → GRU with this start → y */
function layered(start: (b: Builder) => string, [batch, time]: readonly (string | number)[] = ["b", "n"]): Model {
  const b = createBuilder(18, ["x", "y"]);
  const weights = [
    b.floats("w", [1, 3 * HIDDEN, WIDTH], wave(3 * HIDDEN * WIDTH, 0.7)),
    b.floats("r", [1, 3 * HIDDEN, HIDDEN], wave(3 * HIDDEN * HIDDEN, 0.9)),
  ];
  const turned = b.one("Transpose", ["x"], { perm: [1, 0, 2] });
  const y = b.one("GRU", [turned, ...weights, "", "", start(b)], { hidden_size: HIDDEN });
  b.one("Transpose", [b.one("Squeeze", [y, b.ints("ways", [1])])], { perm: [1, 0, 2] }, { outputs: ["y"] });
  const info = (name: string, width: number) => ({ name, type: DataType.FLOAT, dims: [batch!, time!, width] });
  const ends = { inputs: [info("x", WIDTH)], outputs: [info("y", HIDDEN)] };
  return makeModel({ ...ends, nodes: b.nodes, initializers: b.initializers, opsets: 18 });
}

test.each<Operator>(["RNN", "GRU", "LSTM"])("%s: exact, also behind padding", async (op) => {
  const { model, layers, check, claim } = await convertModel(language(op));
  expect(layers.map(({ form, order, channels }) => [form, order, channels])).toEqual([
    ["recurrent", op === "LSTM" ? 2 : 1, HIDDEN],
  ]);
  expect(model.graph.inputs.map(({ name }) => name)).toContain(ATTENTION_MASK);
  expect(check.comparisons.map(({ way }) => way)).toContain("padded");
  expect(check.largest).toBeLessThan(1e-6);
  expect(claim.kind).toBe("proven");
});

test("LSTM with peepholes: exact, also behind padding", async () => {
  const { layers, check, claim } = await convertModel(language("LSTM", {}, undefined, true));
  expect(layers.map(({ form }) => form)).toEqual(["recurrent"]);
  expect(check.largest).toBeLessThan(1e-6);
  expect(claim.kind).toBe("proven");
});

test("a start that is not zero counts where a sequence begins", async () => {
  const { layers, check } = await convertModel(language("GRU", {}, 0.5));
  expect(layers.map(({ form }) => form)).toEqual(["recurrent", "counter"]);
  expect(check.comparisons.map(({ way }) => way)).toContain("padded");
  expect(check.largest).toBeLessThan(1e-6);
});

test("a batch of fixed size begins as any does where its rows are the same, else it is refused", async () => {
  const fixed = (rows: readonly number[]) =>
    layered(
      (b) =>
        b.floats(
          "start",
          [1, 2, HIDDEN],
          rows.flatMap((row) => Array<number>(HIDDEN).fill(row)),
        ),
      [2, 6],
    );
  const { claim, check } = await convertModel(fixed([0.5, 0.5]));
  expect(claim.kind).toBe("proven");
  expect(check.largest).toBeLessThan(1e-6);
  await expect(convertModel(fixed([0.5, 0.25]))).rejects.toMatchObject({ code: "mixes-batch" });
});

describe("a start that is made of sizes is refused", () => {
  const rows = (b: Builder, value: string) => {
    const size = b.one("Concat", [b.ints("one", [1]), sizeOf(b, 0), b.ints("hidden", [HIDDEN])], { axis: 0 });
    return b.one("Expand", [value, size]);
  };
  const sizeOf = (b: Builder, axis: number) => b.one("Shape", ["x"], { start: axis, end: axis + 1 });
  const asFloat = (b: Builder, name: string) => b.one("Cast", [name], { to: DataType.FLOAT });
  test.each<[string, (b: Builder) => string]>([
    ["of the length", (b) => rows(b, b.one("Reciprocal", [asFloat(b, sizeOf(b, 1))]))],
    // zeros at every length that is looked at
    ["of a length far out", (b) => rows(b, asFloat(b, b.one("Greater", [sizeOf(b, 1), b.ints("far", [50_000])])))],
    ["of the batch size", (b) => rows(b, b.one("Reciprocal", [asFloat(b, sizeOf(b, 0))]))],
    [
      "of the row",
      (b) => {
        const table = b.floats("table", [64, HIDDEN], wave(64 * HIDDEN, 0.8));
        const cut = [b.ints("from", [0]), sizeOf(b, 0), b.ints("axis", [0])];
        return b.one("Unsqueeze", [b.one("Slice", [table, ...cut]), b.ints("axis", [0])]);
      },
    ],
  ])("%s", async (_, start) => {
    await expect(convertModel(layered(start))).rejects.toMatchObject({
      code: "depends-on-length",
      reason: expect.stringContaining("made of the length or of the batch size"),
    });
  });
});

test("an export of fixed sizes, time first, is compared in batches of other sizes too", async () => {
  const b = createBuilder(18, ["x", "y"]);
  const weights = [
    b.floats("wx", [1, 3 * HIDDEN, WIDTH], wave(3 * HIDDEN * WIDTH, 0.7)),
    b.floats("wh", [1, 3 * HIDDEN, HIDDEN], wave(3 * HIDDEN * HIDDEN, 0.9)),
  ];
  const size = [b.ints("one", [1]), b.one("Shape", ["x"], { start: 1, end: 2 }), b.ints("hidden", [HIDDEN])];
  const start = b.one("Expand", [b.floats("start", [1, 1, 1], [0]), b.one("Concat", size, { axis: 0 })]);
  const y = b.one("GRU", ["x", ...weights, "", "", start], { hidden_size: HIDDEN });
  b.one("Squeeze", [y, b.ints("ways", [1])], {}, { outputs: ["y"] });
  const info = (name: string, width: number) => ({ name, type: DataType.FLOAT, dims: [9, 1, width] });
  const ends = { inputs: [info("x", WIDTH)], outputs: [info("y", HIDDEN)] };
  const model = makeModel({ ...ends, nodes: b.nodes, initializers: b.initializers, opsets: 18 });
  const { claim, check } = await convertModel(model, { timeAxis: { x: 0 } });
  expect(claim.kind).toBe("proven");
  expect(check.comparisons.some(({ batch }) => batch === 2)).toBe(true);
});

test("a layer along channels in both directions, whose states are zeros for the export's one length", async () => {
  const [length, bands] = [9, 5];
  const b = createBuilder(18, ["x", "y"]);
  const weights = [
    b.floats("wx", [2, 3 * HIDDEN, 1], wave(6 * HIDDEN, 0.7)),
    b.floats("wh", [2, 3 * HIDDEN, HIDDEN], wave(6 * HIDDEN * HIDDEN, 0.9)),
  ];
  const rows = b.one("Reshape", ["x", b.ints("rows", [length, bands, 1])]);
  const turned = b.one("Transpose", [rows], { perm: [1, 0, 2] });
  const start = b.one("Expand", [b.floats("zero", [1, 1, 1], [0]), b.ints("states", [2, length, HIDDEN])]);
  const both = b.one("GRU", [turned, ...weights, "", "", start], { hidden_size: HIDDEN, direction: "bidirectional" });
  const back = b.one("Transpose", [both], { perm: [2, 0, 1, 3] });
  const joined = b.one("Reshape", [back, b.ints("joined", [1, length, bands * 2 * HIDDEN])]);
  b.one("CumSum", [joined, b.ints("time", 1)], {}, { outputs: ["y"] });
  const info = (name: string, width: number) => ({ name, type: DataType.FLOAT, dims: [1, length, width] });
  const ends = { inputs: [info("x", bands)], outputs: [info("y", bands * 2 * HIDDEN)] };
  const { check } = await convertModel(
    makeModel({ ...ends, nodes: b.nodes, initializers: b.initializers, opsets: 18 }),
  );
  expect(check.largest).toBeLessThan(1e-5);
});

test("backwards is refused", async () => {
  await expect(convertModel(language("LSTM", { direction: "reverse" }))).rejects.toMatchObject({
    code: "not-causal",
    reason: expect.stringContaining("backwards along time"),
  });
});

describe("sequence_lens that are made of the length", () => {
  /** x → GRU with these lengths → y */
  const until = (lengths: (b: Builder, n: string, batch: string) => string, sizes?: readonly number[]) => {
    const b = createBuilder(18, ["x", "y"]);
    const size = (axis: number) => b.one("Shape", ["x"], { start: axis, end: axis + 1 });
    const weights = [
      b.floats("w", [1, 3 * HIDDEN, WIDTH], wave(3 * HIDDEN * WIDTH, 0.7)),
      b.floats("r", [1, 3 * HIDDEN, HIDDEN], wave(3 * HIDDEN * HIDDEN, 0.9)),
    ];
    const whole = b.one("Cast", [size(1)], { to: DataType.INT32 });
    const turned = b.one("Transpose", ["x"], { perm: [1, 0, 2] });
    const y = b.one("GRU", [turned, ...weights, "", lengths(b, whole, size(0))], { hidden_size: HIDDEN });
    b.one("Transpose", [b.one("Squeeze", [y, b.ints("ways", [1])])], { perm: [1, 0, 2] }, { outputs: ["y"] });
    const [batch, time] = sizes ?? ["b", "n"];
    const info = (name: string, width: number) => ({ name, type: DataType.FLOAT, dims: [batch!, time!, width] });
    const ends = { inputs: [info("x", WIDTH)], outputs: [info("y", HIDDEN)] };
    return makeModel({ ...ends, nodes: b.nodes, initializers: b.initializers, opsets: 18 });
  };
  const int32 = (b: Builder, values: readonly number[]) =>
    b.constant("lengths", { type: DataType.INT32, dims: [values.length], data: Int32Array.from(values) });

  test.each<[string, Model]>([
    ["expanded", until((b, n, batch) => b.one("Expand", [n, batch]))],
    ["tiled", until((b, n, batch) => b.one("Tile", [n, batch]))],
    ["the number of an export of one length", until((b) => int32(b, [6, 6]), [2, 6])],
  ])("%s: all positions are read", async (_, model) => {
    const { layers, claim, check } = await convertModel(model);
    expect(layers.map(({ form }) => form)).toEqual(["recurrent"]);
    expect(claim.kind).toBe("proven");
    expect(check.largest).toBeLessThan(1e-6);
  });

  test.each<[string, Model]>([
    ["one position less", until((b, n, batch) => b.one("Expand", [b.one("Sub", [n, int32(b, [1])]), batch]))],
    ["at most so many", until((b, n, batch) => b.one("Expand", [b.one("Min", [n, int32(b, [9000])]), batch]))],
    ["other rows end before", until((b) => int32(b, [6, 5]), [2, 6])],
  ])("%s: refused", async (_, model) => {
    await expect(convertModel(model)).rejects.toMatchObject({ code: "unsupported-layout", where: { operator: "GRU" } });
  });
});
