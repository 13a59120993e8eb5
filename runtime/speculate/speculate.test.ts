/** Drafts change nothing but the time: the tokens are those of one step after the other. */

import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { collect } from "../../test/collect.ts";
import { type Counted, counted } from "../../test/counted.ts";
import { tinyGreedy, tinyModel, tinyReference, tinyWeights } from "../../test/tiny-model.ts";
import { createBatch } from "../generate/batch/batch.ts";
import { generate } from "../generate/generate.ts";
import type { GenerateOptions } from "../generate/options.ts";
import type { Model } from "../model/model.ts";
import { loadModel } from "../model/session.ts";
import { nodeBackend, nodeBindingBackend } from "../node/backend.ts";
import { draftModel } from "./draft-model.ts";
import type { Drafter } from "./drafter.ts";
import { promptLookup } from "./lookup.ts";

const weights = tinyWeights();
/** As a device that makes its outputs itself, where a state that was freed can no longer be read. */
const freeing = { ...nodeBindingBackend, oneRunAtATime: true, writesIntoFetches: false };
const models: Model[] = [];
let other: Model;
beforeAll(async () => {
  for (const backend of [nodeBackend, freeing])
    for (const options of [{}, { mask: true, keep: true }])
      models.push(await loadModel(backend, tinyModel(weights, options)));
  other = await loadModel(freeing, tinyModel(tinyWeights({ seed: 5 })));
});
afterAll(() => Promise.all([...models, other].map((model) => model.close())));

const PROMPT = [3, 1, 4, 1, 5, 9, 2, 6, 3, 1, 4, 1, 5, 9, 2, 6];

const greedy = (prompt: readonly number[], count: number) => tinyGreedy(weights, prompt, count);

/** Right in so many of its tokens, then wrong. */
const knowing = (right: (round: number) => number, tokens = 6): Drafter => ({
  tokens,
  start() {
    let round = 0;
    return {
      propose(ids, most) {
        const correct = right(round++);
        const due = greedy(ids, most);
        return due.map((token, at) => (at < correct ? token : (token + 1) & 15));
      },
      end() {},
    };
  },
});

describe.each([0, 1, 2, 3])("model %i", (which) => {
  let model: Model;
  let take: Counted["take"];
  beforeAll(() => ({ model, take } = counted(models[which]!)));

  test.each([
    ["always right", () => 99],
    ["always wrong", () => 0],
    ["right in part", (round: number) => (round * 7) % 5],
  ])("a drafter that is %s", async (name, right) => {
    take();
    const options = { inputIds: PROMPT, maxNewTokens: 40, returnLogits: true };
    const pieces = await collect(generate(model, { ...options, drafter: knowing(right) }));
    const tokens = pieces.map(({ token }) => token);
    expect(tokens).toEqual(greedy(PROMPT, 40));
    const due = tinyReference(weights, [...PROMPT, ...tokens]);
    for (const [step, { logits }] of pieces.entries())
      for (const [token, logit] of logits!.entries())
        expect(logit).toBeCloseTo(due[PROMPT.length - 1 + step]![token]!, 4);
    // A prompt, the first token with 6 drafts, and so on: 7 tokens a run
    if (name === "always right") expect(take().runs).toBe(1 + Math.ceil(39 / 7));
  });

  test("of the text itself, and of a model", async () => {
    for (const drafter of [promptLookup(), promptLookup({ least: 1, tokens: 3 }), draftModel(other), draftModel(model)])
      for (const prompt of [PROMPT, [5]]) {
        const options = { inputIds: prompt, maxNewTokens: 50, drafter };
        expect((await collect(generate(model, options))).map(({ token }) => token)).toEqual(greedy(prompt, 50));
      }
  });

  test("sampled with a seed, penalties, a processor and a stop token", async () => {
    const all: GenerateOptions[] = [
      { seed: 3 },
      { seed: 4, temperature: 0.5, topP: 0.8 },
      { seed: 5, repetitionPenalty: 1.3, stopTokens: [11] },
      { seed: 6, processors: (logits, { generated }) => void logits.fill(-9, generated % 16, (generated % 16) + 1) },
    ];
    for (const options of all) {
      const request = { inputIds: PROMPT, maxNewTokens: 40, ...options };
      const alone = await collect(generate(model, request));
      for (const drafter of [promptLookup({ least: 1 }), draftModel(model), draftModel(other)])
        expect(await collect(generate(model, { ...request, drafter }))).toEqual(alone);
    }
  });

  test("snapshots and tokens taken back between drafts", async () => {
    const drafter = knowing((round) => 1 + (round % 4));
    const story = generate(model, { inputIds: PROMPT, maxNewTokens: 24, drafter, history: true });
    const made: number[] = [];
    for await (const { token, finish } of story) {
      made.push(token);
      if (made.length % 3 === 0) {
        const pending = story.snapshot();
        // Also one that nobody waits for before the next piece
        const state = made.length % 2 ? await pending : undefined;
        if (finish) continue;
        const kept = state ?? (await Promise.race([pending, pending]));
        const due = tinyReference(weights, [...PROMPT, ...made]).at(-1)!;
        for (const [id, logit] of kept.logits!.entries()) expect(logit).toBeCloseTo(due[id]!, 4);
      }
    }
    expect(made).toEqual(greedy(PROMPT, 24));
    expect((await collect(story.rewind(9))).map(({ token }) => token)).toEqual(made.slice(-9));
  });

  test("aborted while drafts are verified", async () => {
    const controller = new AbortController();
    const options = { inputIds: PROMPT, maxNewTokens: 30, drafter: knowing(() => 3), signal: controller.signal };
    const story = generate(model, options);
    const made: number[] = [];
    const run = async () => {
      for await (const { token } of story) if (made.push(token) === 5) controller.abort();
    };
    await expect(run()).rejects.toMatchObject({ code: "aborted" });
    expect(made).toEqual(greedy(PROMPT, 5));
    const { logits } = await story.snapshot();
    const due = tinyReference(weights, [...PROMPT, ...made]).at(-1)!;
    for (const [id, logit] of logits!.entries()) expect(logit).toBeCloseTo(due[id]!, 4);
  });
});

test("what cannot draft is refused", async () => {
  const model = models[0]!;
  const small = await loadModel(nodeBackend, tinyModel(tinyWeights({ vocabulary: 8 })));
  expect(() => generate(model, { inputIds: [1], drafter: draftModel(small) })).toThrow(
    /vocabulary of 8, the model one of 16/,
  );
  await small.close();
  expect(() => promptLookup({ tokens: 0 })).toThrow(/tokens must be/);
  expect(() => createBatch(model).add({ inputIds: [1], drafter: promptLookup() })).toThrow(/an option of generate/);
  expect(() => createBatch(model).add({ inputIds: [1], history: true })).toThrow(/history is an option of generate/);
});
