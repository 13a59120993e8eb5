/** The demo model in stacks that know nothing of us: the same greedy text from all of them. */
import { existsSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import {
  AutoModelForCausalLM,
  AutoTokenizer,
  DynamicCache,
  env,
  type PreTrainedModel,
  Tensor,
} from "@huggingface/transformers";
import { Command } from "commander";
import { afterAll, beforeAll, describe, expect, test, vi } from "vitest";
import { checkContract } from "../../converter/contract/contract.ts";
import type { Conversion } from "../../converter/conversion.ts";
import { convert } from "../../converter/convert.ts";
import { genaiConfig, genaiModel } from "../../converter/deploy/genai.ts";
import { readModel } from "../../converter/file/read.ts";
import { lookBeside } from "../../converter/output/beside.ts";
import { writeOutput } from "../../converter/output/output.ts";
import { targetOf } from "../../converter/output/target.ts";
import { generate, load, type Model } from "../../runtime/node.ts";
import { runProgram } from "../../src/cli/command.ts";
import { deployCommand } from "../../src/cli/deploy.ts";
import { promptIds } from "../greedy.ts";
import { demoModel, zooModel } from "../testdata.ts";
import { launchChromium } from "../web/chromium.ts";
import { environment, PROJECT, python, run } from "./python.ts";
import { serveExample } from "./site.ts";

const COUNT = 256;
const LONG = 1000;
const TEXTS = ["In the beginning", "And it came to pass, that when Jesus had", "Moses"];

const root = mkdtempSync(path.join(tmpdir(), "deploy-"));
const folder = path.join(root, "demo");
const prompt = promptIds(demoModel().folder, 7);
let ours: Model;
/** LONG tokens after the prompt, from our own runtime. */
const greedy: number[] = [];

beforeAll(async () => {
  const { file } = demoModel();
  const { model } = await convert(file, { order: 16, horizon: 512 });
  await writeOutput(model, await lookBeside(file), targetOf(folder));
  ours = await load(folder);
  // the kernels go on beyond the horizon, and so do the texts that are compared here
  const long = { maxNewTokens: LONG, stopTokens: [], beyond: true };
  for await (const { token } of generate(ours, { inputIds: prompt, ...long })) greedy.push(token);
});
afterAll(async () => {
  await ours?.close();
  rmSync(root, { recursive: true, force: true });
});

const example = (name: string) => path.join(PROJECT, "examples", name);
const numbers = (line: string) => line.trim().split(/\s+/).map(Number);

/** `longconv-ssm deploy …` */
async function deploy(...args: string[]): Promise<void> {
  const silent = vi.spyOn(process.stdout, "write").mockReturnValue(true);
  try {
    expect(await runProgram(new Command().addCommand(deployCommand()), ["deploy", ...args])).toBe(0);
  } finally {
    silent.mockRestore();
  }
}

test("the folder keeps the state contract", async () => {
  const { kept, findings } = checkContract(await readModel(path.join(folder, "onnx/model.onnx")));
  expect(findings.filter(({ breaks }) => breaks)).toEqual([]);
  expect(kept).toBe(true);
});

describe("transformers.js", () => {
  let model: PreTrainedModel;
  beforeAll(async () => {
    env.allowRemoteModels = false;
    model = await AutoModelForCausalLM.from_pretrained(folder);
  });
  afterAll(() => model?.dispose());

  const ids = (rows: readonly (readonly number[])[]) =>
    new Tensor("int64", BigInt64Array.from(rows.flat(), BigInt), [rows.length, rows[0]!.length]);
  const ones = (tensor: Tensor) => new Tensor("int64", new BigInt64Array(tensor.size).fill(1n), tensor.dims);
  const settings = { do_sample: false, eos_token_id: null };
  const tokens = (tensor: Tensor): number[][] => tensor.tolist().map((row: bigint[]) => row.map(Number));

  test(`${COUNT} greedy tokens`, async () => {
    const input_ids = ids([prompt]);
    const out = await model.generate({
      input_ids,
      attention_mask: ones(input_ids),
      max_new_tokens: COUNT,
      ...settings,
    } as never);
    expect(tokens(out as Tensor)[0]!.slice(prompt.length)).toEqual(greedy.slice(0, COUNT));
  });

  test("past_key_values passed on between calls", async () => {
    const past_key_values = new DynamicCache();
    let sequence: Tensor = ids([prompt]);
    for (const max_new_tokens of [1, 5, 14]) {
      const given = { input_ids: sequence, attention_mask: ones(sequence), past_key_values };
      sequence = (await model.generate({ ...given, max_new_tokens, ...settings } as never)) as Tensor;
    }
    expect(tokens(sequence)[0]!.slice(prompt.length)).toEqual(greedy.slice(0, 20));
  });

  test("a batch of unequal length, padded on the left: each row as if it were alone", async () => {
    const tokenizer = await AutoTokenizer.from_pretrained(folder);
    tokenizer.padding_side = "left";
    const inputs = tokenizer(TEXTS, { padding: true });
    expect(inputs.attention_mask.tolist().flat()).toContain(0n);
    const out = (await model.generate({ ...inputs, max_new_tokens: 32, ...settings } as never)) as Tensor;
    const length = inputs.input_ids.dims[1]!;
    for (const [row, text] of TEXTS.entries())
      expect(tokens(out)[row]!.slice(length)).toEqual(await continued(text, 32));
  });

  test("num_logits_to_keep: all positions by default, the last ones if asked", async () => {
    const input_ids = ids([prompt]);
    const given = { input_ids, attention_mask: ones(input_ids) };
    const all = (await model(given)).logits as Tensor;
    const last = (await model({ ...given, num_logits_to_keep: new Tensor("int64", [2n], []) })).logits as Tensor;
    expect(all.dims).toEqual([1, prompt.length, 2048]);
    expect(last.dims).toEqual([1, 2, 2048]);
    expect(closest(last.data as Float32Array, all.data as Float32Array)).toBeLessThan(1e-4);
  });

  test("the example: pipeline('text-generation') on a batch", async () => {
    const lines = (await run(process.execPath, [example("transformers/generate.js"), folder, "24", ...TEXTS]))
      .trim()
      .split("\n");
    for (const [row, text] of TEXTS.entries())
      expect(JSON.parse(lines[row]!)).toBe(text + decode(await continued(text, 24)));
  });

  // Without a GPU, SwiftShader needs most of a second for a token.
  test.each([
    ["wasm", COUNT],
    ["webgpu", 6],
  ] as const)("the example in Chromium, on %s", async (device, count) => {
    const [site, browser] = [await serveExample(folder), await launchChromium()];
    try {
      const page = await browser.newPage();
      await page.goto(`${site.url}?device=${device}`);
      await page.waitForFunction(() => "generate" in globalThis);
      const text = await page.evaluate(
        ([given, tokens]) =>
          (globalThis as unknown as { generate: (text: string, tokens: number) => Promise<string> }).generate(
            given,
            tokens,
          ),
        [TEXTS[0]!, count] as const,
      );
      expect(text).toBe(TEXTS[0]! + decode(await continued(TEXTS[0]!, count)));
    } finally {
      await browser.close();
      site.close();
    }
  });
});

/** Our own greedy tokens after a text. */
async function continued(text: string, maxNewTokens: number): Promise<number[]> {
  const made: number[] = [];
  for await (const { token } of generate(ours, { prompt: text, maxNewTokens, stopTokens: [] })) made.push(token);
  return made;
}

const decode = (tokens: readonly number[]): string => ours.tokenizer!.decode([...tokens], { skipSpecialTokens: true });

/** Largest difference of `part` to the end of `whole`. */
const closest = (part: Float32Array, whole: Float32Array): number =>
  part.reduce((most, value, i) => Math.max(most, Math.abs(value - whole[whole.length - part.length + i]!)), 0);

describe.skipIf(!python)("Python", () => {
  const interpreters: Record<string, string> = {};
  const hyena = zooModel("hyena").file;
  let unequal: Conversion;
  beforeAll(async () => {
    for (const which of ["newest", "oldest"] as const) interpreters[which] = await environment(which);
    unequal = await convert(hyena);
  });

  test.each(["newest", "oldest"])(`${COUNT} greedy tokens from onnxruntime, %s`, async (which) => {
    const args = [
      example("python/generate.py"),
      path.join(folder, "onnx/model.onnx"),
      String(COUNT),
      ...prompt.map(String),
    ];
    expect(numbers(await run(interpreters[which]!, args))).toEqual(greedy.slice(0, COUNT));
  });

  test("ONNX Runtime GenAI: 1 000 greedy tokens, and the limits of its engine", async () => {
    const out = path.join(root, "genai");
    await deploy("genai", folder, "-o", out, "--context-length", String(4 * LONG), "--beyond");
    const { kept } = checkContract(await readModel(path.join(out, "model.onnx")));
    expect(kept).toBe(true);
    const args = [example("genai/generate.py"), out, String(LONG), "--ids", ...prompt.map(String)];
    expect(numbers(await run(interpreters.newest!, args))).toEqual(greedy);
    const engine = await run(interpreters.newest!, [example("genai/engine.py"), out, ...prompt.map(String)]);
    expect(
      Object.fromEntries(
        engine
          .trim()
          .split("\n")
          .map((line) => line.split("\t")),
      ),
    ).toEqual({
      static: "ENGINE_CONTRACT_FAILURE after 0 tokens",
      dynamic: "Model input was not found: past_key_values.0.key",
      "dynamic, fixed states": "Dynamic batching requires exactly one paged_kv decoder state group",
    });
  });

  test("ONNX Runtime GenAI: states of unequal shape, as a tolerance leaves them", async () => {
    const [converted, out] = [path.join(root, "hyena-default"), path.join(root, "hyena-genai")];
    const { model, layers } = unequal;
    expect(new Set(layers.map(({ order }) => order)).size).toBeGreaterThan(1);
    await writeOutput(model, await lookBeside(hyena), targetOf(converted));
    // an id that the text does not reach
    await deploy("genai", converted, "-o", out, "--end-token", "0");
    expect(checkContract(await readModel(path.join(out, "model.onnx"))).kept).toBe(true);
    const start = [7, 3, 11];
    const native = await load(converted);
    const expected: number[] = [];
    for await (const { token } of generate(native, { inputIds: start, maxNewTokens: 100, stopTokens: [0] }))
      expected.push(token);
    await native.close();
    const args = [example("genai/generate.py"), out, "100", "--ids", ...start.map(String)];
    expect(numbers(await run(interpreters.newest!, args))).toEqual(expected);
  });

  test("ONNX Runtime GenAI: a model that ends no text is refused, and says what to give", () => {
    const { model } = unequal;
    expect(() => genaiConfig(genaiModel(model), { endTokens: [] })).toThrow(/`endToken/);
    expect(() => genaiConfig(genaiModel(model), { endTokens: [9999] })).toThrow(/9999/);
  });

  test("Triton: repositories by its own schema, and sequences batched through its protocol", async () => {
    const strategies = ["direct", "oldest", "client"];
    const folders = strategies.map((strategy) => path.join(root, strategy));
    for (const [i, strategy] of strategies.entries())
      await deploy("triton", folder, "-o", folders[i]!, "--strategy", strategy, "--max-batch-size", "3");
    // More sequences than rows, of several lengths, two of them equal.
    const prompts = [prompt, prompt.slice(0, 1), prompt.slice(0, 4), prompt.slice(2), prompt, prompt.slice(1, 3)];
    const script = path.join(PROJECT, "test/deploy/triton_check.py");
    const models = folders.map((each) => path.join(each, "demo"));
    for (const each of models) expect(existsSync(path.join(each, "1/model.onnx"))).toBe(true);
    const reports = JSON.parse(await run(interpreters.newest!, [script, "24", JSON.stringify(prompts), ...models]));
    const expected = await Promise.all(
      prompts.map(async (inputIds) => {
        const made: number[] = [];
        for await (const { token } of generate(ours, { inputIds, maxNewTokens: 24, stopTokens: [] })) made.push(token);
        return made;
      }),
    );
    for (const [i, { config, texts, largest_batch, left_over }] of reports.entries()) {
      expect(texts).toEqual(expected);
      expect(largest_batch).toBeGreaterThan(1);
      expect(left_over).toBe(0);
      expect(config).toMatchObject({ name: "demo", backend: "onnxruntime", max_batch_size: 3 });
      if (strategies[i] === "client") {
        expect(config).toHaveProperty("dynamic_batching");
        expect(config.input.map(({ name }: { name: string }) => name)).toContain("past_ssm.3");
        continue;
      }
      expect(config.sequence_batching).toHaveProperty(strategies[i]!);
      expect(config.sequence_batching.state).toHaveLength(4);
      const shape = { data_type: "TYPE_FP32", dims: ["16", "384"] };
      const zeros = { ...shape, zero_data: true, name: "zeros" };
      expect(config.sequence_batching.state[3]).toEqual({
        input_name: "past_ssm.3",
        output_name: "present_ssm.3",
        ...shape,
        initial_state: [zeros],
      });
    }
  });
});
