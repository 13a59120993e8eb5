/**
 * Language models of Hugging Face transformers, exported without a cache (test/models/make/transformers_lm.py): the greedy tokens of
 * their own cached generation in PyTorch.
 */
import { readFileSync } from "node:fs";
import path from "node:path";
import { expect, test } from "vitest";
import { convert } from "../converter/convert.ts";
import { encodeModel } from "../converter/file/encode.ts";
import { generateBatch } from "../runtime/generate/batch/batch.ts";
import { loadModel } from "../runtime/model/session.ts";
import { nodeBackend } from "../runtime/node/backend.ts";
import { ROOT } from "../scripts/root.ts";

const FOLDER = path.join(ROOT, "test", "models", "transformers");

interface Made {
  readonly prompt: number[];
  readonly tokens: number[];
}

test.each([
  ["gpt2", ["cache", "cache", "cache", "cache", "counter"]],
  ["llama", ["cache", "cache", "cache", "cache", "counter"]],
  ["lfm2", ["window", "cache", "cache", "window", "counter"]],
  ["gpt2-mask", ["cache", "cache", "cache", "cache", "counter"]],
  ["llama-mask", ["cache", "cache", "cache", "cache", "counter"]],
  // positions are the running sum of the mask
  ["opt-mask", ["sum", "cache", "cache", "cache", "cache"]],
  // a sliding window of 12
  ["mistral-mask", ["rows", "rows", "rows", "rows", "rows", "rows", "counter"]],
])("%s: the tokens of its own cached generation", async (name, forms) => {
  const { prompt, tokens } = JSON.parse(readFileSync(path.join(FOLDER, `${name}.json`), "utf8")) as Made;
  const { model: converted, layers, claim } = await convert(path.join(FOLDER, `${name}.onnx`));
  expect(layers.map(({ form }) => form)).toEqual(forms);
  expect(claim).toMatchObject(/^(gpt2|opt)/.test(name) ? { kind: "ends", positions: 128 } : { kind: "proven" });
  expect(claim.rows).toBe(undefined);
  const model = await loadModel(nodeBackend, encodeModel(converted), { sliceLength: 4 });
  // what was made already is part of the second prompt, so that the pasts are of unequal lengths
  const requests = [0, 20].map((at) => ({
    inputIds: [...prompt, ...tokens.slice(0, at)],
    maxNewTokens: tokens.length - at,
  }));
  const made: number[][] = requests.map(() => []);
  for await (const { row, token } of generateBatch(model, requests)) made[row]!.push(token);
  await model.close();
  expect(made).toEqual([tokens, tokens.slice(20)]);
});
