/** Far from the start: kernels that live for a hundred thousand lags, and claims to their end. Expected: the original in ORT. */
import path from "node:path";
import { afterAll, expect, test } from "vitest";
import { convertModel } from "../converter/convert.ts";
import { readModel } from "../converter/file/read.ts";
import { createBuilder, makeModel } from "../converter/graph/build.ts";
import type { Model } from "../converter/graph/graph.ts";
import { addLongConv } from "../converter/graph/longconv.ts";
import { DataType, float32Tensor, int64Tensor, type Tensor } from "../converter/graph/tensor.ts";
import { openModel } from "../converter/ort/run.ts";
import { generate } from "../runtime/node.ts";
import { ROOT } from "../scripts/root.ts";
import { normal, uniform } from "../src/random.ts";
import { collect, openModels, PROMPT } from "./claims.ts";
import { openConverted, sliceAxis } from "./converted.ts";
import { rerunGreedy } from "./greedy.ts";
import { preciseTransforms } from "./precise.ts";
import { relativeDifference } from "./testdata.ts";

const ROWS = 131_072;
/** The middle of the table: a kernel that is cut or wraps around is off by much there. */
const MIDDLE = 65_536;
const fileOf = (name: string) => path.join(ROOT, "test/models", name, "model.onnx");

const models = openModels();
afterAll(() => models.close());

/** The largest difference at the last seven of so many positions, which are read one by one; relative. */
async function apartAtEnd(source: Model, converted: Model, feeds: Record<string, Tensor>, length: number) {
  const [original, recurrent] = [await openModel(preciseTransforms(source)), await openConverted(converted)];
  try {
    const output = source.graph.outputs[0]!.name;
    const cuts = [Math.floor(length / 3), ...Array.from({ length: 8 }, (_, i) => length - 7 + i)];
    const last = (tensor: Tensor) => sliceAxis(tensor, 1, length - 7, length);
    const due = last((await original.run(feeds))[output]!);
    return relativeDifference(last((await recurrent.run(feeds, cuts))[output]!), due);
  } finally {
    await Promise.all([original.close(), recurrent.close()]);
  }
}

const CHANNELS = 2;
/** Of 69 000 lags until it has died away, of which 16 384 would leave 4 %. */
const DECAY = 2e-4;

/** Hyena's filter: an MLP on a table of positional features, under a decay, and a convolution of twice as many points. */
function hyena(): Model {
  const b = createBuilder(18, ["x", "y"]);
  const featuresAt = (t: number) => [0, 1, 2, 3].map((k) => Math.cos((2 * Math.PI * k * t) / ROWS));
  const table = b.floats("positions", [ROWS, 4], Array.from({ length: ROWS }, (_, t) => featuresAt(t)).flat());
  const length = b.one("Shape", ["x"], { start: 1, end: 2 });
  const features = b.one("Slice", [table, b.ints("from", [0]), length, b.ints("rows", [0])]);
  const next = normal(11);
  const weights = (rows: number, columns: number) =>
    b.floats("weight", [rows, columns], Float32Array.from({ length: rows * columns }, next));
  const hidden = b.one("Sin", [b.one("MatMul", [features, weights(4, 6)])]);
  const filter = b.one("MatMul", [hidden, weights(6, CHANNELS)]);
  const size = b.one("Squeeze", [length]);
  const at = b.one("Cast", [b.one("Range", [b.ints("zero", 0), size, b.ints("one", 1)])], { to: DataType.FLOAT });
  const decay = b.one("Exp", [b.one("Mul", [at, b.floats("decay", [], [-DECAY])])]);
  addLongConv(b, "x", b.one("Mul", [filter, b.one("Unsqueeze", [decay, b.ints("columns", [1])])]), "y");
  const dims = ["b", "n", CHANNELS];
  return makeModel({
    inputs: [{ name: "x", type: DataType.FLOAT, dims }],
    outputs: [{ name: "y", type: DataType.FLOAT, dims }],
    nodes: b.nodes,
    initializers: b.initializers,
    opsets: new Map([["", 18]]),
  });
}

test("position 65 536 of a Hyena whose filter has a table of 131 072 rows: its state follows the kernel to the end", async () => {
  const source = hyena();
  const { model, claim, layers } = await convertModel(source);
  expect(layers).toMatchObject([{ lags: expect.closeTo(69_000, -4) }]);
  expect(claim.positions ?? Infinity, JSON.stringify(claim)).toBeGreaterThanOrEqual(16_384);
  const length = MIDDLE + 1;
  const x = float32Tensor([1, length, CHANNELS], Float32Array.from({ length: CHANNELS * length }, normal(5)));
  expect(await apartAtEnd(source, model, { x }, length)).toBeLessThan(1e-4);
});

test("a Hyena whose kernels outlive the horizon: right to the claim's end, where the runtime stops", async () => {
  const source = await readModel(fileOf("stream/hyena-131k"));
  const { model: graph, claim } = await convertModel(source);
  expect(claim).toMatchObject({ kind: "ends", positions: 16_384 });
  const next = uniform(9);
  const ids = Array.from({ length: 16_384 }, () => Math.floor(31 * next()));
  const feeds = { input_ids: int64Tensor([1, ids.length], ids) };
  expect(await apartAtEnd(source, graph, feeds, ids.length)).toBeLessThan(3e-4);
  const model = await models.open(graph);
  const generated = await collect(generate(model, { inputIds: ids.slice(5), maxNewTokens: 100 }));
  expect(generated).toMatchObject({ tokens: { length: 5 }, finish: "reach" });
});

test("an echo at lag 100 comes once: the tokens of the exported graph, far beyond it", async () => {
  const source = await readModel(fileOf("spellings/late-echo"));
  const { model: graph, claim } = await convertModel(source);
  expect(claim).toEqual({ kind: "proven" });
  const count = 400;
  const original = await openModel(preciseTransforms(source));
  const { text } = await rerunGreedy(original, PROMPT, count, { padded: false });
  await original.close();
  const model = await models.open(graph);
  const generated = await collect(generate(model, { inputIds: PROMPT, maxNewTokens: count }));
  expect(generated).toEqual({ tokens: text.slice(PROMPT.length), finish: "length" });
});
