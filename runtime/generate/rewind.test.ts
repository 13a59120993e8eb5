/** Tokens taken back: what follows is what float64 arithmetic says, and only what has to be read again is. */

import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { editAgain } from "../../scripts/edits.ts";
import { collect } from "../../test/collect.ts";
import { type Counted, counted } from "../../test/counted.ts";
import { CHANNELS, LAGS, ORDER, tinyGreedy, tinyModel, tinyWeights } from "../../test/tiny-model.ts";
import { createHistory } from "../kept/history.ts";
import type { Model } from "../model/model.ts";
import { read } from "../model/read.ts";
import { loadModel } from "../model/session.ts";
import { nodeBackend, nodeBindingBackend } from "../node/backend.ts";
import { generate } from "./generate.ts";
import type { Piece } from "./options.ts";

const weights = tinyWeights();
/** As a device that makes its outputs itself, where a state that was freed can no longer be read. */
const freeing = { ...nodeBindingBackend, oneRunAtATime: true, writesIntoFetches: false };
/** 16 letters, each a token. */
const tokenizer = {
  size: 16,
  encode: (text: string) => Array.from(text, (letter) => letter.charCodeAt(0) - 97),
  decode: (ids: readonly number[]) => String.fromCharCode(...ids.map((id) => id + 97)),
};
const models: Model[] = [];
beforeAll(async () => {
  for (const backend of [nodeBackend, freeing])
    models.push(await loadModel(backend, tinyModel(weights), { tokenizer }));
});
afterAll(() => Promise.all(models.map((model) => model.close())));

const STATE_BYTES = 4 * (ORDER * CHANNELS + LAGS * CHANNELS + weights.vocabulary);
const PROMPT = [3, 1, 4, 1, 5, 9, 2, 6, 5, 3, 5, 8, 9, 7, 9, 3, 2, 3, 8, 4, 6];

const greedy = (prompt: readonly number[], count: number) => tinyGreedy(weights, prompt, count);

const tokensOf = async (pieces: AsyncIterable<Piece>) => (await collect(pieces)).map(({ token }) => token);

describe.each([0, 1])("backend %i", (which) => {
  let model: Model;
  let take: Counted["take"];
  beforeAll(() => ({ model, take } = counted(models[which]!)));

  test.each([true, false])("goes on as it did, with history: %s", async (history) => {
    const story = generate(model, { inputIds: PROMPT, maxNewTokens: 20, history });
    const made = await tokensOf(story);
    expect(made).toEqual(greedy(PROMPT, 20));
    for (const back of [0, 1, 7, 20]) {
      take();
      expect(await tokensOf(story.rewind(back))).toEqual(back === 0 ? [] : made.slice(-back));
      // The last token is chosen and not read; on a device every 16th state is kept.
      if (history && which === 0) expect(take().tokens).toBe(Math.max(0, back - 1));
    }
  });

  test("draws the same tokens, also under penalties and with stops", async () => {
    const options = {
      inputIds: PROMPT,
      maxNewTokens: 30,
      seed: 7,
      temperature: 1.3,
      topP: 0.9,
      repetitionPenalty: 1.2,
    };
    const story = generate(model, { ...options, stop: "zz", history: true });
    const made = await collect(story);
    const again = await collect(story.rewind(11));
    expect(again.map(({ token }) => token)).toEqual(made.slice(-11).map(({ token }) => token));
    expect(again.at(-1)!.finish).toBe(made.at(-1)!.finish);
    expect(await tokensOf(story.rewind(11, { seed: 8 }))).not.toEqual(made.slice(-11).map(({ token }) => token));
  });

  test("in the loop of a text that goes on: both go on", async () => {
    const story = generate(model, { inputIds: PROMPT, maxNewTokens: 12, history: true });
    const made: number[] = [];
    let other: number[] = [];
    for await (const { token } of story) {
      made.push(token);
      if (made.length === 6) other = await tokensOf(story.rewind(4, { inputIds: [1, 2], maxNewTokens: 5 }));
    }
    expect(made).toEqual(greedy(PROMPT, 12));
    expect(other).toEqual(greedy([...PROMPT, ...made.slice(0, 2), 1, 2], 5));
  });

  test("edits the prompt, twice from one place, and an edit of an edit", async () => {
    const story = generate(model, { inputIds: PROMPT, maxNewTokens: 4, history: true });
    await collect(story);
    take();
    const first = story.rewind(4 + 3, { inputIds: [7, 7] });
    expect(await tokensOf(first)).toEqual(greedy([...PROMPT.slice(0, -3), 7, 7], 4));
    // Behind a state 8 from the end: 5 that stay, the 2 new ones, and 3 of the text
    if (which === 0) expect(take().tokens).toBe(5 + 2 + 3);
    const second = story.rewind(4 + 3, { prompt: "abc" });
    const letter = model.tokenizer!.encode("abc", { addSpecialTokens: false });
    expect(await tokensOf(second)).toEqual(greedy([...PROMPT.slice(0, -3), ...letter], 4));
    const edited = first.rewind(5, { inputIds: [2] });
    expect(await tokensOf(edited)).toEqual(greedy([...PROMPT.slice(0, -3), 7, 2], 4));
    expect(await tokensOf(story.rewind(4 + PROMPT.length, { inputIds: [5] }))).toEqual(greedy([5], 4));
  });

  test("after an abort, and not before the state that it began with", async () => {
    const state = await read(model, [PROMPT]);
    const controller = new AbortController();
    const story = generate(model, {
      state,
      inputIds: [1, 2],
      maxNewTokens: 9,
      history: true,
      signal: controller.signal,
    });
    const made: number[] = [];
    const run = async () => {
      for await (const { token } of story) {
        made.push(token);
        if (made.length === 5) controller.abort();
      }
    };
    await expect(run()).rejects.toMatchObject({ code: "aborted" });
    const { signal } = new AbortController();
    const rest = await tokensOf(story.rewind(2, { signal }));
    expect([...made.slice(0, 3), ...rest]).toEqual(greedy([...PROMPT, 1, 2], 9));
    const whole = story.rewind(7, { inputIds: [3], signal });
    expect(await tokensOf(whole)).toEqual(greedy([...PROMPT, 3], 9));
    expect(() => story.rewind(8)).toThrow(/8 tokens cannot be taken back: there are 7/);
    expect(() => story.rewind(-1)).toThrow(/tokens must be/);
    expect(() => story.rewind(7)).not.toThrow();
  });

  test("40 random edits of 300 tokens are equal to reading anew", async () => {
    const text = Array.from({ length: 300 }, (_, at) => (at * at + 3 * at) & 15);
    let edits = 0;
    for await (const { apart } of editAgain(model, text, {
      edits: 40,
      seed: 3,
      history: { maxBytes: 30 * STATE_BYTES },
    })) {
      expect(apart).toBeLessThan(1e-4);
      edits++;
    }
    expect(edits).toBe(40);
  });
});

test("states are kept within bounds, and never so far apart that going back reads three times what it must", async () => {
  const model = models[0]!;
  const state = await read(model, [[1]]);
  for (const limits of [{ states: 20 }, { maxBytes: 20 * STATE_BYTES }]) {
    const history = createHistory(model, limits);
    const length = 3000;
    for (let at = 1; at <= length; at++) {
      await history.add(at, state);
      expect(history.size.states).toBeLessThanOrEqual(20);
      expect(history.size.bytes).toBe(history.size.states * STATE_BYTES);
    }
    for (let at = 1; at <= length; at++) {
      const from = history.before(at)?.at ?? 0;
      expect(length - from).toBeLessThanOrEqual(3 * (length - at) + 3);
    }
  }
  expect(() => createHistory(model, { states: 0 })).toThrow(/history.states must be/);
});
