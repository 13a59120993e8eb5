/** States that grow, in the runtime: an H3 with attention, and an export that takes a mask; the exported graph is the judge. */
import path from "node:path";
import { AutoModelForCausalLM, env, Tensor as StockTensor } from "@huggingface/transformers";
import * as ort from "onnxruntime-web";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { withLengthCache, withoutLengthCache } from "../converter/assemble/lengthcache.ts";
import { convert } from "../converter/convert.ts";
import { checkContract } from "../converter/deploy/contract.ts";
import { deployGenai } from "../converter/deploy/deploy.ts";
import { tritonConfig, tritonModel } from "../converter/deploy/triton.ts";
import { encodeModel } from "../converter/onnx/encode.ts";
import type { Model as Graph } from "../converter/onnx/graph.ts";
import { readModel } from "../converter/onnx/read.ts";
import { openModel, type Runner } from "../converter/onnx/run.ts";
import { DataType, int64Tensor, toNumbers } from "../converter/onnx/tensor.ts";
import { writeModel } from "../converter/onnx/write.ts";
import { lookBeside } from "../converter/output/beside.ts";
import { writeOutput } from "../converter/output/output.ts";
import { targetOf } from "../converter/output/target.ts";
import { traceOf } from "../converter/weights/rerun.ts";
import type { Backend } from "../runtime/backend.ts";
import { createBatch, generateBatch } from "../runtime/batch.ts";
import { generate } from "../runtime/generate.ts";
import type { Model } from "../runtime/model.ts";
import { nodeBackend } from "../runtime/node-backend.ts";
import type { GenerateOptions, Piece } from "../runtime/options.ts";
import { read, readTokens } from "../runtime/read.ts";
import { loadModel } from "../runtime/session.ts";
import { concatStates, sliceState } from "../runtime/state.ts";
import { stateFromBytes, stateToBytes } from "../runtime/state-file.ts";
import { ROOT } from "../scripts/root.ts";
import { reader, start, stepper, withOpen } from "../src/bench/drive.ts";
import { METADATA } from "../src/contract.ts";
import { scratch } from "./command.ts";
import { environment, PROJECT, python, run } from "./deploy/python.ts";
import { topTwo } from "./greedy.ts";

const fileOf = (name: string) => path.join(ROOT, "test", "models", "stream", name, "model.onnx");

async function collect(pieces: AsyncIterable<Piece>): Promise<number[]> {
  const tokens: number[] = [];
  for await (const { token } of pieces) tokens.push(token);
  return tokens;
}

const withMetadata = (given: Graph, key: string, value: string): Graph => ({
  ...given,
  metadata: new Map([...given.metadata, [key, value]]),
});

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

  /** What the exported graph makes, the whole sequence again for each token. */
  async function again(prompt: readonly number[], count: number): Promise<number[]> {
    const ids = [...prompt];
    while (ids.length < prompt.length + count) {
      const dims = [1, ids.length];
      const mask = original.inputs.includes("attention_mask") && {
        attention_mask: int64Tensor(
          dims,
          ids.map(() => 1),
        ),
      };
      const outputs = await original.run({ input_ids: int64Tensor(dims, ids), ...mask });
      const logits = toNumbers(outputs[original.outputs[0]!]!);
      ids.push(topTwo(logits.subarray(logits.length - logits.length / ids.length)).token);
    }
    return ids.slice(prompt.length);
  }

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

  test("bench steps at one length", async () => {
    const one = { input_ids: int64Tensor([1, 1], [3]) };
    await withOpen([converted], async (opened) => {
      const read = await reader(opened, { input_ids: int64Tensor([1, 3], [1, 2, 3]) }, 3, start(opened, 1))();
      const step = await stepper(opened, one, read);
      const lengths = [await step(), await step()].map((outputs) =>
        Object.entries(outputs as Record<string, { dims: readonly number[] }>)
          .filter(([output]) => output.startsWith("present."))
          .map(([, { dims }]) => dims[2]),
      );
      expect(lengths).toEqual([
        [4, 4],
        [4, 4],
      ]);
    });
  });

  test("what compares stored weights starts without rows: one pass gives what two do", async () => {
    const ids = [1, 2, 3, 4, 5, 6];
    const pass = (given: readonly number[]) => ({
      length: given.length,
      inputs: { input_ids: int64Tensor([1, given.length], given) },
    });
    const [whole, halves] = [
      await traceOf(converted, [pass(ids)]),
      await traceOf(converted, [pass(ids.slice(0, 3)), pass(ids.slice(3))]),
    ];
    const [rows, others] = [whole.get("logits")!, halves.get("logits")!];
    expect(others.length).toBe(rows.length);
    for (const [i, row] of rows.entries())
      for (const [k, value] of row.entries()) expect(others[i]![k]!).toBeCloseTo(value, 4);
    const first = await original.run({
      input_ids: int64Tensor([1, 1], [1]),
      ...(original.inputs.includes("attention_mask") && { attention_mask: int64Tensor([1, 1], [1]) }),
    });
    for (const [k, value] of toNumbers(first[original.outputs[0]!]!).entries())
      expect(rows[0]![k]!).toBeCloseTo(value, 4);
  });

  test("its caches are states, whatever their index, and no length cache is added or taken off", () => {
    for (const index of ["0", "2"]) {
      const named = (infos: Graph["graph"]["inputs"]) =>
        infos.map((info) => ({ ...info, name: info.name.replace(/^(past_key_values|present)\.\d+/, `$1.${index}`) }));
      const { graph } = converted;
      const other = { ...converted, graph: { ...graph, inputs: named(graph.inputs), outputs: named(graph.outputs) } };
      const { states, findings } = checkContract(other);
      expect(findings).toEqual([]);
      expect(states.map(({ past }) => past)).toContain(`past_key_values.${index}.key`);
      expect(withLengthCache(other, "input_ids")).toBe(other);
      expect(withoutLengthCache(other)).toBe(other);
    }
  });

  type Info = Graph["graph"]["inputs"][number];
  const cache = (change: (info: Info) => Info) => (infos: readonly Info[]) =>
    infos.map((info) => (/^(past_key_values|present)\./.test(info.name) ? change(info) : info));
  test.each<[string, string, (given: Graph) => Graph]>([
    ["version 1", "version", (given) => withMetadata(given, METADATA.version, "1")],
    ["metadata without its caches", "version", (given) => withMetadata(given, METADATA.layers, "[]")],
    [
      "two axes that grow",
      "shapes",
      ({ graph, ...rest }) => ({
        ...rest,
        graph: { ...graph, inputs: cache((info) => ({ ...info, dims: info.dims!.with(1, "heads") }))(graph.inputs) },
      }),
    ],
    [
      "a present that does not grow",
      "shapes",
      ({ graph, ...rest }) => ({
        ...rest,
        graph: { ...graph, outputs: cache((info) => ({ ...info, dims: info.dims!.with(2, 4) }))(graph.outputs) },
      }),
    ],
    [
      "keys in float16",
      "types",
      ({ graph, ...rest }) => ({
        ...rest,
        graph: { ...graph, inputs: cache((info) => ({ ...info, type: DataType.FLOAT16 }))(graph.inputs) },
      }),
    ],
  ])("check sees %s", (_, rule, broken) => {
    const { kept, findings } = checkContract(broken(converted));
    expect(kept).toBe(false);
    expect(new Set(findings.filter(({ breaks }) => breaks).map((finding) => finding.rule))).toEqual(new Set([rule]));
  });

  test("Triton keeps states of one size, and its clients may carry others", () => {
    const triton = tritonModel(converted);
    for (const strategy of ["oldest", "direct"] as const)
      expect(() => tritonConfig(triton, { name: "m", strategy })).toThrow(/grows with the sequence/);
    const config = tritonConfig(triton, { name: "m", strategy: "client" });
    expect(config).toMatch(/present\.\d\.key"[^}]*dims: \[ \d, -1, \d+ \]/);
  });

  describe.skipIf(!python)("Python", { timeout: 600_000 }, () => {
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
