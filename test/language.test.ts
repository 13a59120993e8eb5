/** What a language model is, wherever it is asked: the plainest export has the names that its tracer made up. */
import { readFileSync } from "node:fs";
import { afterAll, beforeAll, expect, test } from "vitest";
import { checkContract } from "../converter/contract/contract.ts";
import { convert, convertModel } from "../converter/convert.ts";
import { genaiConfig, genaiModel } from "../converter/deploy/genai.ts";
import { readModel } from "../converter/file/read.ts";
import { writeModel } from "../converter/file/write.ts";
import type { Model } from "../converter/graph/graph.ts";
import { renameTensors } from "../converter/graph/rename.ts";
import { DataType, float32Tensor, int64Tensor, toNumbers } from "../converter/graph/tensor.ts";
import { openModel } from "../converter/ort/run.ts";
import { generate, load } from "../runtime/node.ts";
import { METADATA, NUM_LOGITS_TO_KEEP } from "../src/contract.ts";
import { longconv, scratch } from "./command.ts";
import { openConverted } from "./converted.ts";
import { CHANNELS, conv, KERNEL, ofIds, small } from "./small.ts";
import { relativeDifference, zooModel } from "./testdata.ts";

const dir = scratch();
afterAll(() => dir.remove());

const PLAIN = new Map([
  ["input_ids", "ids"],
  ["logits", "linear_32"],
]);
const options = { exact: true, horizon: 64 } as const;

/** A model of the zoo under other names. */
async function plain(names: ReadonlyMap<string, string> = PLAIN): Promise<Model> {
  const model = await readModel(zooModel("tnn-conv1d").file);
  return { ...model, graph: renameTensors(model.graph, names) };
}

const namesOf = ({ graph }: Model) => [graph.inputs[0]!.name, graph.outputs[0]!.name];

/** Six greedy tokens. */
async function text(file: string): Promise<number[]> {
  const model = await load(file);
  const tokens: number[] = [];
  for await (const { token } of generate(model, { inputIds: [3, 1, 4], maxNewTokens: 6 })) tokens.push(token);
  await model.close();
  return tokens;
}

/** The same by the export, run again for each. */
async function wanted(model: Model): Promise<number[]> {
  const runner = await openModel(model);
  const [ids, logits] = namesOf(model) as [string, string];
  const all = [3, 1, 4];
  while (all.length < 9) {
    const got = (await runner.run({ [ids]: int64Tensor([1, all.length], all) }))[logits]!;
    const last = toNumbers(got).slice(-got.dims.at(-1)!);
    all.push(last.indexOf(last.reduce((a, b) => Math.max(a, b))));
  }
  await runner.close();
  return all.slice(3);
}

beforeAll(async () => writeModel(await plain(), dir.at("plain.onnx")));

test("the plainest export: ids → linear_32 becomes input_ids → logits, said in words and in JSON, and generates", async () => {
  const out = dir.at("folder");
  const run = await longconv(["convert", dir.at("plain.onnx"), "-o", out, "--exact", "--horizon", "64"]);
  expect(run.stdout).toContain("renamed   ids → input_ids: the name of a language model's token ids\n");
  expect(run.stdout).toContain("renamed   linear_32 → logits: the name of a language model's logits\n");
  expect(JSON.parse(readFileSync(dir.at("folder/config.json"), "utf8"))).toHaveProperty("vocab_size");
  const expected = await wanted(await plain());
  expect(await text(out)).toEqual(expected);
  const made = await longconv(["generate", out, "--ids", "3,1,4", "-n", "6", "--json"]);
  expect(JSON.parse(made.stdout)).toMatchObject({ tokens: expected });
  const verified = await longconv(["verify", dir.at("plain.onnx"), out, "--lengths", "16", "--json"]);
  expect(JSON.parse(verified.stdout)).toMatchObject({ kind: "language", rows: [{ argmaxDiffers: 0 }, {}] });
});

test("under other names that are asked for, everything knows it as well", async () => {
  const file = dir.at("named.onnx");
  const names = ["--input-name", "tokens", "--output-name", "scores"];
  const args = ["convert", dir.at("plain.onnx"), "-o", file, "--exact", "--horizon", "64", ...names, "--json"];
  const { renamed, language } = JSON.parse((await longconv(args)).stdout);
  expect(renamed).toEqual({ ids: "tokens", linear_32: "scores" });
  expect(language).toEqual({ ids: "tokens", logits: "scores" });
  expect(await text(file)).toEqual(await wanted(await plain()));
  const model = await readModel(file);
  expect(checkContract(model).findings.filter(({ breaks }) => breaks)).toEqual([]);
  expect(genaiConfig(genaiModel(model), { endTokens: [0] })).toMatchObject({
    model: { decoder: { inputs: { input_ids: "tokens" }, outputs: { logits: "scores" } } },
  });
  const verified = await longconv(["verify", dir.at("plain.onnx"), file, "--lengths", "16", "--json"]);
  expect(JSON.parse(verified.stdout)).toMatchObject({ kind: "language", rows: [{ argmaxDiffers: 0 }, {}] });
});

test.each(["input_ids", "attention_mask", "num_logits_to_keep", "past_ssm.0", "present_ssm.0"])(
  "a tensor inside that is called %s is put aside",
  async (name) => {
    const inner = (await plain()).graph.nodes.find(({ op }) => op === "Add" || op === "Mul")!.outputs[0]!;
    const model = await plain(new Map([...PLAIN, [inner, name]]));
    const { model: made, renamed } = await convertModel(model, options);
    expect(namesOf(made)).toEqual(["input_ids", "logits"]);
    expect([...renamed.keys()]).toEqual(["ids", "linear_32"]);
    const file = dir.at(`aside-${name}.onnx`);
    await writeModel(made, file);
    expect(await text(file)).toEqual(await wanted(await plain()));
  },
);

/** ids → [batch, n, width], features of an encoder where the table has many more rows. */
const looksUp = (width: number, rows: number): Model =>
  ofIds(DataType.INT32, width, (b) => {
    const table = Float32Array.from({ length: rows * CHANNELS }, (_, i) => Math.sin(i));
    const y = conv(b, b.one("Gather", [b.floats("table", [rows, CHANNELS], table), "ids"]));
    const head = b.floats("head", [CHANNELS, width], KERNEL.subarray(0, CHANNELS * width));
    b.one("MatMul", [y, head], {}, { outputs: ["y"] });
  });

test("int32 ids are ids; an encoder's features are no logits, unless somebody says so", async () => {
  const model = await convertModel(looksUp(16, 16));
  expect(namesOf(model.model)).toEqual(["input_ids", "logits"]);
  const encoder = await convertModel(looksUp(8, 32));
  expect(namesOf(encoder.model)).toEqual(["ids", "y"]);
  expect(encoder.language).toBeUndefined();
  const said = await convertModel(looksUp(8, 32), { outputName: "scores" });
  expect(said.model.metadata.get(METADATA.language)).toBe("input_ids\nscores");
});

test.each([
  ["num_logits_to_keep", DataType.FLOAT],
  ["attention_mask", DataType.FLOAT],
  ["position_ids", DataType.FLOAT],
  ["past_key_values", DataType.FLOAT],
  ["num_logits_to_keep", DataType.INT64],
])("a model's own input that is called %s (type %i) is read as it is given", async (own, type) => {
  const plainIds = ofIds(DataType.INT64, CHANNELS, (b) => {
    const table = b.floats(
      "table",
      [61, CHANNELS],
      Float32Array.from({ length: 61 * CHANNELS }, (_, i) => Math.sin(i)),
    );
    const beside = b.one("Cast", [own], { to: DataType.FLOAT });
    const factor = b.one("Unsqueeze", [beside, b.ints("behind", [2])]);
    const y = conv(b, b.one("Mul", [b.one("Gather", [table, "ids"]), factor]));
    b.one("Identity", [y], {}, { outputs: ["y"] });
  });
  const inputs = [...plainIds.graph.inputs, { name: own, type, dims: ["b", "n"] }];
  const model = { ...plainIds, graph: { ...plainIds.graph, inputs } };
  const { model: made, renamed } = await convertModel(model);
  const of = (name: string) => renamed.get(name) ?? name;
  expect(checkContract(made).findings.filter(({ breaks }) => breaks)).toEqual([]);
  // the driver's own is one number
  expect(made.graph.inputs.filter(({ name, dims }) => name === NUM_LOGITS_TO_KEEP && dims?.length !== 0)).toEqual([]);
  const length = 9;
  const numbers = Array.from({ length }, (_, i) => 1 + (i % 3));
  const beside = type === DataType.FLOAT ? float32Tensor([1, length], numbers) : int64Tensor([1, length], numbers);
  const ids = int64Tensor([1, length], numbers);
  const [original, converted] = [await openModel(model), await openConverted(made)];
  const { y } = await original.run({ ids, [own]: beside });
  const got = await converted.run({ [of("ids")]: ids, [of(own)]: beside }, [4, 5, length]);
  expect(relativeDifference(got[of("y")]!, y!)).toBeLessThan(1e-5);
  await Promise.all([original.close(), converted.close()]);
});

test("names are refused where they mean something else, or where nothing is a language model", async () => {
  const refused = { code: "usage" };
  await expect(convert(dir.at("plain.onnx"), { ...options, inputName: "attention_mask" })).rejects.toMatchObject(
    refused,
  );
  await expect(convert(dir.at("plain.onnx"), { ...options, outputName: "present_ssm.0" })).rejects.toMatchObject(
    refused,
  );
  await expect(convert(dir.at("plain.onnx"), { ...options, outputName: "input_ids" })).rejects.toMatchObject(refused);
  const signal = small({ build: (b) => b.one("Identity", [conv(b, "x")], {}, { outputs: ["y"] }) });
  await expect(convertModel(signal, { inputName: "tokens" })).rejects.toMatchObject(refused);
});
