/** Generating from a tiny model whose logits are known in float64. */
import { afterAll, describe, expect, test } from "vitest";
import { tinyGreedy, tinyModel, tinyReference, tinyWeights } from "../../test/tiny-model.ts";
import type { Model } from "../model/model.ts";
import { read } from "../model/read.ts";
import { loadModel } from "../model/session.ts";
import { nodeBackend } from "../node/backend.ts";
import { generate } from "./generate.ts";
import type { GenerateOptions, Piece } from "./options.ts";

const weights = tinyWeights();
const open: Model[] = [];
async function tiny(options: Parameters<typeof tinyModel>[1] = {}, sliceLength = 512): Promise<Model> {
  const model = await loadModel(nodeBackend, tinyModel(weights, options), { sliceLength });
  open.push(model);
  return model;
}
afterAll(() => Promise.all(open.map((model) => model.close())));

async function collect(model: Model, options: GenerateOptions): Promise<Piece[]> {
  const pieces: Piece[] = [];
  for await (const piece of generate(model, options)) pieces.push(piece);
  return pieces;
}

const greedy = (prompt: readonly number[], count: number) => tinyGreedy(weights, prompt, count);

const PROMPT = [3, 1, 4, 1, 5, 9, 2, 6, 5, 3, 5];

describe.each([
  ["plain", {}],
  ["with a mask", { mask: true }],
  ["with num_logits_to_keep", { keep: true }],
  ["with both, vocabulary unknown", { mask: true, keep: true, hideVocabulary: true }],
])("a model %s", (_, options) => {
  test("gives the tokens and logits of float64 arithmetic, step by step", async () => {
    const model = await tiny(options);
    const pieces = await collect(model, { inputIds: PROMPT, maxNewTokens: 40, returnLogits: true });
    const tokens = pieces.map((piece) => piece.token);
    expect(tokens).toEqual(greedy(PROMPT, 40));
    const expected = tinyReference(weights, [...PROMPT, ...tokens]);
    for (const [step, piece] of pieces.entries()) {
      for (const [token, logit] of piece.logits!.entries()) {
        expect(logit).toBeCloseTo(expected[PROMPT.length - 1 + step]![token]!, 4);
      }
    }
    expect(pieces.at(-1)!.finish).toBe("length");
  });

  test("reads a prompt in slices of any length alike", async () => {
    const expected = tinyReference(weights, PROMPT).at(-1)!;
    for (const slice of [1, 2, 3, 7, 11, 100]) {
      const state = await read(await tiny(options, slice), [PROMPT]);
      for (const [token, logit] of state.logits!.entries()) expect(logit).toBeCloseTo(expected[token]!, 4);
      expect(state.positions).toEqual([PROMPT.length]);
    }
  });
});

describe("one generation", () => {
  test("is reproducible with a seed, and differs with another", async () => {
    const model = await tiny();
    const tokens = async (seed: number) => (await collect(model, { inputIds: [1], seed })).map((piece) => piece.token);
    expect(await tokens(1)).toEqual(await tokens(1));
    expect(await tokens(1)).not.toEqual(await tokens(2));
  });

  test("draws the first tokens of seeds one after the other as often as the logits say", async () => {
    const model = await tiny();
    const state = await read(model, [PROMPT]);
    const weight = tinyReference(weights, PROMPT).at(-1)!.map(Math.exp);
    const total = weight.reduce((sum, value) => sum + value, 0);
    const seeds = 1500;
    const counts = new Array<number>(weights.vocabulary).fill(0);
    for (let seed = 0; seed < seeds; seed++) {
      const [piece] = await collect(model, { state, seed, maxNewTokens: 1 });
      counts[piece!.token]!++;
    }
    const squares = counts.map((count, token) => {
      const expected = (seeds * weight[token]!) / total;
      return (count - expected) ** 2 / expected;
    });
    // χ² with 15 degrees of freedom is above this once in a million.
    expect(squares.reduce((sum, value) => sum + value, 0)).toBeLessThan(56);
  });

  test("ends with a stop token, which it gives, and at maxNewTokens", async () => {
    const model = await tiny();
    const all = greedy(PROMPT, 12);
    const stop = all[5]!;
    const pieces = await collect(model, { inputIds: PROMPT, stopTokens: [stop] });
    expect(pieces.map((piece) => piece.token)).toEqual(all.slice(0, all.indexOf(stop) + 1));
    expect(pieces.at(-1)!.finish).toBe("stop-token");
    expect(pieces.slice(0, -1).every((piece) => piece.finish === undefined)).toBe(true);
    expect(await collect(model, { inputIds: PROMPT, maxNewTokens: 0 })).toEqual([]);
  });

  test("stops when aborted, before and while it runs", async () => {
    const model = await tiny({}, 2);
    const aborted = collect(model, { inputIds: PROMPT, signal: AbortSignal.abort() });
    await expect(aborted).rejects.toMatchObject({ code: "aborted" });
    const controller = new AbortController();
    const pieces: Piece[] = [];
    const run = async () => {
      for await (const piece of generate(model, { inputIds: PROMPT, signal: controller.signal })) {
        pieces.push(piece);
        if (pieces.length === 3) controller.abort();
      }
    };
    await expect(run()).rejects.toMatchObject({ code: "aborted" });
    expect(pieces.length).toBe(3);
    // … and in the middle of a prompt
    const inPrompt = new AbortController();
    const seen: number[] = [];
    const onPrompt = ({ tokens }: { tokens: number }) => {
      seen.push(tokens);
      if (tokens >= 4) inPrompt.abort();
    };
    const reading = collect(model, { inputIds: PROMPT, signal: inPrompt.signal, onPrompt });
    await expect(reading).rejects.toMatchObject({ code: "aborted" });
    expect(seen).toEqual([2, 4]);
  });

  test("goes on from a snapshot as if it had not stopped, any number of times", async () => {
    const model = await tiny();
    const expected = greedy(PROMPT, 20);
    const generation = generate(model, { inputIds: PROMPT, maxNewTokens: 20 });
    const tokens: number[] = [];
    const snapshots = [await generation.snapshot()];
    for await (const piece of generation) {
      tokens.push(piece.token);
      snapshots.push(await generation.snapshot());
    }
    expect(tokens).toEqual(expected);
    await expect(generation.snapshot()).rejects.toMatchObject({ code: "bad-input" });
    for (const at of [0, 7, 19, 7]) {
      const state = snapshots[at]!;
      expect(state.positions).toEqual([PROMPT.length + at]);
      const rest = await collect(model, { state, maxNewTokens: 20 - at || 1 });
      expect(rest.map((piece) => piece.token)).toEqual(expected.slice(at, at + (20 - at || 1)));
    }
    // The last one has read its last token, too.
    expect((await collect(model, { state: snapshots[20]!, maxNewTokens: 1 }))[0]!.token).toBe(greedy(PROMPT, 21)[20]);
  });

  test("continues a state with more tokens, and leaves the state as it was", async () => {
    const model = await tiny();
    const state = await read(model, [PROMPT.slice(0, 6)]);
    const before = state.tensors.map((tensor) => Float32Array.from(tensor.data as Float32Array));
    const pieces = await collect(model, { state, inputIds: PROMPT.slice(6), maxNewTokens: 10, repetitionPenalty: 1.0 });
    expect(pieces.map((piece) => piece.token)).toEqual(greedy(PROMPT, 10));
    await collect(model, { state, seed: 3, temperature: 2, repetitionPenalty: 1.5, maxNewTokens: 10 });
    for (const [index, tensor] of state.tensors.entries()) expect(tensor.data).toEqual(before[index]);
    const logits = tinyReference(weights, PROMPT.slice(0, 6)).at(-1)!;
    for (const [token, logit] of state.logits!.entries()) expect(logit).toBeCloseTo(logits[token]!, 4);
  });

  test("calls the processors with the logits of every token", async () => {
    const model = await tiny();
    const ban = (logits: Float32Array) => {
      logits[greedy(PROMPT, 1)[0]!] = Number.NEGATIVE_INFINITY;
    };
    const [piece] = await collect(model, { inputIds: PROMPT, maxNewTokens: 1, processors: ban, returnLogits: true });
    const logits = tinyReference(weights, PROMPT).at(-1)!;
    const second = logits.indexOf(logits.toSorted((a, b) => b - a)[1]!);
    expect(piece!.token).toBe(second);
    expect(piece!.logits!.every(Number.isFinite)).toBe(true);
  });

  test.each([
    [{ inputIds: [16] }, "token-out-of-range"],
    [{ inputIds: [3, -1] }, "token-out-of-range"],
    [{ inputIds: [1.5] }, "token-out-of-range"],
    [{ inputIds: [] }, "bad-input"],
    [{}, "bad-input"],
    [{ prompt: "text" }, "bad-input"],
    [{ inputIds: [1], prompt: "text" }, "bad-input"],
    [{ inputIds: [1], stop: "." }, "bad-input"],
    [{ inputIds: [1], maxNewTokens: -1 }, "bad-input"],
    [{ inputIds: [1], topP: 3 }, "bad-input"],
    [{ inputIds: [1], maxNewTokens: 2.5 }, "bad-input"],
  ])("refuses %j", async (options, code) => {
    const model = await tiny();
    expect(() => generate(model, options)).toThrow(expect.objectContaining({ code }));
  });

  test.each<[unknown, RegExp]>([
    [{ prompt: 5 }, /prompt must be a text, got 5/],
    [{ inputIds: BigInt64Array.of(1n) }, /inputIds must be an array of token ids, got a value of type BigInt64Array/],
    [{ inputIds: [1n] }, /inputIds\[0\] must be a number, got 1n/],
    [{ inputIds: 5 }, /inputIds must be/],
    [{ inputIds: [1], stopTokens: 5 }, /stopTokens must be an array of token ids, got 5/],
    [{ inputIds: [1], stop: 5 }, /stop must be a text or an array of texts, got 5/],
    [
      { inputIds: [1], stop: [""], maxNewTokens: "5" },
      /maxNewTokens must be a whole number of at least 0, got the text "5"/,
    ],
    [{ inputIds: [1], temperature: "0.5" }, /temperature must be a number of at least 0, got the text "0.5"/],
    [{ inputIds: [1], onPrompt: true }, /onPrompt must be a function/],
    ["text", /options must be an object/],
    [undefined, /options must be an object/],
  ])("says what is wrong of %o", async (options, message) => {
    const model = await tiny();
    let error: unknown;
    try {
      generate(model, options as GenerateOptions);
    } catch (thrown) {
      error = thrown;
    }
    expect(error).toMatchObject({ code: "bad-input", message: expect.stringMatching(message) });
  });

  test("reading says what is wrong, too", async () => {
    const model = await tiny();
    for (const prompts of ["text", ["text"], [5], [BigInt64Array.of(1n)], [[1n]], [["1"]]])
      await expect(read(model, prompts as unknown as number[][])).rejects.toMatchObject({ code: "bad-input" });
  });
});

test("reads a text as its tokens, with the special ones where it starts a sequence", async () => {
  const model = await tiny();
  const tokenizer = {
    size: 16,
    encode: (text: string, { addSpecialTokens = true } = {}) => [
      ...(addSpecialTokens ? [9] : []),
      ...[...text].map(Number),
    ],
    decode: () => "",
  };
  const reader = { ...model, tokenizer };
  const state = await read(reader, ["314"]);
  expect(state.logits).toEqual((await read(model, [[9, 3, 1, 4]])).logits);
  const after = await read(reader, ["15"], { state });
  expect(after.logits).toEqual((await read(model, [[1, 5]], { state })).logits);
  await expect(read(model, ["314"])).rejects.toMatchObject({ code: "bad-input", message: /tokenizer/ });
});

test("reads prompts of unequal length at once, padded or not, as if each were alone", async () => {
  const prompts = [PROMPT, [7], [2, 7, 1, 8], [1, 1]];
  for (const options of [{}, { mask: true, keep: true }]) {
    for (const slice of [4, 512]) {
      const state = await read(await tiny(options, slice), prompts);
      expect(state.positions).toEqual([11, 1, 4, 2]);
      for (const [row, prompt] of prompts.entries()) {
        const expected = tinyReference(weights, prompt).at(-1)!;
        const logits = state.logits!.subarray(row * 16, row * 16 + 16);
        for (const [token, logit] of logits.entries()) expect(logit).toBeCloseTo(expected[token]!, 4);
      }
    }
  }
});

test("reads prompts of unequal length after states of their own", async () => {
  for (const options of [{}, { mask: true }]) {
    const model = await tiny(options);
    const state = await read(model, [PROMPT, [7]]);
    const after = await read(model, [[2], [3, 4, 5]], { state });
    expect(after.positions).toEqual([12, 4]);
    for (const [row, ids] of [
      [...PROMPT, 2],
      [7, 3, 4, 5],
    ].entries()) {
      const expected = tinyReference(weights, ids).at(-1)!;
      const logits = after.logits!.subarray(row * 16, row * 16 + 16);
      for (const [token, logit] of logits.entries()) expect(logit).toBeCloseTo(expected[token]!, 4);
    }
  }
});
