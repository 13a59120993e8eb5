/** Many sequences at once give what each gives alone. */
import { describe, expect, test } from "vitest";
import { type TinyOptions, tinyModel, tinyWeights } from "../../../test/tiny-model.ts";
import type { Model } from "../../model/model.ts";
import { read } from "../../model/read.ts";
import { loadModel } from "../../model/session.ts";
import { nodeBackend } from "../../node/backend.ts";
import { generate } from "../generate.ts";
import type { GenerateOptions, Piece } from "../options.ts";
import { createBatch, generateBatch } from "./batch.ts";

const weights = tinyWeights({ vocabulary: 40 });
const open = (options: TinyOptions = {}, sliceLength = 512) =>
  loadModel(nodeBackend, tinyModel(weights, options), { sliceLength });

async function collect(pieces: AsyncIterable<Piece>): Promise<number[]> {
  const tokens: number[] = [];
  for await (const piece of pieces) tokens.push(piece.token);
  return tokens;
}
const alone = (model: Model, options: GenerateOptions) => collect(generate(model, options));

const REQUESTS: GenerateOptions[] = [
  { inputIds: [1, 2, 3, 4, 5, 6, 7], maxNewTokens: 30 },
  { inputIds: [9], maxNewTokens: 3 },
  { inputIds: [8, 8, 8], maxNewTokens: 50, seed: 1, temperature: 0.9, topP: 0.95 },
  { inputIds: [30, 2], maxNewTokens: 20, seed: 2, topK: 5, repetitionPenalty: 1.3 },
  { inputIds: [4, 5], maxNewTokens: 1 },
  { inputIds: [4, 5], maxNewTokens: 0 },
];

describe.each<[string, TinyOptions]>([
  ["with a mask", { mask: true, keep: true }],
  ["without", {}],
])("a batch, %s", (_, options) => {
  test("of unequal prompts: each row as if alone, each ending for itself", async () => {
    const model = await open(options);
    const expected = await Promise.all(REQUESTS.map((request) => alone(model, request)));
    for (const maxBatchSize of [64, 2, 1]) {
      const tokens: number[][] = REQUESTS.map(() => []);
      const finishes: string[] = [];
      for await (const { row, token, finish } of generateBatch(model, REQUESTS, { maxBatchSize })) {
        tokens[row]!.push(token);
        if (finish) finishes.push(finish);
      }
      expect(tokens).toEqual(expected);
      expect(finishes.length).toBe(REQUESTS.length - 1);
    }
  });

  test("that sequences join and leave at any step", async () => {
    const model = await open(options, 3);
    const expected = await Promise.all(REQUESTS.map((request) => alone(model, request)));
    const batch = createBatch(model, { maxBatchSize: 3 });
    const tokens = await Promise.all(
      REQUESTS.map(async (request, index) => {
        // Joins after the first sequence has made 4 · index tokens
        for (let wait = 0; wait < 4 * index; wait++) await new Promise((resolve) => setImmediate(resolve));
        return collect(batch.add(request));
      }),
    );
    expect(tokens).toEqual(expected);
    expect(batch.size).toEqual({ running: 0, waiting: 0 });
  });

  test("several continuations of one state", async () => {
    const model = await open(options);
    const state = await read(model, [[1, 2, 3]]);
    const before = state.tensors.map((tensor) => Float32Array.from(tensor.data as Float32Array));
    const requests = [1, 2, 3].map((seed) => ({ state, seed, maxNewTokens: 12 }));
    const expected = await Promise.all(requests.map((request) => alone(model, request)));
    const more = { state, inputIds: [7, 7], maxNewTokens: 5 };
    const tokens: number[][] = [[], [], [], []];
    for await (const { row, token } of generateBatch(model, [...requests, more])) tokens[row]!.push(token);
    expect(tokens).toEqual([...expected, await alone(model, more)]);
    for (const [index, tensor] of state.tensors.entries()) expect(tensor.data).toEqual(before[index]);
    // Alone in its batch, the state that was given is the batch's state.
    expect(await collect(createBatch(model).add(requests[0]!))).toEqual(expected[0]);
    for (const [index, tensor] of state.tensors.entries()) expect(tensor.data).toEqual(before[index]);
  });
});

test("one sequence's abort, error or leaving does not touch the others", async () => {
  const model = await open();
  const request = { inputIds: [1, 2, 3], maxNewTokens: 40 };
  const expected = await alone(model, request);
  const batch = createBatch(model);
  const controller = new AbortController();
  let left = 0;
  const leaves = (async () => {
    for await (const _ of batch.add(request)) if (++left === 5) break;
  })();
  const aborts = (async () => {
    for await (const _ of batch.add({ ...request, signal: controller.signal })) controller.abort();
  })();
  const processors = () => {
    throw new Error("mine");
  };
  const throws = collect(batch.add({ ...request, processors }));
  const stays = collect(batch.add(request));
  expect(await Promise.allSettled([leaves, aborts, throws, stays])).toMatchObject([
    { status: "fulfilled" },
    { status: "rejected", reason: { code: "aborted" } },
    { status: "rejected", reason: { message: "mine" } },
    { status: "fulfilled", value: expected },
  ]);
  expect(left).toBe(5);
  expect(() => batch.add({ inputIds: [99] })).toThrow(expect.objectContaining({ code: "token-out-of-range" }));
  batch.close();
  expect(() => batch.add(request)).toThrow(expect.objectContaining({ code: "bad-input" }));
});

test("a sequence that is aborted while its prompt is read leaves without waiting for the rest", async () => {
  const model = await open({}, 2);
  const controller = new AbortController();
  const seen: number[] = [];
  const onPrompt = ({ tokens }: { tokens: number }) => {
    seen.push(tokens);
    if (tokens === 4) controller.abort();
  };
  const inputIds = Array.from({ length: 20 }, (_, index) => index);
  const batch = createBatch(model);
  const other = { inputIds: [5], maxNewTokens: 30 };
  const results = await Promise.allSettled([
    collect(batch.add({ inputIds, onPrompt, signal: controller.signal })),
    collect(batch.add(other)),
  ]);
  expect(results).toMatchObject([
    { status: "rejected", reason: { code: "aborted" } },
    { status: "fulfilled", value: await alone(model, other) },
  ]);
  expect(seen).toEqual([2, 4]);
});

test("a failing run ends every sequence with the error", async () => {
  const model = await open();
  const run = async () => {
    throw new Error("device lost");
  };
  const broken = { ...model, run } as Model;
  const requests = [{ inputIds: [1] }, { inputIds: [2, 3] }];
  const batch = createBatch(broken);
  for (const result of await Promise.allSettled(requests.map((request) => collect(batch.add(request))))) {
    expect(result).toMatchObject({ status: "rejected", reason: { code: "runtime-failed" } });
  }
  expect(batch.size).toEqual({ running: 0, waiting: 0 });
});

test("calls of next may be outstanding, as on any async iterator", async () => {
  const model = await open();
  const request = { inputIds: [1, 2, 3], maxNewTokens: 2 };
  const pieces = createBatch(model).add(request);
  const results = await Promise.all([pieces.next(), pieces.next(), pieces.next()]);
  expect(results.map(({ value }) => value?.token)).toEqual([...(await alone(model, request)), undefined]);
});

describe("a row of generateBatch that fails", () => {
  const controller = new AbortController();
  const request = { inputIds: [1, 2, 3], maxNewTokens: 20 };
  const processors = (_: Float32Array, { generated }: { generated: number }) => {
    if (generated === 4) throw new Error("mine");
  };
  const abort = (_: Float32Array, { generated }: { generated: number }) => {
    if (generated === 7) controller.abort();
  };
  const requests = [
    { ...request, processors },
    request,
    { ...request, processors: abort, signal: controller.signal },
    { inputIds: [9], maxNewTokens: 30 },
  ];

  test("leaves the others alone; its error comes when they have ended", async () => {
    const model = await open({ mask: true });
    const tokens: number[][] = requests.map(() => []);
    const run = async () => {
      for await (const { row, token } of generateBatch(model, requests)) tokens[row]!.push(token);
    };
    await expect(run()).rejects.toThrow("mine");
    const whole = await alone(model, request);
    expect(tokens).toEqual([whole.slice(0, 4), whole, whole.slice(0, 8), await alone(model, requests[3]!)]);
  });

  test("or goes to onError", async () => {
    const model = await open();
    const errors: [number, unknown][] = [];
    let pieces = 0;
    const onError = (row: number, error: unknown) => errors.push([row, error]);
    for await (const _ of generateBatch(model, requests.with(2, { ...request, signal: AbortSignal.abort() }), {
      onError,
    }))
      pieces++;
    expect(pieces).toBe(4 + 20 + 0 + 30);
    expect(errors).toMatchObject([
      [2, { code: "aborted" }],
      [0, { message: "mine" }],
    ]);
  });
});

test("each row of those that join together is told of its own prompt; one that throws ends alone", async () => {
  const model = await open({ mask: true }, 9);
  const progress: string[] = [];
  const request = (name: string, length: number): GenerateOptions => ({
    inputIds: Array.from({ length }, (_, index) => index),
    maxNewTokens: 3,
    onPrompt: ({ tokens, total }) => {
      progress.push(`${name} ${tokens}/${total}`);
      if (name === "c") throw new Error("mine");
    },
  });
  const batch = createBatch(model);
  const [a, b, c] = [request("a", 8), request("b", 4), request("c", 7)].map((each) => collect(batch.add(each)));
  await expect(c).rejects.toThrow("mine");
  expect((await Promise.all([a!, b!])).map(({ length }) => length)).toEqual([3, 3]);
  // Slices of 3, padded on the left to 8
  expect(progress).toEqual(["a 3/8", "c 2/7", "a 6/8", "b 2/4", "a 8/8", "b 4/4"]);
});

test("a model with a batch of its own: one sequence at a time, or not at all", async () => {
  const one = await open({ batch: 1 });
  const tokens: number[][] = REQUESTS.map(() => []);
  for await (const { row, token } of generateBatch(one, REQUESTS, { maxUnread: 3 })) tokens[row]!.push(token);
  expect(tokens).toEqual(await Promise.all(REQUESTS.map((request) => alone(one, request))));
  expect(() => createBatch(one, { maxBatchSize: 2 })).toThrow(expect.objectContaining({ code: "bad-input" }));
  const two = await open({ batch: 2 });
  expect(() => createBatch(two)).toThrow(/batches of exactly 2/);
  for (const options of [{ maxUnread: 0 }, { maxBatchSize: 1.5 }])
    expect(() => createBatch(one, options)).toThrow(expect.objectContaining({ code: "bad-input" }));
});
