/** States that grow, in the runtime: an H3 with attention, and an export that takes a mask; the exported graph is the judge. */
import path from "node:path";
import { AutoModelForCausalLM, env, Tensor as StockTensor } from "@huggingface/transformers";
import * as ort from "onnxruntime-web";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { convert } from "../converter/convert.ts";
import { deployGenai } from "../converter/deploy/deploy.ts";
import { tritonConfig, tritonModel } from "../converter/deploy/triton.ts";
import { encodeModel } from "../converter/file/encode.ts";
import { readModel } from "../converter/file/read.ts";
import { writeModel } from "../converter/file/write.ts";
import type { Model as Graph } from "../converter/graph/graph.ts";
import { openModel, type Runner } from "../converter/ort/run.ts";
import { lookBeside } from "../converter/output/beside.ts";
import { writeOutput } from "../converter/output/output.ts";
import { targetOf } from "../converter/output/target.ts";
import { createBatch, generateBatch } from "../runtime/generate/batch/batch.ts";
import { generate } from "../runtime/generate/generate.ts";
import type { GenerateOptions, Piece } from "../runtime/generate/options.ts";
import type { Model } from "../runtime/model/model.ts";
import { read, readTokens } from "../runtime/model/read.ts";
import { loadModel } from "../runtime/model/session.ts";
import { concatStates, sliceState } from "../runtime/model/state.ts";
import { stateFromBytes, stateToBytes } from "../runtime/model/state-file.ts";
import { nodeBackend } from "../runtime/node/backend.ts";
import type { Backend } from "../runtime/sessions/backend.ts";
import { ROOT } from "../scripts/root.ts";
import { METADATA } from "../src/contract.ts";
import { scratch } from "./command.ts";
import { environment, PROJECT, python, run } from "./deploy/python.ts";
import { greedyAgain } from "./greedy.ts";

const fileOf = (name: string) => path.join(ROOT, "test", "models", "stream", name, "model.onnx");

async function collect(pieces: AsyncIterable<Piece>): Promise<number[]> {
  const tokens: number[] = [];
  for await (const { token } of pieces) tokens.push(token);
  return tokens;
}

describe.each(["h3-attention", "attention-mask"])("%s", (name) => {
  const dir = scratch();
  let converted: Graph;
  let model: Model;
  let original: Runner;
  beforeAll(async () => {
    ({ model: converted } = await convert(fileOf(name)));
    expect(converted.metadata.get(METADATA.version)).toBe("2");
    model = await loadModel(nodeBackend, encodeModel(converted), { sliceLength: 4 });
    original = await openModel(await readModel(fileOf(name)));
  });
  afterAll(async () => {
    await model?.close();
    await original?.close();
    dir.remove();
  });

  const again = (prompt: readonly number[], count: number): Promise<number[]> => greedyAgain(original, prompt, count);

  const REQUESTS: GenerateOptions[] = [
    { inputIds: [1, 2, 3, 4, 5, 6, 7], maxNewTokens: 12 },
    { inputIds: [9], maxNewTokens: 3 },
    { inputIds: [8, 8, 8], maxNewTokens: 9 },
    { inputIds: [30, 2], maxNewTokens: 7 },
  ];
  const due = () =>
    Promise.all(REQUESTS.map(({ inputIds, maxNewTokens }) => again(inputIds as number[], maxNewTokens!)));

  test("one sequence, its prompt in slices", async () => {
    for (const request of REQUESTS)
      expect(await collect(generate(model, request))).toEqual(
        await again(request.inputIds as number[], request.maxNewTokens!),
      );
  });

  test("unequal prompts together, and sequences that join and leave", async () => {
    const expected = await due();
    const tokens: number[][] = REQUESTS.map(() => []);
    for await (const { row, token } of generateBatch(model, REQUESTS)) tokens[row]!.push(token);
    expect(tokens).toEqual(expected);
    const batch = createBatch(model, { maxBatchSize: 3 });
    const joined = await Promise.all(
      REQUESTS.map(async (request, index) => {
        for (let wait = 0; wait < 4 * index; wait++) await new Promise((resolve) => setImmediate(resolve));
        return collect(batch.add(request));
      }),
    );
    expect(joined).toEqual(expected);
  });

  test("transformers.js makes the same tokens from a folder", async () => {
    const folder = dir.at("folder");
    await writeOutput(converted, await lookBeside(fileOf(name)), targetOf(folder));
    env.allowRemoteModels = false;
    const stock = await AutoModelForCausalLM.from_pretrained(folder);
    for (const { inputIds, maxNewTokens } of REQUESTS.slice(0, 2)) {
      const prompt = inputIds as number[];
      const dims = [1, prompt.length];
      const inputs = {
        input_ids: new StockTensor("int64", BigInt64Array.from(prompt, BigInt), dims),
        attention_mask: new StockTensor("int64", new BigInt64Array(prompt.length).fill(1n), dims),
      };
      const options = { ...inputs, max_new_tokens: maxNewTokens, do_sample: false };
      const { data } = (await stock.generate(options as never)) as StockTensor;
      expect(Array.from(data as BigInt64Array, Number)).toEqual([...prompt, ...(await again(prompt, maxNewTokens!))]);
    }
    await stock.dispose();
  });

  test("Triton keeps states of one size, and its clients may carry others", () => {
    const triton = tritonModel(converted);
    for (const strategy of ["oldest", "direct"] as const)
      expect(() => tritonConfig(triton, { name: "m", strategy })).toThrow(/grows with the sequence/);
    const config = tritonConfig(triton, { name: "m", strategy: "client" });
    expect(config).toMatch(/present\.\d\.key"[^}]*dims: \[ \d, -1, \d+ \]/);
  });

  describe.skipIf(!python)("Python", () => {
    const { inputIds, maxNewTokens } = REQUESTS[0]!;
    const example = async (name: string, ...args: string[]) => {
      const printed = await run(await environment("newest"), [path.join(PROJECT, "examples", name), ...args]);
      return printed.trim().split(" ").map(Number);
    };
    const prompt = (inputIds as number[]).map(String);

    test("ONNX Runtime makes the same tokens", async () => {
      await writeModel(converted, dir.at("python.onnx"));
      const made = await example("python/generate.py", dir.at("python.onnx"), String(maxNewTokens), ...prompt);
      expect(made).toEqual(await again(inputIds as number[], maxNewTokens!));
    });

    test("ONNX Runtime GenAI makes the same tokens", async () => {
      await writeModel(converted, dir.at("genai.onnx"));
      const due = await again(inputIds as number[], maxNewTokens!);
      const endTokens = [Array.from({ length: 31 }, (_, id) => id).find((id) => !due.includes(id))!];
      await deployGenai(dir.at("genai.onnx"), dir.at("genai"), { endTokens });
      const made = await example("genai/generate.py", dir.at("genai"), String(maxNewTokens), "--ids", ...prompt);
      expect(made).toEqual(due);
    });
  });

  test("WebAssembly makes the same tokens, a batch of unequal prompts", async () => {
    ort.env.wasm.numThreads = 1;
    const backend: Backend = {
      ...nodeBackend,
      ...{ Tensor: ort.Tensor, writesIntoFetches: false, oneRunAtATime: true },
      open: (source) => ort.InferenceSession.create(source as Uint8Array, { executionProviders: ["wasm"] }),
    };
    const web = await loadModel(backend, encodeModel(converted), { sliceLength: 4 });
    const tokens: number[][] = REQUESTS.map(() => []);
    for await (const { row, token } of generateBatch(web, REQUESTS)) tokens[row]!.push(token);
    expect(tokens).toEqual(await due());
    await web.close();
  });

  test("forks, rows of others, and bytes", async () => {
    const [long, short] = [await read(model, [[1, 2, 3, 4, 5]]), await read(model, [[6, 7]])];
    const both = await concatStates(model, [long, short]);
    expect(both.positions).toEqual([5, 2]);
    const kept = await stateFromBytes(model, await stateToBytes(model, both));
    const [turned, alone] = [await sliceState(model, kept, [1, 0]), await sliceState(model, kept, [1])];
    const [first, second, single] = [
      await readTokens(model, [8, 9], both),
      await readTokens(model, [9, 8], turned),
      await readTokens(model, [9], alone),
    ];
    const direct = await readTokens(model, [9], short);
    const vocabulary = model.language!.vocabulary;
    for (let k = 0; k < vocabulary; k++) {
      expect(second.logits![vocabulary + k]!).toBeCloseTo(first.logits![k]!, 4);
      for (const other of [first.logits![vocabulary + k]!, second.logits![k]!, single.logits![k]!])
        expect(other).toBeCloseTo(direct.logits![k]!, 4);
    }
    // padding in front of a row that leaves is left behind
    expect(alone.tensors.map(({ dims }) => dims)).toEqual(short.tensors.map(({ dims }) => dims));
  });
});
