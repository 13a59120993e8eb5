/** Weights in fewer bits. Expected values: each format's definition, written out here; products in float64. */
import { describe, expect, test } from "vitest";
import { uniform } from "../../src/random.ts";
import { shareTied } from "../assemble/tied.ts";
import { type Builder, createBuilder, makeModel } from "../graph/build.ts";
import type { Model } from "../graph/graph.ts";
import { float32FromFloat16 } from "../graph/halves.ts";
import { DataType, int64Tensor } from "../graph/tensor.ts";
import { openModel } from "../ort/run.ts";
import { toBlocks } from "./blocks.ts";
import { reduceWeights, WEIGHT_KINDS, type WeightKind } from "./weights.ts";

const random = (count: number, seed: number): Float32Array => {
  const next = uniform(seed);
  return Float32Array.from({ length: count }, () => 2 * next() - 1);
};

const transposed = (values: Float32Array, rows: number, columns: number): Float32Array =>
  values.map((_, i) => values[(i % rows) * columns + Math.floor(i / rows)]!);

/** s (q - z), by the operators' definition: https://github.com/microsoft/onnxruntime/blob/main/docs/ContribOperators.md */
function dequantized(codes: Uint8Array, scales: Float32Array, bits: number, rows: number, inner: number): Float32Array {
  const blocks = Math.ceil(inner / 32);
  return Float32Array.from({ length: rows * inner }, (_, i) => {
    const [row, k] = [Math.floor(i / inner), i % inner];
    const at = row * blocks * 32 + k;
    const code = bits === 8 ? codes[at]! : (codes[at >> 1]! >> (4 * (at & 1))) & 15;
    return scales[row * blocks + (k >> 5)]! * (code - 2 ** (bits - 1));
  });
}

describe.each([4, 8] as const)("blocks of %i bits", (bits) => {
  test.each([
    [5, 64, false],
    [7, 40, false],
    [7, 40, true],
  ])("%i rows of %i, transposed %s: within half a step, or within one where clipped", (rows, inner, turned) => {
    const values = random(rows * inner, 3);
    values.fill(0, 0, 32);
    const stored = turned ? transposed(values, rows, inner) : values;
    const { codes, scales, blocksPerRow } = toBlocks(stored, rows, inner, bits, turned);
    const back = dequantized(codes, scales, bits, rows, inner);
    let clipped = 0;
    for (let i = 0; i < values.length; i++) {
      const step = Math.abs(scales[Math.floor(i / inner) * blocksPerRow + ((i % inner) >> 5)]!);
      const error = Math.abs(back[i]! - values[i]!);
      const atTheEnd = step > 0 && Math.abs(Math.round(back[i]! / step)) === 2 ** (bits - 1) - 1;
      if (error > 0.5001 * step) clipped++;
      expect(error).toBeLessThanOrEqual((atTheEnd ? 1.0001 : 0.5001) * step);
    }
    // the range is used to its ends: clipping is rare, not the rule
    expect(clipped / values.length).toBeLessThan(0.06);
    expect(Math.max(...back.subarray(0, 32).map(Math.abs))).toBe(0);
  });
});

const [VOCABULARY, WIDTH, HIDDEN] = [40, 64, 48];
const TABLE = random(VOCABULARY * WIDTH, 1);
const UP = random(WIDTH * HIDDEN, 2);
const DOWN = random(WIDTH * HIDDEN, 4);
const BIAS = random(WIDTH, 5);
/** Stands for a constant of a recurrence: of weights' size, and not the source's. */
const STATE = random(WIDTH * WIDTH, 6);

/** ids → table → MatMul → Gemm (transposed, with a bias) → a product of the state path → head, the table's transpose. */
function network(): Model {
  const b = createBuilder(18, ["ids", "logits"]);
  const table = b.floats("table", [VOCABULARY, WIDTH], TABLE);
  const x = b.one("Gather", [table, "ids"]);
  const up = b.one("MatMul", [x, b.floats("up", [WIDTH, HIDDEN], UP)]);
  const weight = b.floats("down", [WIDTH, HIDDEN], transposed(DOWN, HIDDEN, WIDTH));
  const down = b.one("Gemm", [up, weight, b.floats("bias", [WIDTH], BIAS)], { transB: 1, beta: { float: 2 } });
  const state = b.one("MatMul", [down, b.floats("state", [WIDTH, WIDTH], STATE)]);
  head(b, state);
  return makeModel({
    inputs: [{ name: "ids", type: DataType.INT64, dims: ["n"] }],
    outputs: [{ name: "logits", type: DataType.FLOAT, dims: ["n", VOCABULARY] }],
    nodes: b.nodes,
    initializers: b.initializers,
    opsets: 18,
  });
}

const head = (b: Builder, x: string) =>
  b.add("MatMul", [x, b.floats("head", [WIDTH, VOCABULARY], transposed(TABLE, VOCABULARY, WIDTH))], undefined, {
    outputs: ["logits"],
  });

const SOURCE = new Set(["table", "up", "down", "bias", "head"]);
const IDS = [3, 39, 0];

/** The network's function in float64, with its weights as given. */
function logits(table: Float32Array, up: Float32Array, down: Float32Array): number[] {
  const product = (x: number[], w: Float32Array, columns: number) =>
    Array.from({ length: columns }, (_, j) => x.reduce((sum, value, i) => sum + value * w[i * columns + j]!, 0));
  return IDS.flatMap((id) => {
    const x = [...table.subarray(id * WIDTH, (id + 1) * WIDTH)];
    const y = product(product(x, up, HIDDEN), down, WIDTH).map((value, i) => value + 2 * BIAS[i]!);
    return product(product(y, STATE, WIDTH), transposed(table, VOCABULARY, WIDTH), VOCABULARY);
  });
}

async function run(model: Model): Promise<Float32Array> {
  const runner = await openModel(model);
  const { logits: result } = await runner.run({ ids: int64Tensor([IDS.length], IDS) });
  await runner.close();
  return result!.data as Float32Array;
}

const rms = (a: ArrayLike<number>, b: ArrayLike<number>): number => {
  const sum = (value: (i: number) => number) => Array.from(a).reduce((total, _, i) => total + value(i) ** 2, 0);
  return Math.sqrt(sum((i) => a[i]! - b[i]!) / sum((i) => a[i]!));
};

const data = (model: Model, name: string) => model.graph.initializers.get(name)!.tensor().data;

/** A matrix as the reduced model holds it, row-major [rows, columns]. */
function stored(model: Model, kind: WeightKind, name: string, rows: number, columns: number): Float32Array {
  if (kind === "float16") return float32FromFloat16(data(model, `${name}_float16`) as Uint16Array);
  const bits = kind === "int4" ? 4 : 8;
  const codes = data(model, `${name}_int${bits}`) as Uint8Array;
  return dequantized(codes, data(model, `${name}_scales`) as Float32Array, bits, rows, columns);
}

test("a head that is the table's transpose is stored once, and nothing changes", async () => {
  const model = network();
  const shared = shareTied(model);
  expect([...shared.graph.initializers.keys()]).not.toContain("head");
  expect(rms(await run(model), await run(shared))).toBeLessThan(1e-6);
  expect(rms(logits(TABLE, UP, DOWN), await run(shared))).toBeLessThan(1e-5);
});

test("a head that differs in one bit stays", () => {
  const model = network();
  const values = (data(model, "head") as Float32Array).slice();
  values[100]! += 1e-6;
  const initializers = new Map(model.graph.initializers);
  const changed = createBuilder(18);
  changed.floats("head", [WIDTH, VOCABULARY], values);
  initializers.set("head", changed.initializers.get("head")!);
  const other = { ...model, graph: { ...model.graph, initializers } };
  expect(shareTied(other)).toBe(other);
});

describe.each(WEIGHT_KINDS)("%s", (kind) => {
  const tied = shareTied(network());
  const { model, matrices, bytes } = reduceWeights(tied, kind, SOURCE);

  test("the model computes what its stored weights say", async () => {
    const table = stored(model, kind, "table", VOCABULARY, WIDTH);
    const upRows = kind === "float16" ? [WIDTH, HIDDEN] : [HIDDEN, WIDTH];
    const up = stored(model, kind, "up", upRows[0]!, upRows[1]!);
    const down = stored(model, kind, "down", WIDTH, HIDDEN);
    const expected = logits(
      table,
      kind === "float16" ? up : transposed(up, HIDDEN, WIDTH),
      transposed(down, WIDTH, HIDDEN),
    );
    // products of blocks round their activations to 8 bits
    expect(rms(expected, await run(model))).toBeLessThan(kind === "float16" ? 1e-5 : 0.02);
    expect(rms(logits(TABLE, UP, DOWN), await run(model))).toBeLessThan({ float16: 2e-3, int8: 0.03, int4: 0.3 }[kind]);
  });

  test("what is not the source's stays float32, small vectors too", () => {
    expect(data(model, "state")).toEqual(STATE);
    expect(data(model, "bias")).toEqual(BIAS);
    expect(model.graph.nodes.some(({ op, inputs }) => op === "MatMul" && inputs[1] === "state")).toBe(true);
  });

  test("three matrices, the table and the head in one; fewer bytes; the opset where it is needed", () => {
    expect(matrices).toBe(3);
    expect([...model.graph.initializers.keys()].filter((name) => ["table", "up", "down"].includes(name))).toEqual([]);
    const kept = 4 * (STATE.length + BIAS.length);
    const before = 4 * (TABLE.length + UP.length + DOWN.length);
    const share = { float16: 1 / 2, int8: 9 / 32, int4: 5 / 32 }[kind];
    // rows of 48 are filled up to 64, and shapes are constants too
    const padding = kind === "float16" ? 0 : share * 4 * WIDTH * 16;
    expect(Math.abs(bytes.after - (kept + share * before + padding))).toBeLessThan(100);
    expect(model.opsets.has("com.microsoft")).toBe(kind !== "float16");
  });

  test("a second model with the same weights shares them", () => {
    const cache = new Map();
    const [first, second] = [0, 1].map(() => reduceWeights(tied, kind, SOURCE, cache).model.graph.initializers);
    const names = [...first!.keys()].filter((name) => name.includes(kind));
    expect(names.length).toBe(3);
    for (const name of names) expect(second!.get(name)).toBe(first!.get(name));
  });

  test("a model without such matrices is refused", () => {
    expect(() => reduceWeights(tied, kind, new Set())).toThrow(expect.objectContaining({ code: "usage" }));
  });

  test("a matrix that something else reads stays as it is", () => {
    const b = createBuilder(18, ["x", "y"]);
    const weight = b.floats("up", [WIDTH, HIDDEN], UP);
    b.add("Add", [b.one("MatMul", ["x", weight]), b.one("ReduceSum", [weight])], undefined, { outputs: ["y"] });
    const other = makeModel({
      inputs: [{ name: "x", type: DataType.FLOAT, dims: ["n", WIDTH] }],
      outputs: [{ name: "y", type: DataType.FLOAT, dims: ["n", HIDDEN] }],
      nodes: b.nodes,
      initializers: b.initializers,
      opsets: 18,
    });
    expect(() => reduceWeights(other, kind, SOURCE)).toThrow(expect.objectContaining({ code: "usage" }));
  });
});
