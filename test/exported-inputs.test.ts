/**
 * Language models as Hugging Face's exports have them, with position_ids beside the mask, or ids of int32: our runtime, transformers.js and
 * ONNX Runtime GenAI make the tokens that the exported graph makes, also behind padding on the left.
 */
import path from "node:path";
import { AutoModelForCausalLM, env, Tensor as StockTensor } from "@huggingface/transformers";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { convert } from "../converter/convert.ts";
import { deployGenai } from "../converter/deploy/deploy.ts";
import { encodeModel } from "../converter/file/encode.ts";
import { readModel } from "../converter/file/read.ts";
import { writeModel } from "../converter/file/write.ts";
import type { Model as Graph } from "../converter/graph/graph.ts";
import { DataType } from "../converter/graph/tensor.ts";
import { openModel, type Runner } from "../converter/ort/run.ts";
import { lookBeside } from "../converter/output/beside.ts";
import { writeOutput } from "../converter/output/output.ts";
import { targetOf } from "../converter/output/target.ts";
import { generateBatch } from "../runtime/generate/batch/batch.ts";
import { generate } from "../runtime/generate/generate.ts";
import type { GenerateOptions } from "../runtime/generate/options.ts";
import type { Model } from "../runtime/model/model.ts";
import { loadModel } from "../runtime/model/session.ts";
import { nodeBackend } from "../runtime/node/backend.ts";
import { ROOT } from "../scripts/root.ts";
import { collect } from "./collect.ts";
import { scratch } from "./command.ts";
import { environment, PROJECT, python, run } from "./deploy/python.ts";
import { greedyAgain } from "./greedy.ts";

const fileOf = (name: string) => path.join(ROOT, "test", "models", "stream", name, "model.onnx");

const REQUESTS: GenerateOptions[] = [
  { inputIds: [1, 2, 3, 4, 5, 6, 7], maxNewTokens: 12 },
  { inputIds: [9], maxNewTokens: 3 },
  { inputIds: [8, 8, 8], maxNewTokens: 9 },
];

describe.each(["ids-mask-positions", "ids-int32"])("%s", (name) => {
  const dir = scratch();
  let converted: Graph;
  let model: Model;
  let original: Runner;
  beforeAll(async () => {
    ({ model: converted } = await convert(fileOf(name)));
    model = await loadModel(nodeBackend, encodeModel(converted), { sliceLength: 4 });
    original = await openModel(await readModel(fileOf(name)));
  });
  afterAll(async () => {
    await model?.close();
    await original?.close();
    dir.remove();
  });

  const again = ({ inputIds, maxNewTokens }: GenerateOptions): Promise<number[]> =>
    greedyAgain(original, inputIds as number[], maxNewTokens!, name === "ids-int32" ? DataType.INT32 : undefined);

  test("one sequence, its prompt in slices, and unequal prompts together", async () => {
    const due = await Promise.all(REQUESTS.map(again));
    for (const [k, request] of REQUESTS.entries())
      expect((await collect(generate(model, request))).map(({ token }) => token)).toEqual(due[k]);
    const tokens: number[][] = REQUESTS.map(() => []);
    for await (const { row, token } of generateBatch(model, REQUESTS)) tokens[row]!.push(token);
    expect(tokens).toEqual(due);
  });

  test("transformers.js makes the same tokens from a folder", async () => {
    const folder = dir.at("folder");
    const { step } = await convert(fileOf(name), { stepFile: true });
    await writeOutput(converted, await lookBeside(fileOf(name)), targetOf(folder), { step });
    for (const file of ["model", "model_step"]) {
      const { inputs } = (await readModel(path.join(folder, "onnx", `${file}.onnx`))).graph;
      expect(inputs.find((input) => input.name === "input_ids")!.type).toBe(DataType.INT64);
    }
    env.allowRemoteModels = false;
    const stock = await AutoModelForCausalLM.from_pretrained(folder);
    for (const request of REQUESTS) {
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

  test.skipIf(!python)("ONNX Runtime GenAI makes the same tokens", async () => {
    const at = await environment("newest");
    const [request] = REQUESTS as [GenerateOptions];
    await writeModel(converted, dir.at("genai.onnx"));
    const due = await again(request);
    const endTokens = [Array.from({ length: 31 }, (_, id) => id).find((id) => !due.includes(id))!];
    await deployGenai(dir.at("genai.onnx"), dir.at("genai"), { endTokens });
    const script = path.join(PROJECT, "examples", "genai/generate.py");
    const prompt = (request.inputIds as number[]).map(String);
    const printed = await run(at, [script, dir.at("genai"), String(request.maxNewTokens), "--ids", ...prompt]);
    expect(printed.trim().split(" ").map(Number)).toEqual(due);
  });
});
