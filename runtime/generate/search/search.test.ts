/** Beams and the best of several: against every text there is, and against float64 arithmetic. */
import { afterAll, beforeAll, expect, test } from "vitest";
import { tinyModel, tinyReference, tinyWeights } from "../../../test/tiny-model.ts";
import { createPrefixCache } from "../../kept/cache.ts";
import type { Model } from "../../model/model.ts";
import { loadModel } from "../../model/session.ts";
import { nodeBackend, nodeBindingBackend } from "../../node/backend.ts";
import { generate } from "../generate.ts";
import { beamSearch } from "./beams.ts";
import { nBest } from "./best.ts";

const VOCABULARY = 6;
const weights = tinyWeights({ vocabulary: VOCABULARY });
/** As a device that makes its outputs itself, where a state that was freed can no longer be read. */
const freeing = { ...nodeBindingBackend, oneRunAtATime: true, writesIntoFetches: false };
const models: Model[] = [];
beforeAll(async () => {
  for (const backend of [nodeBackend, freeing]) models.push(await loadModel(backend, tinyModel(weights)));
});
afterAll(() => Promise.all(models.map((model) => model.close())));

const PROMPT = [3, 1, 4, 1, 5];

/** Log probabilities of each token after the ids, in float64. */
function logsAfter(ids: readonly number[]): number[] {
  const logits = tinyReference(weights, ids).at(-1)!;
  const total = Math.log(logits.reduce((sum, logit) => sum + Math.exp(logit), 0));
  return logits.map((logit) => logit - total);
}

/** Every text of so many tokens, or that ends before with the stop token, with its log probability. */
function allTexts(prompt: readonly number[], length: number, stop = -1): { tokens: number[]; sum: number }[] {
  const logs = logsAfter(prompt);
  return logs.flatMap((value, token) =>
    length === 1 || token === stop
      ? [{ tokens: [token], sum: value }]
      : allTexts([...prompt, token], length - 1, stop).map(({ tokens, sum }) => ({
          tokens: [token, ...tokens],
          sum: value + sum,
        })),
  );
}

test.each([0, 1])("beams for every text find the best of all (backend %i)", async (which) => {
  const due = allTexts(PROMPT, 3).sort((a, b) => b.sum - a.sum);
  const found = await beamSearch(models[which]!, { inputIds: PROMPT, beams: 36, maxNewTokens: 3 });
  expect(found).toHaveLength(36);
  for (const [at, { tokens, logProbability, score, finish }] of found.entries()) {
    expect(tokens).toEqual(due[at]!.tokens);
    expect(logProbability).toBeCloseTo(due[at]!.sum, 4);
    expect(score).toBeCloseTo(due[at]!.sum / 3, 4);
    expect(finish).toBe("length");
  }
});

test.each([0, 0.6, 1, 2])("with a stop token and length penalty %d", async (lengthPenalty) => {
  const rank = ({ tokens, sum }: { tokens: number[]; sum: number }) => sum / tokens.length ** lengthPenalty;
  const [best] = allTexts(PROMPT, 4, 2).sort((a, b) => rank(b) - rank(a));
  const options = { inputIds: PROMPT, beams: 216, maxNewTokens: 4, stopTokens: [2], lengthPenalty };
  const [found] = await beamSearch(models[0]!, options);
  expect(found!.tokens).toEqual(best!.tokens);
  expect(found!.finish).toBe(best!.tokens.at(-1) === 2 ? "stop-token" : "length");
});

test("few beams follow the best of each step, one is greedy, from a state and from a cache alike", async () => {
  const model = models[0]!;
  let beams = [{ tokens: [] as number[], sum: 0 }];
  for (let step = 0; step < 12; step++) {
    const next = beams.flatMap(({ tokens, sum }) =>
      logsAfter([...PROMPT, ...tokens]).map((value, token) => ({ tokens: [...tokens, token], sum: sum + value })),
    );
    beams = next.sort((a, b) => b.sum - a.sum).slice(0, 3);
  }
  const cache = createPrefixCache(model);
  for (const start of [{ inputIds: PROMPT }, { inputIds: PROMPT, cache }, { inputIds: PROMPT, cache }]) {
    const found = await beamSearch(model, { ...start, beams: 3, maxNewTokens: 12 });
    expect(found.map(({ tokens }) => tokens)).toEqual(beams.map(({ tokens }) => tokens));
  }
  expect(cache.stats.hits).toBe(1);
  const greedy: number[] = [];
  for await (const { token } of generate(model, { inputIds: PROMPT, maxNewTokens: 9 })) greedy.push(token);
  const [alone] = await beamSearch(model, { inputIds: PROMPT, beams: 1, maxNewTokens: 9 });
  expect(alone!.tokens).toEqual(greedy);
});

test("the best of several are the texts of their seeds, ranked", async () => {
  const model = models[0]!;
  const options = { inputIds: PROMPT, temperature: 1.2, seed: 40, maxNewTokens: 15, repetitionPenalty: 1.1 };
  const found = await nBest(model, { ...options, n: 3, bestOf: 8 });
  const ranks: number[] = [];
  for (let index = 0; index < 8; index++) {
    const tokens: number[] = [];
    for await (const { token } of generate(model, { ...options, seed: 40 + index })) tokens.push(token);
    const sum = tokens.reduce((all, token, at) => all + logsAfter([...PROMPT, ...tokens.slice(0, at)])[token]!, 0);
    ranks.push(sum / tokens.length);
    const same = found.find((each) => each.index === index);
    if (!same) continue;
    expect(same.tokens).toEqual(tokens);
    expect(same.logProbability).toBeCloseTo(sum, 3);
  }
  const best = [...ranks.keys()].sort((a, b) => ranks[b]! - ranks[a]!).slice(0, 3);
  expect(found.map(({ index }) => index)).toEqual(best);
});

test("what makes no sense is refused", async () => {
  const model = models[0]!;
  await expect(beamSearch(model, { inputIds: PROMPT, beams: 0 })).rejects.toThrow(/beams must be/);
  await expect(nBest(model, { inputIds: PROMPT, n: 2 })).rejects.toThrow(/all the same/);
  await expect(nBest(model, { inputIds: PROMPT, n: 3, bestOf: 2, seed: 1 })).rejects.toThrow(/bestOf must be/);
  const aborted = beamSearch(model, { inputIds: PROMPT, signal: AbortSignal.abort() });
  await expect(aborted).rejects.toMatchObject({ code: "aborted" });
});
