/** A prefix cache that survives its process: what was read is not read again, and nothing that is damaged is used. */
import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import path from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { scratch } from "../test/command.ts";
import { counted } from "../test/counted.ts";
import { tinyModel, tinyReference, tinyWeights } from "../test/tiny-model.ts";
import { generate } from "./generate/generate.ts";
import { createPrefixCache } from "./kept/cache.ts";
import type { Model } from "./model/model.ts";
import { loadModel } from "./model/session.ts";
import { nodeBackend } from "./node/backend.ts";
import { restorePrefixes, savePrefixes } from "./node/prefixes.ts";

const dir = scratch();
const models: Model[] = [];
const weights = tinyWeights();
beforeAll(async () => {
  for (const seed of [1, 1, 2]) models.push(await loadModel(nodeBackend, tinyModel(tinyWeights({ seed }))));
});
afterAll(async () => {
  await Promise.all(models.map((model) => model.close()));
  dir.remove();
});

const PROMPT = Array.from({ length: 40 }, (_, at) => (at * at) & 15);

test("another process reads only what is new, and says so", async () => {
  const [first, second, other] = models as [Model, Model, Model];
  const cache = createPrefixCache(first);
  for (const own of [1, 2, 3])
    for await (const _ of generate(first, { inputIds: [...PROMPT, own], maxNewTokens: 1, cache }));
  const folder = dir.at("prefixes");
  expect(await savePrefixes(cache, folder)).toBe(4);
  // once each, however often
  expect(await savePrefixes(cache, folder)).toBe(4);
  expect(readdirSync(folder)).toHaveLength(4);

  const { model, take } = counted(second);
  const restored = createPrefixCache(model);
  expect(await restorePrefixes(restored, folder)).toEqual({ states: 4, skipped: [] });
  expect(restored.stats).toMatchObject({ states: cache.stats.states, bytes: cache.stats.bytes });
  for await (const { token, prompt } of generate(model, {
    inputIds: [...PROMPT, 4, 5],
    maxNewTokens: 1,
    cache: restored,
  })) {
    expect(prompt).toEqual({ tokens: 42, cachedTokens: 40 });
    const due = tinyReference(weights, [...PROMPT, 4, 5]).at(-1)!;
    expect(token).toBe(due.indexOf(Math.max(...due)));
  }
  expect(take().tokens).toBe(2);

  // of another model
  const foreign = await restorePrefixes(createPrefixCache(other), folder);
  expect(foreign.states).toBe(0);
  expect(foreign.skipped.map(({ error }) => error.code)).toEqual(new Array(4).fill("state-mismatch"));

  // damaged, in any byte of the tokens or the state
  const file = path.join(folder, readdirSync(folder)[0]!);
  const whole = readFileSync(file);
  for (const at of [0, 20, 45, 60, whole.length - 1]) {
    const damaged = Buffer.from(whole);
    damaged[at]! ^= 1;
    writeFileSync(file, damaged);
    const { states, skipped } = await restorePrefixes(createPrefixCache(model), folder);
    expect([states, skipped.length, skipped[0]!.error.code]).toEqual([3, 1, "bad-input"]);
  }
  writeFileSync(file, whole.subarray(0, 30));
  expect((await restorePrefixes(createPrefixCache(model), folder)).skipped).toHaveLength(1);

  // what is no longer kept goes
  expect(await savePrefixes(createPrefixCache(model), folder)).toBe(0);
  expect(readdirSync(folder)).toEqual([]);
  expect(await restorePrefixes(restored, dir.at("nowhere"))).toEqual({ states: 0, skipped: [] });
  writeFileSync(dir.at("file"), "");
  await expect(savePrefixes(restored, dir.at("file"))).rejects.toMatchObject({ code: "file-unwritable" });
});
