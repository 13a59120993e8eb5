/** The length cache of a conversion for transformers.js: in the model when it is checked, a row without elements for every position. */
import { beforeAll, expect, test } from "vitest";
import { CHANNELS, conv, drawn, ofIds } from "../../../test/small.ts";
import { type Checked, convertModel } from "../../convert.ts";
import type { Model } from "../../graph/graph.ts";
import { integerTensor } from "../../graph/integers.ts";
import { isLengthCache, PAST_LENGTH, PRESENT_LENGTH } from "../../graph/length-cache.ts";
import { DataType, type Tensor, toNumbers } from "../../graph/tensor.ts";
import { carried } from "../../ort/carried.ts";
import { openModel } from "../../ort/run.ts";
import { forTransformersJs } from "../../output/dropin.ts";

const WORDS = 50;
const language = ofIds(DataType.INT32, WORDS, (b) => {
  const y = conv(b, b.one("Gather", [drawn(b, "table", [WORDS, CHANNELS]), "ids"]));
  b.one("MatMul", [y, drawn(b, "head", [CHANNELS, WORDS])], {}, { outputs: ["y"] });
});
const IDS = [3, 14, 15, 9, 26, 5];

let plain: Model;
let made: Model;
let step: Model | undefined;
let checked: Checked | undefined;
beforeAll(async () => {
  plain = (await convertModel(language)).model;
  const onChecked = (answers: Checked) => {
    checked = answers;
  };
  const options = { transformersJs: true, stepFile: true };
  ({ model: made, step } = await convertModel(language, options, undefined, { onChecked }));
});

/** Outputs of pieces of three, one and two tokens. */
async function read(model: Model): Promise<Record<string, Tensor>[]> {
  const runner = await openModel(model);
  const pieces = carried(model.graph, runner, 1);
  const { type } = model.graph.inputs.find(({ name }) => name === "input_ids")!;
  const outputs: Record<string, Tensor>[] = [];
  for (const ids of [IDS.slice(0, 3), IDS.slice(3, 4), IDS.slice(4)])
    outputs.push(await pieces.next(ids.length, { input_ids: integerTensor(type, [1, ids.length], (i) => ids[i]!) }));
  await runner.close();
  return outputs;
}

test("it is the last input and the last output, and holds as many rows as were read", async () => {
  expect(made.graph.inputs.at(-1)).toMatchObject({
    name: PAST_LENGTH,
    dims: ["batch_size", 1, "past_sequence_length", 0],
  });
  expect(made.graph.outputs.at(-1)!.name).toBe(PRESENT_LENGTH);
  const lengths = (await read(made)).map((outputs) => outputs[PRESENT_LENGTH]!.dims);
  expect(lengths).toEqual([3, 4, 6].map((length) => [1, 1, length, 0]));
});

test("ids are int64, and the logits are those of the model without it", async () => {
  const [own, other] = [await read(plain), await read(made)];
  for (const [i, { logits }] of own.entries()) expect(toNumbers(other[i]!.logits!)).toEqual(toNumbers(logits!));
  const typeOf = ({ graph }: Model) => graph.inputs.find(({ name }) => name === "input_ids")!.type;
  expect([plain, made, step!].map(typeOf)).toEqual([DataType.INT32, DataType.INT64, DataType.INT64]);
});

test("it was there when the model was checked: nothing is left for the writing to add", () => {
  expect(checked?.model?.passes[0]?.inputs.input_ids?.type).toBe(DataType.INT64);
  expect(forTransformersJs(made).model).toBe(made);
  expect(forTransformersJs(plain).model.graph.inputs.at(-1)!.name).toBe(PAST_LENGTH);
});

test("a file for one token a call has none, nor has a model that transformers.js would not drive", async () => {
  expect(step!.graph.inputs.some(isLengthCache)).toBe(false);
  const { model } = await convertModel(language, { transformersJs: true, inputName: "words" });
  expect(model.graph.inputs.map(({ name }) => name)).not.toContain(PAST_LENGTH);
});
