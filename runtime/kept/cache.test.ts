/** Beginnings that are read once: the tokens are those of float64 arithmetic, and what is read is counted. */

import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { collect } from "../../test/collect.ts";
import { type Counted, counted } from "../../test/counted.ts";
import { CHANNELS, LAGS, ORDER, tinyGreedy, tinyModel, tinyReference, tinyWeights } from "../../test/tiny-model.ts";
import { createBatch, generateBatch } from "../generate/batch/batch.ts";
import { generate } from "../generate/generate.ts";
import type { GenerateOptions } from "../generate/options.ts";
import type { Model } from "../model/model.ts";
import { read } from "../model/read.ts";
import { loadModel } from "../model/session.ts";
import { nodeBackend, nodeBindingBackend } from "../node/backend.ts";
import { createPrefixCache } from "./cache.ts";

const weights = tinyWeights();
/** As a device that makes its outputs itself, where a state that was freed can no longer be read. */
const freeing = { ...nodeBindingBackend, oneRunAtATime: true, writesIntoFetches: false };
const models: Model[] = [];
beforeAll(async () => {
  for (const backend of [nodeBackend, freeing])
    models.push(await loadModel(backend, tinyModel(weights, { mask: true }), { sliceLength: 16 }));
});
afterAll(() => Promise.all(models.map((model) => model.close())));

const STATE_BYTES = 4 * (ORDER * CHANNELS + LAGS * CHANNELS + weights.vocabulary);

const greedy = (prompt: readonly number[], count: number) => tinyGreedy(weights, prompt, count);

/** Ids that look random, and are the same each time. */
const idsOf = (seed: number, length: number) =>
  Array.from({ length }, (_, i) => (Math.imul(seed + 1, 7919) + Math.imul(i, 104729) + (i >> 2)) & 15);

const SYSTEM = idsOf(0, 45);
const COUNT = 5;

describe.each([0, 1])("backend %i", (which) => {
  let model: Model;
  let take: Counted["take"];
  beforeAll(() => ({ model, take } = counted(models[which]!)));

  /** One token more is chosen than is read. @returns tokens of the prompt that were read, and what the first piece says */
  async function ask(inputIds: number[], options: Partial<GenerateOptions>, count = COUNT) {
    take();
    const pieces = await collect(generate(model, { inputIds, maxNewTokens: count, ...options }));
    expect(pieces.map(({ token }) => token)).toEqual(greedy(inputIds, count));
    expect(pieces.slice(1).every(({ prompt }) => prompt === undefined)).toBe(true);
    return { read: take().tokens - (count - 1), prompt: pieces[0]!.prompt };
  }

  test("the first two requests part inside a slice, and the third reads only what is new", async () => {
    const cache = createPrefixCache(model);
    const [a, b, c] = [1, 2, 3].map((seed) => [...SYSTEM, seed, ...idsOf(seed, 7)]) as [number[], number[], number[]];
    expect(await ask(a, { cache })).toEqual({ read: 53, prompt: { tokens: 53, cachedTokens: 0 } });
    expect(await ask(b, { cache })).toEqual({ read: 53, prompt: { tokens: 53, cachedTokens: 0 } });
    expect(await ask(c, { cache })).toEqual({ read: 8, prompt: { tokens: 53, cachedTokens: 45 } });
    expect(cache.stats).toMatchObject({ requests: 3, tokens: 159, hits: 1, cachedTokens: 45 });
  });

  test("the same prompt again reads nothing: its last token is not read twice", async () => {
    const cache = createPrefixCache(model);
    await ask(SYSTEM, { cache });
    for (let again = 0; again < 3; again++)
      expect(await ask(SYSTEM, { cache })).toEqual({ read: 0, prompt: { tokens: 45, cachedTokens: 45 } });
    const [piece] = await collect(generate(model, { inputIds: SYSTEM, maxNewTokens: 1, returnLogits: true, cache }));
    const due = tinyReference(weights, SYSTEM).at(-1)!;
    for (const [token, logit] of piece!.logits!.entries()) expect(logit).toBeCloseTo(due[token]!, 4);
  });

  test("no state is kept twice, however often it is asked for", async () => {
    const cache = createPrefixCache(model);
    for (let again = 0; again < 3; again++) await ask(SYSTEM, { cache });
    // one where the prompt ends, one where the text ends
    expect(cache.stats).toMatchObject({ states: 2, bytes: 2 * STATE_BYTES });
    const own = new Set<unknown>();
    for await (const { state } of cache.all()) for (const tensor of state.tensors) own.add(tensor.data);
    expect(own.size).toBe(4);
  });

  test("an answer is the beginning of the next turn", async () => {
    const cache = createPrefixCache(model);
    await ask(SYSTEM, { cache }, 20);
    const said = [...SYSTEM, ...greedy(SYSTEM, 20)];
    // The last token was chosen, and not read.
    expect(await ask([...said, 7, 7], { cache })).toEqual({ read: 3, prompt: { tokens: 67, cachedTokens: 64 } });
  });

  test("random beginnings within few bytes: every text right, never more bytes", async () => {
    const cache = createPrefixCache(model, { maxBytes: 9 * STATE_BYTES, leastTokens: 2 });
    for (let round = 0; round < 120; round++) {
      const own = idsOf(round * 31, 1 + (round % 5));
      const begin = idsOf(round % 2, 6).concat(idsOf(round % 3, 4), round % 5 === 0 ? idsOf(5, 9) : []);
      await ask([...begin, ...own], { cache }, 2);
      expect(cache.stats.bytes).toBe(cache.stats.states * STATE_BYTES);
      expect(cache.stats.states).toBeLessThanOrEqual(9);
    }
    expect(cache.stats.cachedTokens).toBeGreaterThan(0);
    for await (const { ids, state } of cache.all()) {
      const due = tinyReference(weights, ids).at(-1)!;
      for (const [token, logit] of state.logits!.entries()) expect(logit).toBeCloseTo(due[token]!, 4);
    }
    cache.clear();
    expect(cache.stats).toMatchObject({ states: 0, bytes: 0 });
  });

  test("what was not used for longest goes first", async () => {
    const cache = createPrefixCache(model, { maxBytes: 3 * STATE_BYTES });
    const [a, b, c] = [idsOf(1, 20), idsOf(2, 20), idsOf(3, 20)] as [number[], number[], number[]];
    await ask(a, { cache }, 1);
    await ask(b, { cache }, 1);
    await ask(a, { cache }, 1);
    await ask(c, { cache }, 1);
    await ask(idsOf(4, 20), { cache }, 1);
    expect(await ask(a, { cache }, 1)).toMatchObject({ read: 0 });
    expect(await ask(b, { cache }, 1)).toMatchObject({ read: 20 });
  });

  test("in a batch: requests that come together, the first reads for the others", async () => {
    const cache = createPrefixCache(model);
    const prompts = [1, 2, 3, 4, 5].map((seed) => [...SYSTEM, seed, ...idsOf(seed, 7)]);
    const made: number[][] = prompts.map(() => []);
    const cached: number[] = [];
    const requests = prompts.map((inputIds) => ({ inputIds, maxNewTokens: COUNT, cache }));
    for await (const { row, token, prompt } of generateBatch(model, requests)) {
      made[row]!.push(token);
      if (prompt) cached[row] = prompt.cachedTokens;
    }
    expect(made).toEqual(prompts.map((prompt) => greedy(prompt, COUNT)));
    expect(cached).toEqual([0, 0, 45, 45, 45]);
  });

  test("a client that hangs up takes nobody along: while the beginning is read, and while it writes", async () => {
    const cache = createPrefixCache(model);
    const batch = createBatch(model);
    const prompts = [1, 2, 3, 4, 5, 6].map((seed) => [...SYSTEM, seed, ...idsOf(seed, 7)]);
    const controllers = prompts.map(() => new AbortController());
    const answers = prompts.map(async (inputIds, row) => {
      const { signal } = controllers[row]!;
      const onPrompt = () => row === 0 && controllers[0]!.abort();
      const tokens: number[] = [];
      for await (const { token } of batch.add({ inputIds, maxNewTokens: 30, cache, signal, onPrompt })) {
        tokens.push(token);
        if (row === 3 && tokens.length === 4) controllers[3]!.abort();
      }
      return tokens;
    });
    const ended = await Promise.allSettled(answers);
    for (const [row, answer] of ended.entries()) {
      if (row === 0 || row === 3) expect(answer).toMatchObject({ reason: { code: "aborted" } });
      else expect(answer).toEqual({ status: "fulfilled", value: greedy(prompts[row]!, 30) });
    }
  });

  test("one that is aborted while it reads leaves what is kept right", async () => {
    const cache = createPrefixCache(model);
    await ask([...SYSTEM, 1], { cache }, 1);
    const controller = new AbortController();
    const onPrompt = () => controller.abort();
    const aborted = collect(
      generate(model, { inputIds: [...SYSTEM, 2, 2], cache, signal: controller.signal, onPrompt }),
    );
    await expect(aborted).rejects.toMatchObject({ code: "aborted" });
    await ask([...SYSTEM, 2, 2], { cache });
    await ask([...SYSTEM, 1, 4], { cache });
  });
});

test("what cannot be kept or used is refused", async () => {
  const [model, other] = models as [Model, Model];
  const cache = createPrefixCache(model);
  const refused = (options: GenerateOptions) => () => generate(model, options);
  expect(refused({ inputIds: [1], cache: createPrefixCache(other) })).toThrow(/cache belongs to another model/);
  const state = await read(model, [[1, 2]]);
  expect(refused({ inputIds: [1], state, cache })).toThrow(/what was read from nothing/);
  expect(() => cache.keep([1, 2, 3], state)).toThrow(/has read the 3 tokens/);
  expect(() => createPrefixCache(model, { maxBytes: -1 })).toThrow(/maxBytes must be/);
  // A state that is larger than all may be is not kept.
  const small = createPrefixCache(model, { maxBytes: 10 });
  await small.keep([1, 2], state);
  expect(small.stats.states).toBe(0);
});
