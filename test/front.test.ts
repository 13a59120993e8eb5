/**
 * Spellings of published code, through the whole way: PyTorch's outputs in one pass, token by token and cut at random; the
 * original in ONNX Runtime at 3,000 positions, or up to where the model ends; beyond its end an error. What each model is:
 * test/models/front/front.json.
 */
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { Conversion } from "../converter/conversion.ts";
import { convert } from "../converter/convert.ts";
import { readModel } from "../converter/file/read.ts";
import { int64Tensor, type Tensor } from "../converter/graph/tensor.ts";
import { openModel } from "../converter/ort/run.ts";
import { generate, type Model, read } from "../runtime/node.ts";
import { uniform } from "../src/random.ts";
import { collect, openModels, PROMPT } from "./claims.ts";
import { type Converted, openConverted, tokenByToken } from "./converted.ts";
import { preciseTransforms } from "./precise.ts";
import { casesOf, frontModels, relativeDifference } from "./testdata.ts";

/** Largest |difference| over largest |output|. */
const TOLERANCE = 1e-4;
/** Positions at which models that do not end are compared with the original. */
const FAR = 3000;

const models = openModels();
afterAll(() => models.close());

const randomCuts = (length: number, seed: number): number[] => {
  const next = uniform(seed);
  return [...tokenByToken(length - 1).filter(() => next() < 0.2), length];
};

describe.each(frontModels())("$name: $note", (spelling) => {
  const { file, ends } = spelling;
  let conversion: Conversion;
  let converted: Converted;
  beforeAll(async () => {
    conversion = await convert(file);
    converted = await openConverted(conversion.model);
  });
  afterAll(() => converted?.close());

  const logits = async (ids: Tensor, cuts: readonly number[]): Promise<Tensor> =>
    (await converted.run({ input_ids: ids }, cuts)).logits!;

  test("PyTorch's outputs in one pass, token by token, cut at random", async () => {
    for (const [set, { input, output }] of casesOf(spelling).entries()) {
      const length = input.tensor.dims[1]!;
      for (const cuts of [[length], tokenByToken(length), randomCuts(length, set + 1)])
        expect(relativeDifference(await logits(input.tensor, cuts), output.tensor)).toBeLessThan(TOLERANCE);
    }
  });

  test(`the original at ${ends ?? FAR} positions`, async () => {
    expect(conversion.claim.positions ?? Number.POSITIVE_INFINITY).toBeGreaterThanOrEqual(ends ?? FAR);
    const length = ends ?? FAR;
    const next = uniform(7);
    const ids = int64Tensor(
      [1, length],
      Array.from({ length }, () => Math.floor(61 * next())),
    );
    const original = await openModel(preciseTransforms(await readModel(file)));
    const wanted = (await original.run({ input_ids: ids })).logits!;
    await original.close();
    for (const cuts of [[length], [Math.floor(length / 3), length - 1, length]])
      expect(relativeDifference(await logits(ids, cuts), wanted)).toBeLessThan(TOLERANCE);
  });

  if (ends === undefined) return;
  test("beyond its end an error, never a number", async () => {
    const positions = ends;
    expect(conversion.claim.positions).toBe(positions);
    const model: Model = await models.open(conversion.model);
    const story = await collect(generate(model, { inputIds: PROMPT, maxNewTokens: 1000 }));
    expect(story).toEqual({ tokens: expect.any(Array), finish: "reach" });
    expect(story.tokens).toHaveLength(positions - PROMPT.length);
    const ids = Array.from({ length: positions + 1 }, (_, k) => k % 50);
    await expect(read(model, [ids])).rejects.toMatchObject({ code: "beyond-claim" });
  });
});
