/** The trained demo model in the exact form: PyTorch's logits, and the text that the exported graph would write. */
import { afterAll, beforeAll, expect, test } from "vitest";
import { convert } from "../converter/convert.ts";
import { readModel } from "../converter/file/read.ts";
import type { Tensor } from "../converter/graph/tensor.ts";
import { openModel, type Runner } from "../converter/ort/run.ts";
import { INPUT_IDS, LOGITS } from "../src/contract.ts";
import { type Converted, openConverted, tokenByToken } from "./converted.ts";
import { idsTensor, promptIds, rerunGreedy, stepGreedy, topTwo } from "./greedy.ts";
import { casesOf, demoModel } from "./testdata.ts";

const HORIZON = 512;
/** Largest |difference| of logits. */
const TOLERANCE = 1e-4;

const demo = demoModel();
const cases = casesOf(demo);
let original: Runner;
let converted: Converted;

beforeAll(async () => {
  const { model } = await convert(demo.file, { exact: true, horizon: HORIZON });
  converted = await openConverted(model);
  original = await openModel(await readModel(demo.file));
});
afterAll(() => Promise.all([converted?.close(), original?.close()]));

const sets = cases.map(({ input }, set) => ({ set, length: input.tensor.dims[1]! }));

const largestDifference = (a: Tensor, b: Tensor): number => {
  expect(a.dims).toEqual(b.dims);
  const [x, y] = [a.data as Float32Array, b.data as Float32Array];
  return x.reduce((most, value, k) => Math.max(most, Math.abs(value - y[k]!)), 0);
};

test.each(sets)("PyTorch's logits in one pass, data set $set", async ({ set, length }) => {
  const { input, output } = cases[set]!;
  const logits = (await converted.run({ [INPUT_IDS]: input.tensor }, [length]))[LOGITS]!;
  expect(largestDifference(logits, output.tensor)).toBeLessThanOrEqual(TOLERANCE);
});

test.each(sets)("PyTorch's logits token by token, data set $set", async ({ set, length }) => {
  const { input, output } = cases[set]!;
  const logits = (await converted.run({ [INPUT_IDS]: input.tensor }, tokenByToken(length)))[LOGITS]!;
  expect(largestDifference(logits, output.tensor)).toBeLessThanOrEqual(TOLERANCE);
});

test("where ORT's own transform picks another token, its error explains it and PyTorch sides with the converted model", async () => {
  for (const { input, output } of cases) {
    const [batch, length, vocabulary] = output.tensor.dims as [number, number, number];
    const ours = (await converted.run({ [INPUT_IDS]: input.tensor }, [length]))[LOGITS]!;
    const theirs = (await original.run({ [INPUT_IDS]: input.tensor }))[LOGITS]!;
    const error = largestDifference(theirs, output.tensor);
    for (let row = 0; row < batch * length; row++) {
      const top = (tensor: Tensor) =>
        topTwo((tensor.data as Float32Array).subarray(row * vocabulary, (row + 1) * vocabulary));
      const torch = top(output.tensor);
      expect(top(ours).token).toBe(torch.token);
      if (top(theirs).token !== torch.token) expect(torch.gap).toBeLessThanOrEqual(2 * error);
    }
  }
});

test("greedy text of 512 tokens: the exported graph, reading it at once, would choose every token", async () => {
  const text = await stepGreedy(converted, promptIds(demo.folder, 1), HORIZON);
  expect(text).toHaveLength(1 + HORIZON);
  // position i of one run over 512 tokens, a power of two, is what running the graph again at step i gives: it is causal
  const logits = (await original.run({ [INPUT_IDS]: idsTensor(text.slice(0, HORIZON)) }))[LOGITS]!;
  const vocabulary = logits.dims[2]!;
  const chosen = Array.from(
    { length: HORIZON },
    (_, i) => topTwo((logits.data as Float32Array).subarray(i * vocabulary, (i + 1) * vocabulary)).token,
  );
  expect(chosen).toEqual(text.slice(1));
});

// All 512 steps, at exact and at padded lengths: scripts/demo-greedy.ts
test("greedy text of 48 tokens: the exported graph, run again for each, writes the same", async () => {
  const prompt = promptIds(demo.folder, 9);
  const ours = await stepGreedy(converted, prompt, 48);
  const { text } = await rerunGreedy(original, prompt, 48, { padded: true });
  expect(text).toEqual(ours);
});
