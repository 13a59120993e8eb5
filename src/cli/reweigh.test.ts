/** Weights of several kinds: side by side from one conversion, and of a converted model. */
import { readdirSync, readFileSync } from "node:fs";
import { AutoModelForCausalLM, env, type PreTrainedModel, Tensor } from "@huggingface/transformers";
import { afterAll, beforeAll, expect, test } from "vitest";
import { contents, errorOf, longconv, scratch } from "../../test/command.ts";
import { promptIds } from "../../test/greedy.ts";
import { demoModel } from "../../test/testdata.ts";

const dir = scratch();
const demo = demoModel();
const KINDS = ["int4", "int8", "float16"];
let several: { weights: { kind: string; rms: number }[] };
const json = async (...args: string[]) => {
  const { code, stdout, stderr } = await longconv([...args, "--json"]);
  expect(code, stderr).toBe(0);
  return JSON.parse(stdout);
};

beforeAll(async () => {
  const options = ["--exact", "--horizon", "64", "--weights", KINDS.join()];
  several = await json("convert", demo.file, "-o", dir.at("several"), ...options);
});
afterAll(() => dir.remove());

test("each kind has its file, under the name that transformers.js looks for", async () => {
  expect(readdirSync(dir.at("several/onnx")).sort()).toEqual(
    ["model.onnx", "model_fp16.onnx", "model_q4.onnx", "model_quantized.onnx"].sort(),
  );
  const card = readFileSync(dir.at("several/README.md"), "utf8");
  expect(card.match(/^\| onnx\/model_\w+\.onnx \| \w+ \| \d\S+ \| \d+ % \|$/gm)).toHaveLength(3);
  expect(several.weights.map(({ kind }) => kind)).toEqual(KINDS);
  const [int4, int8, float16] = several.weights.map(({ rms }) => rms);
  expect(int4).toBeGreaterThan(int8!);
  expect(int8).toBeGreaterThan(float16!);
});

test.each([
  ["q4", "model_q4.onnx"],
  ["q8", "model_quantized.onnx"],
  ["fp16", "model_fp16.onnx"],
] as const)("transformers.js loads dtype %s, and makes the tokens that generate makes of %s", async (dtype, name) => {
  const ids = promptIds(demo.folder, 5);
  const ours = await json("generate", dir.at("several/onnx", name), "--ids", ids.join(), "-n", "12");
  env.allowRemoteModels = false;
  const model: PreTrainedModel = await AutoModelForCausalLM.from_pretrained(dir.at("several"), { dtype });
  const tensor = (values: readonly number[]) =>
    new Tensor("int64", BigInt64Array.from(values, BigInt), [1, ids.length]);
  const inputs = { input_ids: tensor(ids), attention_mask: tensor(ids.map(() => 1)) };
  const all = (await model.generate({ ...inputs, max_new_tokens: 12, do_sample: false })) as Tensor;
  await model.dispose();
  expect(Array.from(all.data as BigInt64Array, Number).slice(ids.length)).toEqual(ours.tokens);
});

test("a converted folder is stored again in fewer bits, without solving, and keeps its configuration", async () => {
  const { weights } = await json("convert", dir.at("several"), "-o", dir.at("again"), "--weights", "int4");
  expect(weights).toEqual(several.weights[0]);
  const [again, before] = [contents(dir.at("again")), contents(dir.at("several"))];
  expect(again.get("onnx/model.onnx")).toBe(before.get("onnx/model_q4.onnx"));
  const config = (name: string) => JSON.parse(readFileSync(dir.at(name, "config.json"), "utf8"));
  expect(config("again")).toEqual(config("several"));
});

test("what does not apply is refused", async () => {
  const convert = (from: string, out: string, ...args: string[]) =>
    longconv(["convert", from, "-o", dir.at(out), "--json", ...args]);
  const codes = [
    await convert(demo.file, "two.onnx", "--weights", "int4,int8"),
    await convert(dir.at("several"), "other", "--weights", "int4", "--exact"),
    await convert(dir.at("again"), "other", "--weights", "int8"),
  ].map((ended) => errorOf(ended).code);
  expect(codes).toEqual(["usage", "usage", "usage"]);
  expect(errorOf(await convert(dir.at("several"), "other", "--exact")).code).toBe("already-converted");
});
