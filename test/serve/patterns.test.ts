/** Answers that must match, by OpenAI's client. */
import OpenAI from "openai";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type Serving, serving } from "./serving.ts";

let at: Serving;
let client: OpenAI;
const model = "letters";

beforeAll(async () => {
  at = await serving();
  client = new OpenAI({ baseURL: `${at.url}/v1`, apiKey: "none", maxRetries: 0 });
});
afterAll(() => at?.end());

/** Fields beyond OpenAI's. */
const beyond = <T extends object>(asked: T): T => asked;

test("guided_regex: n sampled texts, whole and streamed", async () => {
  const asked = beyond({
    model,
    prompt: "abc",
    n: 4,
    temperature: 1.5,
    seed: 1,
    max_tokens: 20,
    guided_regex: "(?:[a-f]{3} ){2,4}end",
  });
  const { choices } = await client.completions.create(asked);
  for (const { text, finish_reason } of choices) {
    expect(text).toMatch(/^(?:[a-f]{3} ){2,4}end$/);
    expect(finish_reason).toBe("stop");
  }
  expect(new Set(choices.map(({ text }) => text)).size).toBeGreaterThan(1);
  const streamed = ["", "", "", ""];
  for await (const chunk of await client.completions.create({ ...asked, stream: true }))
    for (const { index, text } of chunk.choices) streamed[index] += text;
  expect(streamed).toEqual(choices.map(({ text }) => text));
});

test("greedy texts of requests at the same time, each by its own pattern", async () => {
  const patterns = ["a+b{3}", "[xyz]{10}", "(?:no|yes)", "q(?:[^aeiou ]{2} ){3}"];
  const answers = await Promise.all(
    patterns.map((guided_regex) =>
      client.completions.create(beyond({ model, prompt: "abc", temperature: 0, max_tokens: 30, guided_regex })),
    ),
  );
  for (const [index, pattern] of patterns.entries())
    expect(answers[index]!.choices[0]!.text).toMatch(new RegExp(`^(?:${pattern})$`));
});

test("response_format of a chat, as far as the letters go", async () => {
  const format = (schema: Record<string, unknown>) =>
    ({ type: "json_schema", json_schema: { name: "answer", schema, strict: true } }) as const;
  const messages = [{ role: "user", content: "abc" }] as const;
  const chat = (schema: Record<string, unknown>) =>
    client.chat.completions.create({ model, messages: [...messages], response_format: format(schema), max_tokens: 20 });
  const answer = await chat({ enum: [true, null] });
  expect([true, null]).toContain(JSON.parse(answer.choices[0]!.message.content!));
  await expect(chat({ type: "integer" })).rejects.toMatchObject({
    status: 400,
    param: "response_format",
    message: expect.stringContaining("can write"),
  });
  const plain = await client.chat.completions.create({
    model,
    messages: [...messages],
    response_format: { type: "text" },
  });
  expect(plain.choices[0]!.message.content).not.toBe("");
});

test("a session goes on behind a text that matched", async () => {
  const post = async (path: string, body: object) => {
    const answer = await fetch(`${at.url}/v1/${path}`, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify(body),
    });
    return answer.json();
  };
  const { id } = await post("sessions", { model });
  const asked = { model, session: id, temperature: 0, max_tokens: 9 };
  const first = await post("completions", { ...asked, prompt: "abc", guided_regex: "[k-m]{4}" });
  expect(first.choices[0].text).toMatch(/^[k-m]{4}$/);
  const second = await post("completions", { ...asked, prompt: "" });
  const { text } = await at.alone({ prompt: `abc${first.choices[0].text}`, maxNewTokens: 9 });
  expect(second.choices[0].text).toBe(text);
});

describe("refused, by name", () => {
  test.each<[string, object, string]>([
    ["a pattern that is none", { guided_regex: "a(" }, "no regular expression"],
    ["one that no text matches", { guided_regex: "a[]" }, "matches no text"],
    ["one that these letters cannot write", { guided_regex: "A" }, "can write"],
    ["one without measure", { guided_regex: "(?:a|b)*a(?:a|b){20}" }, "more than 2000 states"],
    ["one that there is no room for", { guided_regex: "[ab]{17}" }, "may take 17 tokens, and there may be 16"],
    ["a long one", { guided_regex: "a".repeat(9000) }, "more than 8192 characters"],
    [
      "two",
      { guided_regex: "a", response_format: { type: "json_schema", json_schema: { schema: { const: 1 } } } },
      "no response_format",
    ],
    [
      "a keyword",
      { response_format: { type: "json_schema", json_schema: { schema: { type: "string", format: "date" } } } },
      "has format",
    ],
    ["no schema", { response_format: { type: "json_schema" } }, "json_schema"],
    ["any object", { response_format: { type: "json_object" } }, "response_format"],
  ])("%s", async (_, field, message) => {
    const asked = client.completions.create({ model, prompt: "abc", ...field });
    await expect(asked).rejects.toMatchObject({
      status: 400,
      code: "invalid_value",
      message: expect.stringContaining(message),
    });
  });
});
