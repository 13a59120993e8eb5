/**
 * The trained hybrid (test/models/make/hybrid.py): three long convolutions and attention in a sliding window, on real text. What PyTorch
 * says, the perplexity of the export, and one text of greedy tokens from every stack.
 */
import path from "node:path";
import { AutoModelForCausalLM, env, Tensor as StockTensor } from "@huggingface/transformers";
import * as ort from "onnxruntime-web";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { Conversion } from "../converter/conversion.ts";
import { convert } from "../converter/convert.ts";
import { deployGenai } from "../converter/deploy/deploy.ts";
import { encodeModel } from "../converter/file/encode.ts";
import { readModel } from "../converter/file/read.ts";
import type { Tensor } from "../converter/graph/tensor.ts";
import { openModel, type Runner } from "../converter/ort/run.ts";
import { lookBeside } from "../converter/output/beside.ts";
import { writeOutput } from "../converter/output/output.ts";
import { targetOf } from "../converter/output/target.ts";
import { readIds } from "../converter/verify/token-ids.ts";
import { verify } from "../converter/verify.ts";
import { generate } from "../runtime/generate/generate.ts";
import { loadModel } from "../runtime/model/session.ts";
import { nodeBackend } from "../runtime/node/backend.ts";
import type { Backend } from "../runtime/sessions/backend.ts";
import { INPUT_IDS, LOGITS } from "../src/contract.ts";
import { scratch } from "./command.ts";
import { type Converted, openConverted, tokenByToken } from "./converted.ts";
import { environment, PROJECT, python, run } from "./deploy/python.ts";
import { idsTensor, promptIds, rowOf, topTwo } from "./greedy.ts";
import { casesOf, demoModel, hybridModel } from "./testdata.ts";

/** Largest |difference| of logits, which are up to 20. */
const TOLERANCE = 1e-3;
/** Longer than the window, which is 128. */
const COUNT = 256;

const hybrid = hybridModel();
const { folder: demoFolder } = demoModel();
const cases = casesOf(hybrid);
const prompt = promptIds(demoFolder, 7);
const dir = scratch();
const folder = dir.at("hybrid");
let conversion: Conversion;
let converted: Converted;
let original: Runner;
/** COUNT tokens after the prompt, by our runtime. */
let greedy: number[];

async function greedyOn(backend: Backend): Promise<number[]> {
  const model = await loadModel(backend, encodeModel(conversion.model));
  const made: number[] = [];
  for await (const { token } of generate(model, { inputIds: prompt, maxNewTokens: COUNT, stopTokens: [] }))
    made.push(token);
  await model.close();
  return made;
}

beforeAll(async () => {
  conversion = await convert(hybrid.file, { order: 64, horizon: 512 });
  await writeOutput(conversion.model, await lookBeside(hybrid.file), targetOf(folder));
  converted = await openConverted(conversion.model);
  original = await openModel(await readModel(hybrid.file));
  greedy = await greedyOn(nodeBackend);
});
afterAll(async () => {
  await Promise.all([converted?.close(), original?.close()]);
  dir.remove();
});

test("three recurrences beside the last rows of keys and values, and a counter for the positions that are turned", () => {
  expect(conversion.layers.map(({ form }) => form)).toEqual([
    ...["compact", "rows", "rows", "rows", "compact", "compact", "counter"],
  ]);
});

const sets = cases.map(({ input }, set) => ({ set, length: input.tensor.dims[1]! }));

test.each(sets)("PyTorch's logits at once and token by token, data set $set", async ({ set, length }) => {
  const { input, output } = cases[set]!;
  for (const cuts of [[length], tokenByToken(length)]) {
    const logits = (await converted.run({ [INPUT_IDS]: input.tensor }, cuts))[LOGITS]!;
    expect(largestDifference(logits, output.tensor)).toBeLessThanOrEqual(TOLERANCE);
  }
});

test("held-back text: the export's perplexity, and its first choices", async () => {
  const ids = await readIds(path.join(demoFolder, "valid_ids.pb"));
  const options = { ids, lengths: [512], positions: 2048 };
  const verification = await verify(hybrid.file, path.join(folder, "onnx/model.onnx"), options);
  if (verification.kind !== "language") throw new Error("it is a language model");
  expect(verification.rows.map(({ way }) => way)).toEqual(["whole", "token by token"]);
  for (const row of verification.rows) {
    expect(row.argmaxDiffers).toBe(0);
    // a text that a model has learned nothing of has one of 2048
    expect(row.perplexity.original).toBeLessThan(60);
    expect(row.perplexity.converted / row.perplexity.original).toBeCloseTo(1, 5);
  }
});

test("greedy text: the exported graph, reading it at once, would choose every token", async () => {
  const text = [...prompt, ...greedy];
  // position i of one run is what running the graph again at step i gives: it is causal; a power of two, where ORT's transform is precise
  const length = 2 ** Math.ceil(Math.log2(text.length));
  const ids = [...text, ...new Array<number>(length - text.length).fill(0)];
  const logits = (await original.run({ [INPUT_IDS]: idsTensor(ids) }))[LOGITS]!;
  expect(greedy.map((_, i) => topTwo(rowOf(logits, prompt.length + i - 1)).token)).toEqual(greedy);
  expect(new Set(greedy).size).toBeGreaterThan(20);
});

test("WebAssembly makes the same tokens", async () => {
  ort.env.wasm.numThreads = 1;
  const backend: Backend = {
    ...nodeBackend,
    ...{ Tensor: ort.Tensor, writesIntoFetches: false, oneRunAtATime: true },
    open: (source) => ort.InferenceSession.create(source as Uint8Array, { executionProviders: ["wasm"] }),
  };
  expect(await greedyOn(backend)).toEqual(greedy);
});

test("transformers.js makes the same tokens from the folder", async () => {
  env.allowRemoteModels = false;
  const model = await AutoModelForCausalLM.from_pretrained(folder);
  const dims = [1, prompt.length];
  const inputs = {
    input_ids: new StockTensor("int64", BigInt64Array.from(prompt, BigInt), dims),
    attention_mask: new StockTensor("int64", new BigInt64Array(prompt.length).fill(1n), dims),
  };
  const options = { ...inputs, max_new_tokens: COUNT, do_sample: false, eos_token_id: null };
  const { data } = (await model.generate(options as never)) as StockTensor;
  expect(Array.from(data as BigInt64Array, Number)).toEqual([...prompt, ...greedy]);
  await model.dispose();
});

describe.skipIf(!python)("Python", { timeout: 600_000 }, () => {
  const example = async (name: string, ...args: string[]) => {
    const printed = await run(await environment("newest"), [path.join(PROJECT, "examples", name), ...args]);
    return printed.trim().split(/\s+/).map(Number);
  };
  const ids = prompt.map(String);

  test("ONNX Runtime makes the same tokens", async () => {
    const file = path.join(folder, "onnx/model.onnx");
    expect(await example("python/generate.py", file, String(COUNT), ...ids)).toEqual(greedy);
  });

  test("ONNX Runtime GenAI makes the same tokens", async () => {
    const endTokens = [Array.from({ length: 2048 }, (_, id) => id).find((id) => !greedy.includes(id))!];
    await deployGenai(folder, dir.at("genai"), { endTokens });
    const made = await example("genai/generate.py", dir.at("genai"), String(COUNT), "--ids", ...ids);
    expect(made).toEqual(greedy);
  });
});

function largestDifference(a: Tensor, b: Tensor): number {
  expect(a.dims).toEqual(b.dims);
  const [x, y] = [a.data as Float32Array, b.data as Float32Array];
  return x.reduce((most, value, k) => Math.max(most, Math.abs(value - y[k]!)), 0);
}
