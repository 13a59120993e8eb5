/** A folder says where its model ends in the field that a stack has for it, and texts end there. */
import path from "node:path";
import { AutoModelForCausalLM, env, Tensor } from "@huggingface/transformers";
import { afterAll, beforeAll, describe, expect, test, vi } from "vitest";
import { convert } from "../../converter/convert.ts";
import { genaiConfig, genaiModel } from "../../converter/deploy/genai.ts";
import { readModel } from "../../converter/file/read.ts";
import { writeModel } from "../../converter/file/write.ts";
import { lookBeside } from "../../converter/output/beside.ts";
import { textFile } from "../../converter/output/folder.ts";
import { writeOutput } from "../../converter/output/output.ts";
import { targetOf } from "../../converter/output/target.ts";
import { generate, load } from "../../runtime/node.ts";
import { collect, PROMPT, TABLES } from "../claims.ts";
import { scratch } from "../command.ts";
import { environment, PROJECT, python, run } from "./python.ts";

const dir = scratch();
const folder = dir.at("model");
/** What our own runtime makes until the table ends. */
let tokens: number[];

beforeAll(async () => {
  const { file } = TABLES[1]!;
  await writeOutput((await convert(file)).model, await lookBeside(file), targetOf(folder));
  const ours = await load(folder);
  const made = await collect(generate(ours, { inputIds: PROMPT, beyond: true }));
  await ours.close();
  expect(made.finish).toBe("positions");
  tokens = made.tokens;
});
afterAll(() => dir.remove());

test("transformers.js fills the table with the same tokens", async () => {
  env.allowRemoteModels = false;
  const model = await AutoModelForCausalLM.from_pretrained(folder);
  const { max_position_embeddings: end } = model.config as unknown as { max_position_embeddings: number };
  const dims = [1, PROMPT.length];
  const inputs = {
    input_ids: new Tensor("int64", BigInt64Array.from(PROMPT, BigInt), dims),
    attention_mask: new Tensor("int64", new BigInt64Array(PROMPT.length).fill(1n), dims),
  };
  const out = (await model.generate({ ...inputs, max_length: end, do_sample: false } as never)) as Tensor;
  expect(Array.from(out.data as BigInt64Array, Number)).toEqual([...PROMPT, ...tokens]);
  // More is no text: ONNX Runtime looks beyond the table, and transformers.js prints all that it was fed.
  const silent = vi.spyOn(console, "error").mockReturnValue(undefined);
  await expect(model.generate({ ...inputs, max_new_tokens: end, do_sample: false } as never)).rejects.toThrow(/Gather/);
  silent.mockRestore();
  await model.dispose();
});

describe.skipIf(!python)("Python", () => {
  let interpreter: string;
  beforeAll(async () => {
    interpreter = await environment("newest");
  });
  const example = (name: string) => path.join(PROJECT, "examples", name);
  const numbers = (line: string) => line.trim().split(/\s+/).map(Number);

  test("the example for onnxruntime stops there, whatever it is asked for", async () => {
    const args = [example("python/generate.py"), path.join(folder, "onnx/model.onnx"), "1000", ...PROMPT.map(String)];
    expect(numbers(await run(interpreter, args))).toEqual(tokens);
  });

  test("ONNX Runtime GenAI fills its context with the same tokens, and refuses a longer one", async () => {
    const model = genaiModel(await readModel(path.join(folder, "onnx/model.onnx")));
    const unused = Array.from({ length: 61 }, (_, id) => id).find((id) => ![...PROMPT, ...tokens].includes(id))!;
    const config = genaiConfig(model, { endTokens: [unused] });
    await writeModel(model, dir.at("model.onnx"));
    await textFile("genai_config.json", JSON.stringify(config)).write(dir.at("genai_config.json"));
    const args = (count: number) => [
      example("genai/generate.py"),
      dir.folder,
      String(count),
      "--ids",
      ...PROMPT.map(String),
    ];
    expect(numbers(await run(interpreter, args(tokens.length)))).toEqual(tokens);
    await expect(run(interpreter, args(tokens.length + 1))).rejects.toThrow(/context_length/);
  });
});
