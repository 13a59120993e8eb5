/**
 * Attention with states of one size, in the runtime: a sliding window of 16, and caches of a given capacity. The exported graph, which
 * runs every sequence again, is the judge.
 */
import path from "node:path";
import { AutoModelForCausalLM, env, Tensor as StockTensor } from "@huggingface/transformers";
import * as ort from "onnxruntime-web";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { checkContract } from "../converter/contract/contract.ts";
import type { ConvertOptions } from "../converter/conversion.ts";
import { convert } from "../converter/convert.ts";
import { tritonConfig, tritonModel } from "../converter/deploy/triton.ts";
import { encodeModel } from "../converter/file/encode.ts";
import { readModel } from "../converter/file/read.ts";
import type { Model as Graph } from "../converter/graph/graph.ts";
import { openModel, type Runner } from "../converter/ort/run.ts";
import { lookBeside } from "../converter/output/beside.ts";
import { writeOutput } from "../converter/output/output.ts";
import { targetOf } from "../converter/output/target.ts";
import { generateBatch } from "../runtime/generate/batch/batch.ts";
import { generate } from "../runtime/generate/generate.ts";
import type { GenerateOptions } from "../runtime/generate/options.ts";
import { createPrefixCache } from "../runtime/kept/cache.ts";
import type { Model } from "../runtime/model/model.ts";
import { read, readTokens } from "../runtime/model/read.ts";
import { loadModel } from "../runtime/model/session.ts";
import { concatStates, sliceState } from "../runtime/model/state.ts";
import { stateFromBytes, stateToBytes } from "../runtime/model/state-file.ts";
import { nodeBackend } from "../runtime/node/backend.ts";
import type { Backend } from "../runtime/sessions/backend.ts";
import { ROOT } from "../scripts/root.ts";
import { METADATA } from "../src/contract.ts";
import { collect } from "./collect.ts";
import { scratch } from "./command.ts";
import { greedyAgain } from "./greedy.ts";

const fileOf = (name: string) => path.join(ROOT, "test", "models", "stream", name, "model.onnx");
const CAPACITY = 64;
const long = Array.from({ length: 40 }, (_, i) => (i * 7 + 3) % 29);
const REQUESTS: GenerateOptions[] = [
  { inputIds: [9], maxNewTokens: 24 },
  { inputIds: long, maxNewTokens: 9 },
  { inputIds: long.slice(0, 15), maxNewTokens: 5 },
  { inputIds: long.slice(3, 19), maxNewTokens: 5 },
];

describe.each<[string, ConvertOptions, number]>([
  ["window-16", {}, 15],
  ["h3-attention", { cacheCapacity: CAPACITY }, CAPACITY - 1],
  ["attention-mask", { cacheCapacity: CAPACITY }, CAPACITY - 1],
])("%s", (name, options, rows) => {
  const dir = scratch();
  let converted: Graph;
  let model: Model;
  let original: Runner;
  beforeAll(async () => {
    ({ model: converted } = await convert(fileOf(name), options));
    model = await loadModel(nodeBackend, encodeModel(converted), { sliceLength: 8 });
    original = await openModel(await readModel(fileOf(name)));
  });
  afterAll(async () => {
    await model?.close();
    await original?.close();
    dir.remove();
  });

  const again = ({ inputIds, maxNewTokens }: GenerateOptions): Promise<number[]> =>
    greedyAgain(original, inputIds as number[], maxNewTokens!);
  const made = async (request: GenerateOptions) => (await collect(generate(model, request))).map(({ token }) => token);
  const due = () => Promise.all(REQUESTS.map(again));

  test("its states are of one size, with so many rows of keys, of values, and of what is there", () => {
    expect(converted.metadata.get(METADATA.version)).toBe("1");
    const { kept, states } = checkContract(converted);
    expect(kept).toBe(true);
    expect(states.flatMap(({ dims }) => dims!.slice(1)).every((dim) => typeof dim === "number")).toBe(true);
    // heads one after the other: two dimensions behind the batch, which every driver takes
    expect(
      states.filter(({ dims }) => dims!.length === 3 && dims!.slice(1).some((dim) => Number(dim) % rows === 0)).length,
    ).toBe(3);
  });

  test("one sequence after the other, their prompts in slices", async () => {
    const tokens: number[][] = [];
    for (const request of REQUESTS) tokens.push(await made(request));
    expect(tokens).toEqual(await due());
  });

  async function together(with_: Model): Promise<number[][]> {
    const tokens: number[][] = REQUESTS.map(() => []);
    for await (const { row, token } of generateBatch(with_, REQUESTS)) tokens[row]!.push(token);
    return tokens;
  }

  test("unequal prompts together", async () => expect(await together(model)).toEqual(await due()));

  test("WebAssembly makes the same tokens", async () => {
    ort.env.wasm.numThreads = 1;
    const backend: Backend = {
      ...nodeBackend,
      ...{ Tensor: ort.Tensor, writesIntoFetches: false, oneRunAtATime: true },
      open: (source) => ort.InferenceSession.create(source as Uint8Array, { executionProviders: ["wasm"] }),
    };
    const web = await loadModel(backend, encodeModel(converted), { sliceLength: 8 });
    expect(await together(web)).toEqual(await due());
    await web.close();
  });

  test("transformers.js makes the same tokens from a folder", async () => {
    const folder = dir.at("folder");
    await writeOutput(converted, await lookBeside(fileOf(name)), targetOf(folder));
    env.allowRemoteModels = false;
    const stock = await AutoModelForCausalLM.from_pretrained(folder);
    for (const request of REQUESTS.slice(0, 2)) {
      const prompt = request.inputIds as number[];
      const dims = [1, prompt.length];
      const inputs = {
        input_ids: new StockTensor("int64", BigInt64Array.from(prompt, BigInt), dims),
        attention_mask: new StockTensor("int64", new BigInt64Array(prompt.length).fill(1n), dims),
      };
      const options = { ...inputs, max_new_tokens: request.maxNewTokens, do_sample: false };
      const { data } = (await stock.generate(options as never)) as StockTensor;
      expect(Array.from(data as BigInt64Array, Number)).toEqual([...prompt, ...(await again(request))]);
    }
    await stock.dispose();
  });

  test("forks, rows of others, bytes, and beginnings that are kept", async () => {
    const [first, second] = [await read(model, [long]), await read(model, [[6, 7]])];
    const both = await stateFromBytes(model, await stateToBytes(model, await concatStates(model, [first, second])));
    const turned = await readTokens(model, [8, 9], await sliceState(model, both, [1, 0]));
    const [after, alone] = [await readTokens(model, [9], first), await readTokens(model, [8], second)];
    const { vocabulary } = model.language!;
    for (let k = 0; k < vocabulary; k++) {
      expect(turned.logits![k]!).toBeCloseTo(alone.logits![k]!, 4);
      expect(turned.logits![vocabulary + k]!).toBeCloseTo(after.logits![k]!, 4);
    }
    const cache = createPrefixCache(model, { leastTokens: 2 });
    for (const own of [[1, 2], [4], [1, 2, 3]]) {
      const request = { inputIds: [...long, ...own], maxNewTokens: 4 };
      expect(await made({ ...request, cache })).toEqual(await again(request));
    }
    expect(cache.stats.hits).toBeGreaterThan(0);
  });

  test("generation ends where the capacity does, and goes on beyond if asked to", async () => {
    const request = { inputIds: long, maxNewTokens: CAPACITY };
    const pieces = await collect(generate(model, request));
    if (options.cacheCapacity === undefined) {
      expect(pieces.length).toBe(CAPACITY);
      expect(pieces.at(-1)!.finish).toBe("length");
      expect(model.claim).toEqual({ kind: "proven" });
      return;
    }
    expect(pieces.length).toBe(CAPACITY - long.length);
    expect(pieces.at(-1)!.finish).toBe("reach");
    expect(pieces.map(({ token }) => token)).toEqual(await again({ ...request, maxNewTokens: pieces.length }));
    expect(model.claim).toMatchObject({ kind: "ends", positions: CAPACITY });
    const tooLong = { inputIds: [...long, ...long], maxNewTokens: 1 };
    const ends = `ends at ${CAPACITY} positions because '.*': its cache holds ${CAPACITY} positions`;
    expect(() => generate(model, tooLong)).toThrow(new RegExp(ends));
    expect((await collect(generate(model, { ...tooLong, beyond: true }))).length).toBe(1);
  });

  test("Triton keeps them", () => {
    expect(tritonConfig(tritonModel(converted), { name: "m", strategy: "oldest" })).toContain("past_conv");
  });
});
