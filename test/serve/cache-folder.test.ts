/** `cacheFolder`: what was read before is there after a restart, with the same answers; what is damaged is named. */
import { readdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import path from "node:path";
import { afterAll, expect, test } from "vitest";
import { scratch } from "../command.ts";
import { type Serving, serving } from "./serving.ts";

const dir = scratch();
afterAll(() => dir.remove());

const PROMPT = "abcdefghijklmnopqrstuvwxyz".repeat(3);

async function ask(on: Serving): Promise<{ text: string; cached: number; prompt: number }> {
  const body = { model: "letters", prompt: PROMPT, temperature: 0, max_tokens: 8 };
  const response = await on.app.inject({ method: "POST", url: "/v1/completions", payload: body });
  expect(response.statusCode, response.body).toBe(200);
  const { choices, usage } = response.json();
  return {
    text: choices[0].text,
    cached: usage.prompt_tokens_details.cached_tokens,
    prompt: usage.prompt_tokens,
  };
}

test("a prompt that was read before a restart is not read again; a damaged file is named, and read anew", async () => {
  const folder = dir.at("prefixes");
  const first = await serving({ cacheFolder: folder });
  const asked = await ask(first);
  expect(asked.cached).toBe(0);
  await first.end();
  expect(statSync(folder).mode & 0o777).toBe(0o700);
  const files = readdirSync(path.join(folder, "letters"));
  expect(files.length).toBeGreaterThan(0);

  const second = await serving({ cacheFolder: folder });
  const again = await ask(second);
  expect(again).toEqual({ ...asked, cached: asked.prompt });
  await second.end();

  for (const name of readdirSync(path.join(folder, "letters"))) {
    const file = path.join(folder, "letters", name);
    const bytes = readFileSync(file);
    bytes[bytes.length - 1]! ^= 1;
    writeFileSync(file, bytes);
  }
  const faults: unknown[] = [];
  const third = await serving({ cacheFolder: folder, onFault: (error) => faults.push(error) });
  expect(faults.map(String).join()).toMatch(/\.prefix: no saved beginning/);
  expect(await ask(third)).toEqual(asked);
  await third.end();
});
