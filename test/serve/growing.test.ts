/** A served model whose keys and values grow: texts of a batch, sessions and prompts that begin alike are what the runtime makes alone. */
import path from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { convert } from "../../converter/convert.ts";
import { encodeModel } from "../../converter/file/encode.ts";
import { ROOT } from "../../scripts/root.ts";
import { METADATA } from "../../src/contract.ts";
import { scratch } from "../command.ts";
import { type Serving, serving } from "./serving.ts";

/** Of the H3 with attention. */
const VOCABULARY = 31;

const dir = scratch();
let at: Serving;
beforeAll(async () => {
  const { model } = await convert(path.join(ROOT, "test", "models", "stream", "h3-attention", "model.onnx"));
  expect(model.metadata.get(METADATA.version)).toBe("2");
  at = await serving({ sessionsFolder: dir.at("sessions") }, { model: encodeModel(model), vocabulary: VOCABULARY });
});
afterAll(async () => {
  await at?.end();
  dir.remove();
});

interface Answer {
  readonly id: string;
  readonly choices: readonly { readonly text: string }[];
  readonly usage: { readonly prompt_tokens_details?: { readonly cached_tokens: number } };
}

async function post(route: string, body: object): Promise<Answer> {
  const sent = { headers: { "content-type": "application/json" }, body: JSON.stringify({ model: "letters", ...body }) };
  const response = await fetch(`${at.url}/v1/${route}`, { method: "POST", ...sent });
  const text = await response.text();
  expect(response.ok, text).toBe(true);
  return JSON.parse(text) as Answer;
}

const complete = (prompt: string, more: object = {}) =>
  post("completions", { prompt, temperature: 0, max_tokens: 8, ...more });
const alone = async (prompt: string, maxNewTokens = 8) => (await at.alone({ prompt, maxNewTokens })).text;

test("texts of unequal length beside one another", async () => {
  const prompts = ["a", "the quick brown fox", "zz top", "of all things", "qu"];
  const answers = await Promise.all(prompts.map((prompt, i) => complete(prompt, { max_tokens: 4 + 3 * i })));
  for (const [i, { choices }] of answers.entries()) expect(choices[0]!.text).toBe(await alone(prompts[i]!, 4 + 3 * i));
});

test("a session goes on after all before it", async () => {
  const { id } = await post("sessions", {});
  let all = "";
  for (const prompt of ["abc", "the quick", "z"]) {
    const expected = await alone(all + prompt);
    expect((await complete(prompt, { session: id })).choices[0]!.text).toBe(expected);
    all += prompt + expected;
  }
});

test("a prompt that begins as one before is read from where they part", async () => {
  const prompt = "jackdaws love my big";
  await complete(prompt);
  const { choices, usage } = await complete(`${prompt} sphinx`);
  expect(usage.prompt_tokens_details!.cached_tokens).toBeGreaterThanOrEqual(prompt.length);
  expect(choices[0]!.text).toBe(await alone(`${prompt} sphinx`));
});
