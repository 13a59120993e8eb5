/** Completions, by the official client: texts are those that the runtime makes alone. */
import OpenAI from "openai";
import { afterAll, beforeAll, expect, test } from "vitest";
import { read } from "../../runtime/node.ts";
import { type Serving, serving } from "./serving.ts";

let at: Serving;
let client: OpenAI;
const model = "letters";

beforeAll(async () => {
  at = await serving();
  client = new OpenAI({ baseURL: `${at.url}/v1`, apiKey: "none", maxRetries: 0 });
});
afterAll(() => at?.end());

test("a greedy text, whole", async () => {
  const { text } = await at.alone({ prompt: "abc", maxNewTokens: 16 });
  const answer = await client.completions.create({ model, prompt: "abc", temperature: 0 });
  expect(answer).toMatchObject({
    object: "text_completion",
    model,
    choices: [{ text, index: 0, finish_reason: "length" }],
  });
  expect(answer.usage).toMatchObject({ prompt_tokens: 3, completion_tokens: 16, total_tokens: 19 });
});

test("a sampled text, streamed, with its usage in the last chunk", async () => {
  const { text } = await at.alone({ prompt: "abc", maxNewTokens: 40, temperature: 0.8, topP: 0.9, seed: 7 });
  const sampling = { temperature: 0.8, top_p: 0.9, seed: 7, max_tokens: 40 };
  const stream = await client.completions.create({
    ...{ model, prompt: "abc", ...sampling },
    ...{ stream: true, stream_options: { include_usage: true } },
  });
  let got = "";
  const ends: (string | null)[] = [];
  let usage: OpenAI.CompletionUsage | undefined;
  for await (const chunk of stream) {
    got += chunk.choices[0]?.text ?? "";
    if (chunk.choices[0]?.finish_reason) ends.push(chunk.choices[0].finish_reason);
    usage = chunk.usage ?? usage;
  }
  expect([got, ends, usage?.completion_tokens]).toEqual([text, ["length"], 40]);
});

test("several prompts, n of each, as texts and as token ids", async () => {
  const asked = { model, n: 2, temperature: 1, seed: 3, max_tokens: 12 };
  const texts = await client.completions.create({ ...asked, prompt: ["abc", "the quick"] });
  const expected = [];
  for (const prompt of ["abc", "the quick"])
    for (const seed of [3, 4]) expected.push((await at.alone({ prompt, seed, temperature: 1, maxNewTokens: 12 })).text);
  expect(texts.choices.map(({ text }) => text)).toEqual(expected);
  expect(texts.choices.map(({ index }) => index)).toEqual([0, 1, 2, 3]);
  expect(texts.usage?.prompt_tokens).toBe(12);
  const encode = (text: string) => at.model.tokenizer!.encode(text);
  const ids = await client.completions.create({ ...asked, prompt: [encode("abc"), encode("the quick")] });
  expect(ids.choices.map(({ text }) => text)).toEqual(expected);
  const one = await client.completions.create({ ...asked, n: 1, prompt: encode("abc") });
  expect(one.choices[0]!.text).toBe(expected[0]);
});

test("stop texts and stop tokens end a text, and do not belong to it", async () => {
  const { text, tokens } = await at.alone({ prompt: "abc", maxNewTokens: 30, seed: 5, temperature: 1 });
  const common = { model, prompt: "abc", seed: 5, temperature: 1, max_tokens: 30 };
  const stop = text.slice(6, 8);
  const stopped = await client.completions.create({ ...common, stop });
  expect(stopped.choices[0]).toMatchObject({ text: text.slice(0, text.indexOf(stop)), finish_reason: "stop" });
  const byToken = await client.completions.create({ ...common, stop_token_ids: [tokens[4]!] } as typeof common);
  expect(byToken.choices[0]).toMatchObject({ text: text.slice(0, tokens.indexOf(tokens[4]!)), finish_reason: "stop" });
});

/** log softmax, in float64. */
function logSoftmax(logits: Float32Array): number[] {
  const largest = Math.max(...logits);
  const norm = largest + Math.log(logits.reduce((sum, logit) => sum + Math.exp(logit - largest), 0));
  return [...logits].map((logit) => logit - norm);
}

test("log probabilities of the prompt and the text are those of the model's logits", async () => {
  const prompt = "abcab";
  const answer = await client.completions.create({
    model,
    prompt,
    temperature: 0,
    max_tokens: 4,
    logprobs: 2,
    echo: true,
  });
  const { text, logprobs } = answer.choices[0]!;
  const ids = at.model.tokenizer!.encode(text);
  expect(logprobs!.tokens).toEqual([...text]);
  expect(logprobs!.text_offset).toEqual([...text].map((_, k) => k));
  expect(logprobs!.token_logprobs![0]).toBeNull();
  for (let k = 1; k < ids.length; k++) {
    const all = logSoftmax((await read(at.model, [ids.slice(0, k)])).logits!);
    expect(logprobs!.token_logprobs![k]).toBeCloseTo(all[ids[k]!]!, 4);
    const top = Object.values(logprobs!.top_logprobs![k]!);
    expect(top).toHaveLength(2);
    expect(Math.max(...top)).toBeCloseTo(Math.max(...all), 4);
  }
  const scored = await client.completions.create({ model, prompt, max_tokens: 0, logprobs: 0, echo: true });
  expect(scored.choices[0]).toMatchObject({ text: prompt, finish_reason: "length" });
  expect(scored.choices[0]!.logprobs!.token_logprobs).toEqual(logprobs!.token_logprobs!.slice(0, 5));
});

test("biases forbid and force tokens; penalties count what was made", async () => {
  const id = at.model.tokenizer!.encode("q")[0]!;
  const common = { model, prompt: "abc", temperature: 0, max_tokens: 12 };
  const forced = await client.completions.create({ ...common, logit_bias: { [id]: 100 } });
  expect(forced.choices[0]!.text).toBe("q".repeat(12));
  const { text } = await at.alone({
    ...{ prompt: "abc", maxNewTokens: 12 },
    processors: (logits, { ids, generated }) => {
      for (const each of ids.slice(ids.length - generated)) logits[each]! -= 0.7;
      for (const each of new Set(ids.slice(ids.length - generated))) logits[each]! -= 1.1;
    },
  });
  const penalised = await client.completions.create({ ...common, frequency_penalty: 0.7, presence_penalty: 1.1 });
  expect(penalised.choices[0]!.text).toBe(text);
  expect(text).not.toBe((await at.alone({ prompt: "abc", maxNewTokens: 12 })).text);
});

test("a prompt that begins as another reads only what is new", async () => {
  const prompt = "a system prompt that all requests begin with and then ";
  const ask = (end: string) =>
    client.completions.create({ model, prompt: prompt + end, temperature: 0, max_tokens: 5 });
  await ask("one");
  await ask("two");
  const third = await ask("three");
  expect(third.usage!.prompt_tokens_details!.cached_tokens).toBeGreaterThanOrEqual(prompt.length);
  expect(third.choices[0]!.text).toBe((await at.alone({ prompt: `${prompt}three`, maxNewTokens: 5 })).text);
  const again = await ask("three");
  expect(again.usage!.prompt_tokens_details!.cached_tokens).toBe(prompt.length + 5);
  expect(again.choices[0]!.text).toBe(third.choices[0]!.text);
});

test("a conversation by the model's template, whole and streamed", async () => {
  const messages = [
    { role: "system" as const, content: "be kind" },
    { role: "user" as const, content: [{ type: "text" as const, text: "hello" }] },
  ];
  const { text } = await at.alone({ prompt: "be kind hello ", maxNewTokens: 20, temperature: 1, seed: 9 });
  const common = { model, messages, max_completion_tokens: 20, seed: 9 };
  const whole = await client.chat.completions.create({ ...common, logprobs: true, top_logprobs: 3 });
  expect(whole.choices[0]).toMatchObject({ message: { role: "assistant", content: text }, finish_reason: "length" });
  expect(whole.choices[0]!.logprobs!.content!.map(({ token }) => token).join("")).toBe(text);
  expect(whole.choices[0]!.logprobs!.content![0]!.top_logprobs).toHaveLength(3);
  let streamed = "";
  for await (const chunk of await client.chat.completions.create({ ...common, stream: true }))
    streamed += chunk.choices[0]?.delta.content ?? "";
  expect(streamed).toBe(text);
});

test("models, health and metrics", async () => {
  expect((await client.models.list()).data).toMatchObject([{ id: model, object: "model" }]);
  expect(await client.models.retrieve(model)).toMatchObject({ id: model, chat: true });
  expect((await fetch(`${at.url}/healthz`)).status).toBe(200);
  expect((await fetch(`${at.url}/readyz`)).status).toBe(200);
  const metrics = await (await fetch(`${at.url}/metrics`)).text();
  expect(metrics).toMatch(/longconv_generated_tokens_total\{model="letters"\} [1-9]/);
  expect(metrics).toMatch(/longconv_sequences_running\{model="letters"\} 0/);
});
