/**
 * A token of the trained hybrid after 512 and 4 096 tokens: converted, by the exported graph over all of them again, and by a
 * transformer of the same width with its cache; and what they carry. On one thread; processor time, medians, the kinds take turns.
 *
 *     npm run build && node dist/scripts/hybrid-decode.js [--rounds N] [--python PYTHON]
 *
 * PYTHON has torch, transformers and onnxruntime: it exports the transformer (scripts/bench/transformer.py). Without it there is none.
 */
import path from "node:path";
import { convert } from "../converter/convert.ts";
import { readModel } from "../converter/file/read.ts";
import type { Model } from "../converter/graph/graph.ts";
import { DataType, int64Tensor, makeTensor, type Tensor } from "../converter/graph/tensor.ts";
import { openModel } from "../converter/ort/run.ts";
import { ATTENTION_MASK, INPUT_IDS, NUM_LOGITS_TO_KEEP, pairStates } from "../src/contract.ts";
import { temporaryFolder } from "../src/temporary-folder.ts";
import { promptIds } from "../test/greedy.ts";
import { demoModel, hybridModel } from "../test/testdata.ts";
import { readArguments, wholeNumber } from "./arguments.ts";
import { exportTransformer } from "./bench/transformer.ts";
import { processorMs } from "./processor.ts";

const CONTEXTS = [512, 4096];
const SIZES = [512, 4096, 32_768];
const WIDTH = 192;
/** Tokens of a prompt that are read at a time. */
const SLICE = 256;
const REPEATS = 20;

const { values } = readArguments("hybrid-decode [--rounds N] [--python PYTHON]", {
  rounds: { type: "string", default: "9" },
  python: { type: "string" },
});
const rounds = wholeNumber("--rounds", values.rounds);
const ids = promptIds(demoModel().folder, Math.max(...CONTEXTS) + 1);
const { model } = await convert(hybridModel().file);
const peer = values.python ? await transformer(values.python) : undefined;
const stateful: readonly (readonly [name: string, model: Model])[] = [
  ["converted", model],
  ...(peer ? [["transformer", peer] as const] : []),
];
const original = await openModel(await readModel(hybridModel().file), { threads: 1 });
for (const context of CONTEXTS) {
  const steps = await Promise.all(stateful.map(([, each]) => stepAfter(each, context)));
  const own = await processorMs(
    steps.map(({ run }) => run),
    { rounds, repeats: REPEATS },
  );
  const again = () => original.run({ [INPUT_IDS]: int64Tensor([1, context], ids.slice(1, context + 1)) });
  const [whole] = await processorMs([again], { rounds: Math.min(rounds, 3), repeats: 1 });
  for (const [i, [name]] of stateful.entries()) console.log(`after ${context}: ${name} ${own[i]!.toFixed(2)} ms`);
  console.log(
    `after ${context}: exported graph again ${whole!.toFixed(0)} ms, ${(whole! / own[0]!).toFixed(0)} times the converted`,
  );
  if (peer) console.log(`after ${context}: converted / transformer ${(own[0]! / own[1]!).toFixed(2)}`);
  await Promise.all(steps.map(({ close }) => close()));
}
await original.close();
for (const [name, each] of stateful)
  console.log(`${name} carries ${SIZES.map((n) => `${(carried(each, n) / 1e6).toFixed(2)} MB after ${n}`).join(", ")}`);

/** One more token after so many, its state left as it was. */
async function stepAfter(each: Model, context: number) {
  const runner = await openModel(each, { threads: 1 });
  const pairs = pairStates(runner.inputs, runner.outputs);
  let states: Record<string, Tensor> = Object.fromEntries(
    each.graph.inputs
      .filter(({ name }) => pairs.some(({ past }) => past === name))
      .map(({ name, type, dims }) => [name, zeros(type, sizes(dims!, 0))]),
  );
  const read = async (from: number, to: number) => {
    const feeds: Record<string, Tensor> = { ...states, [INPUT_IDS]: int64Tensor([1, to - from], ids.slice(from, to)) };
    if (runner.inputs.includes(ATTENTION_MASK))
      feeds[ATTENTION_MASK] = int64Tensor([1, to], new Array<number>(to).fill(1));
    if (runner.inputs.includes(NUM_LOGITS_TO_KEEP)) feeds[NUM_LOGITS_TO_KEEP] = int64Tensor([], [1]);
    return runner.run(feeds);
  };
  for (let at = 0; at < context; at += SLICE) {
    const given = await read(at, Math.min(at + SLICE, context));
    states = Object.fromEntries(pairs.map(({ past, present }) => [past, given[present]!]));
  }
  return { run: () => read(context, context + 1), close: () => runner.close() };
}

/** Bytes of all states after so many positions. */
function carried({ graph }: Model, positions: number): number {
  const pasts = graph.inputs.filter(({ name }) => name.startsWith("past_"));
  const bytesOf = (type: number) => (type === DataType.INT64 ? 8 : 4);
  return pasts.reduce((sum, { dims, type }) => sum + sizes(dims!, positions).reduce((a, b) => a * b, bytesOf(type)), 0);
}

/** The batch is one row; an axis behind it without a number is that of the positions. */
function sizes(dims: readonly unknown[], positions: number): number[] {
  return dims.map((dim, axis) => (typeof dim === "number" ? dim : axis === 0 ? 1 : positions));
}

function zeros(type: number, dims: number[]): Tensor {
  const count = dims.reduce((a, b) => a * b, 1);
  return makeTensor(type, dims, type === DataType.INT64 ? new BigInt64Array(count) : new Float32Array(count));
}

async function transformer(python: string): Promise<Model> {
  const folder = await temporaryFolder();
  try {
    const file = path.join(folder.path, "peer.onnx");
    exportTransformer(python, file, { width: WIDTH, layers: 4, heads: 4, words: 2048 });
    return await readModel(file);
  } finally {
    await folder.remove();
  }
}
