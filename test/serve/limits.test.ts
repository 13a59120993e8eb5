/** What is refused, and by which name; clients that leave; hostile bodies; the end. */
import { once } from "node:events";
import { request } from "node:http";
import { createConnection } from "node:net";
import fc from "fast-check";
import OpenAI from "openai";
import { afterAll, beforeAll, describe, expect, test, vi } from "vitest";
import { type Serving, serving } from "./serving.ts";

const asJson = { "content-type": "application/json" };
let at: Serving;
beforeAll(async () => {
  at = await serving({ limits: { tokens: 5000, choices: 8, queue: 4, batch: 2, bodyBytes: 20_000 } });
});
afterAll(() => at?.end());

const post = (body: unknown, { on = at, route = "completions", headers = {} } = {}) =>
  fetch(`${on.url}/v1/${route}`, {
    method: "POST",
    headers: { ...asJson, ...headers },
    body: typeof body === "string" || body instanceof Uint8Array ? (body as string) : JSON.stringify(body),
  });

/** Status and code of a refusal in OpenAI's form. */
async function refusal(response: Response): Promise<[number, string, string | null]> {
  const { error } = (await response.json()) as {
    error: { message: string; type: string; param: string; code: string };
  };
  expect(error.message).toMatch(/\w+ \w+/);
  expect(error.message).not.toMatch(/\.ts:|\.js:|node_modules|\/tmp\//);
  expect(error.type).toMatch(/_error$/);
  return [response.status, error.code, error.param];
}

const good = { model: "letters", prompt: "abc", temperature: 0, max_tokens: 4 };

/** Nothing is left behind, and it answers as the runtime does. */
async function answersAsEver(on = at): Promise<void> {
  await vi.waitFor(() => expect(on.app.server.listening).toBe(true));
  const response = await post(good, { on });
  const { choices } = (await response.json()) as { choices: { text: string }[] };
  expect(choices[0]!.text).toBe((await on.alone({ prompt: "abc", maxNewTokens: 4 })).text);
}

test.each([
  ["another model", { ...good, model: "gpt-5" }, [404, "model_not_found", "model"]],
  ["no model", { prompt: "abc" }, [400, "invalid_value", "model"]],
  ["a number as a text", { ...good, temperature: "1" }, [400, "invalid_value", "temperature"]],
  ["a number out of its range", { ...good, top_p: 0 }, [400, "invalid_value", "top_p"]],
  ["a field that is not known", { ...good, colour: 1 }, [400, "invalid_value", "colour"]],
  ["a field that is not supported", { ...good, suffix: "x" }, [400, "invalid_value", "suffix"]],
  ["best_of", { ...good, best_of: 3 }, [400, "invalid_value", "best_of"]],
  ["too many tokens", { ...good, max_tokens: 5001 }, [400, "invalid_value", "max_tokens"]],
  ["too many choices", { ...good, n: 5, prompt: ["a", "b"] }, [400, "invalid_value", "n"]],
  ["an empty prompt", { ...good, prompt: "" }, [400, "invalid_value", null]],
  ["an id that is none", { ...good, prompt: [1, 999] }, [400, "token_out_of_range", null]],
  ["a mixed prompt", { ...good, prompt: [1, "a"] }, [400, "invalid_value", "prompt"]],
  ["half a character", { ...good, prompt: "a\ud800" }, [400, "invalid_value", "prompt"]],
  ["a bias of no token", { ...good, logit_bias: { 999: 1 } }, [400, "invalid_value", "logit_bias"]],
  ["a session that is not there", { ...good, session: "x" }, [404, "session_not_found", "session"]],
  ["more sequences than may wait", { ...good, n: 5 }, [429, "queue_full", null]],
])("%s is refused by name", async (_, body, expected) => {
  expect(await refusal(await post(body))).toEqual(expected);
});

test("what is no JSON, no UTF-8, too long, of another kind or nowhere is refused by name", async () => {
  expect(await refusal(await post("{"))).toEqual([400, "invalid_json", null]);
  expect(await refusal(await post('{"__proto__": {"model": "letters"}}'))).toEqual([400, "invalid_json", null]);
  expect(await refusal(await post("[]"))).toEqual([400, "invalid_value", null]);
  expect(await refusal(await post(Uint8Array.of(0x7b, 0x22, 0xff, 0x22, 0x7d)))).toEqual([400, "invalid_utf8", null]);
  expect(await refusal(await post(`"${"x".repeat(30_000)}"`))).toEqual([413, "request_too_large", null]);
  expect(await refusal(await post("x", { headers: { "content-type": "text/plain" } }))).toEqual([
    415,
    "unsupported_media_type",
    null,
  ]);
  expect(await refusal(await post(good, { route: "nothing" }))).toEqual([404, "not_found", null]);
  await answersAsEver();
});

/** LONGCONV_BODIES=10000 tries more, and says what memory the process has before and after. */
const BODIES = Number(process.env.LONGCONV_BODIES ?? 150);

test("random bodies are answered, or refused by name", async () => {
  const key = fc.constantFrom(
    "model",
    "prompt",
    "max_tokens",
    "n",
    "stop",
    "seed",
    "logit_bias",
    "session",
    "stream",
    "echo",
    "logprobs",
    "temperature",
    "__proto__",
    "messages",
  );
  const value = fc.oneof(
    fc.jsonValue(),
    fc.constantFrom<unknown>("letters", "abc", 1, 0, -1, 1e300, null, true, [[1]], {}),
  );
  const body = fc.dictionary(key, value).map((each) => ({ model: "letters", prompt: "a", max_tokens: 2, ...each }));
  const routes = fc.constantFrom("completions", "chat/completions", "sessions");
  const before = process.memoryUsage.rss();
  await fc.assert(
    fc.asyncProperty(body, routes, async (sent, route) => {
      const answer = await at.app.inject({
        method: "POST",
        url: `/v1/${route}`,
        payload: JSON.stringify(sent),
        headers: asJson,
      });
      if (answer.statusCode < 300) return;
      expect(answer.statusCode, answer.body).toBeLessThan(500);
      expect(answer.json().error.code).toMatch(/^[a-z_]+$/);
    }),
    { numRuns: BODIES },
  );
  if (process.env.LONGCONV_BODIES)
    console.log(`${BODIES} bodies: ${before} bytes before, ${process.memoryUsage.rss()} after`);
  await answersAsEver();
});

/** A streamed answer that has begun. */
async function begun(on: Serving, body: object) {
  const sent = request(`${on.url}/v1/completions`, { method: "POST", headers: asJson });
  sent.end(JSON.stringify({ ...body, stream: true }));
  const [response] = await once(sent, "response");
  await once(response, "data");
  return { sent, response: response as import("node:http").IncomingMessage };
}

const running = async (on: Serving): Promise<number> => {
  const text = await (await fetch(`${on.url}/metrics`)).text();
  const numbers = [...text.matchAll(/^longconv_sequences_\w+\{.*\} (\d+)$/gm)].map((match) => Number(match[1]));
  return numbers.reduce((sum, each) => sum + each, 0);
};
const nobodyRuns = (on: Serving) => vi.waitFor(async () => expect(await running(on)).toBe(0), { timeout: 3_600_000 });

test("a client that leaves takes its own sequence out, and no other", async () => {
  const stays = post({ ...good, max_tokens: 300 });
  const { sent, response } = await begun(at, { ...good, max_tokens: 5000 });
  response.on("error", () => undefined);
  sent.destroy();
  const { choices } = (await (await stays).json()) as { choices: { text: string }[] };
  expect(choices[0]!.text).toBe((await at.alone({ prompt: "abc", maxNewTokens: 300 })).text);
  await nobodyRuns(at);
  await answersAsEver();
});

test("a session is one request's at a time, and stays where it was when its client leaves", async () => {
  const { id } = (await (await post({ model: "letters" }, { route: "sessions" })).json()) as { id: string };
  const { sent, response } = await begun(at, { ...good, max_tokens: 5000, session: id });
  response.on("error", () => undefined);
  expect(await refusal(await post({ ...good, session: id }))).toEqual([409, "session_busy", "session"]);
  sent.destroy();
  await nobodyRuns(at);
  await vi.waitFor(async () => expect((await post({ ...good, session: id })).status).toBe(200));
});

test("a session that a request has is deleted when that is over", async () => {
  const { id } = (await (await post({ model: "letters" }, { route: "sessions" })).json()) as { id: string };
  const { sent, response } = await begun(at, { ...good, max_tokens: 5000, session: id });
  response.on("error", () => undefined);
  const deleted = fetch(`${at.url}/v1/sessions/${id}`, { method: "DELETE" });
  expect((await fetch(`${at.url}/v1/sessions/${id}`)).status).toBe(200);
  sent.destroy();
  expect((await deleted).status).toBe(200);
  expect(await refusal(await post({ ...good, session: id }))).toEqual([404, "session_not_found", "session"]);
});

test("a request that takes too long is broken off by name", async () => {
  const other = await serving({ limits: { requestMs: 30, tokens: 1e6 } });
  const answer = post({ ...good, max_tokens: 1e6 }, { on: other });
  expect(await refusal(await answer)).toEqual([504, "time_exceeded", null]);
  const client = new OpenAI({ baseURL: `${other.url}/v1`, apiKey: "none", maxRetries: 0 });
  const read = async () => {
    for await (const _ of await client.completions.create({ ...good, max_tokens: 1e6, stream: true }));
  };
  await expect(read()).rejects.toMatchObject({ code: "time_exceeded" });
  await nobodyRuns(other);
  await other.end();
});

describe("keys and origins", () => {
  let guarded: Serving;
  beforeAll(async () => {
    guarded = await serving({
      keys: ["one", "two"],
      origins: ["https://page.example"],
      limits: { sessions: 2, allSessionsBytes: 2000 },
    });
  });
  afterAll(() => guarded?.end());
  const as = (key: string) => ({ on: guarded, headers: { authorization: `Bearer ${key}` } });

  test("without a key, or with another, nothing but health is answered", async () => {
    expect(await refusal(await post(good, { on: guarded }))).toEqual([401, "missing_api_key", null]);
    expect(await refusal(await post(good, as("three")))).toEqual([401, "invalid_api_key", null]);
    expect((await fetch(`${guarded.url}/metrics`)).status).toBe(401);
    expect((await fetch(`${guarded.url}/healthz`)).status).toBe(200);
    expect((await post(good, as("two"))).status).toBe(200);
  });

  test("a session is nobody else's, and a key has no more than it may", async () => {
    const create = () => post({ model: "letters" }, { ...as("one"), route: "sessions" });
    const { id } = (await (await create()).json()) as { id: string };
    expect(await refusal(await post({ ...good, session: id }, as("two")))).toEqual([
      404,
      "session_not_found",
      "session",
    ]);
    const chat = { model: "letters", messages: [{ role: "user", content: "abc" }], session: id };
    expect(await refusal(await post(chat, { ...as("two"), route: "chat/completions" }))).toEqual([
      404,
      "session_not_found",
      "session",
    ]);
    for (const [method, end] of [
      ["GET", ""],
      ["DELETE", ""],
      ["GET", "/state"],
      ["POST", "/fork"],
    ]) {
      const response = await fetch(`${guarded.url}/v1/sessions/${id}${end}`, { method: method!, ...as("two") });
      expect(await refusal(response)).toEqual([404, "session_not_found", "session"]);
    }
    expect((await create()).status).toBe(201);
    expect(await refusal(await create())).toEqual([429, "too_many_sessions", "session"]);
    // 8 bytes a token, and the states of letters are small
    expect(await refusal(await post({ ...good, max_tokens: 300, session: id }, as("one")))).toEqual([
      429,
      "sessions_full",
      "session",
    ]);
  });

  test("pages of other origins may not ask", async () => {
    const asks = async (origin: string) =>
      (await fetch(`${guarded.url}/v1/models`, { headers: { origin, authorization: "Bearer one" } })).headers.get(
        "access-control-allow-origin",
      );
    expect(await asks("https://page.example")).toBe("https://page.example");
    expect(await asks("https://other.example")).toBeNull();
    const plain = await fetch(`${at.url}/v1/models`, { headers: { origin: "https://page.example" } });
    expect(plain.headers.get("access-control-allow-origin")).toBeNull();
  });
});

test("what is no HTTP harms nobody", async () => {
  const socket = createConnection(Number(new URL(at.url).port), "127.0.0.1");
  socket.end("nonsense\r\n\r\n");
  let answer = "";
  for await (const chunk of socket.setEncoding("utf8")) answer += chunk;
  expect(answer).toMatch(/^HTTP\/1.1 400 /);
  await answersAsEver();
});

test("at its end it gives what has begun, and refuses what is new", async () => {
  const other = await serving();
  const { response } = await begun(other, { ...good, max_tokens: 200 });
  let text = "";
  const read = (async () => {
    for await (const chunk of response.setEncoding("utf8")) text += chunk;
  })();
  const ended = other.drain(60_000);
  await read;
  expect(text).toMatch(/"finish_reason":"length".*\[DONE\]\n\n$/s);
  await ended;
  await expect(post(good, { on: other })).rejects.toThrow();
  await other.end();
});

test("what does not come to its end in time is broken off by name", async () => {
  const other = await serving({ limits: { tokens: 1e6 } });
  const { response } = await begun(other, { ...good, max_tokens: 1e6 });
  let text = "";
  const read = (async () => {
    for await (const chunk of response.setEncoding("utf8")) text += chunk;
  })();
  await other.drain(0);
  await read;
  expect(text).toContain('"code":"shutting_down"');
  await other.end();
});
