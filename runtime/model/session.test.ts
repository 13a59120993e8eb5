/** Loading, what is refused, and single steps of models that are not language models. */
import { describe, expect, test } from "vitest";
import {
  CHANNELS,
  LAGS,
  ORDER,
  type TinyOptions,
  tinyModel,
  tinyReference,
  tinyWeights,
} from "../../test/tiny-model.ts";
import { generate } from "../generate/generate.ts";
import { nodeBackend, nodeBindingBackend } from "../node/backend.ts";
import { read, readTokens } from "./read.ts";
import { loadModel } from "./session.ts";
import { step, zeroState } from "./step.ts";

const weights = tinyWeights();
const open = (options: TinyOptions = {}, backend = nodeBackend) =>
  loadModel(backend, tinyModel(weights, options), { file: "tiny.onnx" });

describe.each([nodeBackend, nodeBindingBackend])("a model of a signal on $name", (backend) => {
  const frames = Array.from({ length: 9 }, (_, t) =>
    Float32Array.from({ length: CHANNELS }, (_, c) => Math.sin(t + c)),
  );
  const tensor = (rows: Float32Array[]) =>
    new nodeBackend.Tensor("float32", Float32Array.from(rows.flatMap((row) => [...row])), [1, rows.length, CHANNELS]);

  test("runs step by step, in pieces of any length, from any state", async () => {
    const model = await open({ signal: true }, backend);
    expect(model.language).toBeUndefined();
    const expected = tinyReference(weights, frames).flat();
    for (const cut of [[9], [1, 1, 1, 1, 1, 1, 1, 1, 1], [4, 1, 3, 1]]) {
      let state = zeroState(model);
      const values: number[] = [];
      let at = 0;
      for (const length of cut) {
        const { outputs, state: next } = await step(model, { signal: tensor(frames.slice(at, at + length)) }, state);
        at += length;
        expect(next.positions).toEqual([at]);
        values.push(...(outputs.features!.data as Float32Array));
        state = next;
      }
      expect(values.length).toBe(expected.length);
      for (const [index, value] of values.entries()) expect(value).toBeCloseTo(expected[index]!, 5);
    }
    await model.close();
  });

  test("a state is never changed by a step, also when another is overwritten", async () => {
    const model = await open({ signal: true }, backend);
    const one = (await step(model, { signal: tensor(frames.slice(0, 3)) }, zeroState(model))).state;
    const before = one.tensors.map((value) => Float32Array.from(value.data as Float32Array));
    const two = (await step(model, { signal: tensor(frames.slice(3, 4)) }, one)).state;
    const three = (await step(model, { signal: tensor(frames.slice(4, 5)) }, two, { overwrite: zeroState(model) }))
      .state;
    const again = (await step(model, { signal: tensor(frames.slice(4, 5)) }, two, { overwrite: one })).state;
    expect(again.tensors[0]!.data).toEqual(three.tensors[0]!.data);
    // `one` was given up: its buffers now hold the new state.
    expect(again.tensors[0]!.data).toEqual(one.tensors[0]!.data);
    expect(before[0]).not.toEqual(one.tensors[0]!.data);
    await model.close();
  });

  test("says what it is when asked for text, and what input is missing", async () => {
    const model = await open({ signal: true }, backend);
    expect(() => generate(model, { inputIds: [1] })).toThrow(/takes signal and gives features/);
    await expect(step(model, {}, zeroState(model))).rejects.toMatchObject({ code: "bad-input" });
    const other = await open({ signal: true }, backend);
    const feeds = { signal: tensor(frames.slice(0, 1)) };
    await expect(step(model, feeds, zeroState(other))).rejects.toMatchObject({ code: "state-mismatch" });
    const wrong = { signal: new nodeBackend.Tensor("float32", new Float32Array(3), [1, 1, 3]) };
    await expect(step(model, wrong, zeroState(model))).rejects.toMatchObject({ code: "runtime-failed" });
    await model.close();
    await other.close();
  });
});

describe("positions", () => {
  const signal = (dims: readonly number[]) => {
    const length = dims.reduce((product, dim) => product * dim, 1);
    return { signal: new nodeBackend.Tensor("float32", new Float32Array(length), dims) };
  };

  test("count by the dimension that the model calls sequence_length, wherever it is", async () => {
    const model = await open({ signal: true, channelsFirst: true });
    const { state } = await step(model, signal([2, CHANNELS, 100]), zeroState(model, 2));
    expect(state.positions).toEqual([100, 100]);
    const next = await step(model, signal([2, CHANNELS, 7]), state, { advance: [7, 5] });
    expect(next.state.positions).toEqual([107, 105]);
  });

  test("of a model that does not say which dimension is time are asked for", async () => {
    const model = await open({ signal: true, time: "n" });
    await expect(step(model, signal([1, 3, CHANNELS]), zeroState(model))).rejects.toThrow(/sequence_length.*advance/s);
    const { state } = await step(model, signal([1, 3, CHANNELS]), zeroState(model), { advance: 3 });
    expect(state.positions).toEqual([3]);
  });

  test.each([[[1, 2, 3]], [-1], [0.5], ["1"]])("are refused where they are %j", async (advance) => {
    const model = await open({ signal: true });
    const stepping = step(model, signal([1, 1, CHANNELS]), zeroState(model), { advance: advance as number });
    await expect(stepping).rejects.toMatchObject({ code: "bad-input" });
  });
});

describe("a batch that is not the state's is refused", () => {
  test("by a step, though ONNX Runtime would broadcast it", async () => {
    const zeros = (rows: number) =>
      new nodeBackend.Tensor("float32", new Float32Array(rows * CHANNELS), [rows, 1, CHANNELS]);
    for (const batch of ["batch_size", "b"]) {
      const model = await open({ signal: true, batch });
      for (const [rows, ofState] of [
        [2, 1],
        [1, 2],
      ] as const) {
        const stepping = step(model, { signal: zeros(rows) }, zeroState(model, ofState));
        await expect(stepping).rejects.toMatchObject({ code: "bad-input" });
      }
    }
  });

  test("by reading", async () => {
    const model = await open();
    const one = await read(model, [[1, 2, 3]]);
    const two = await read(model, [
      [1, 2, 3],
      [4, 5],
    ]);
    const three = await read(model, [[1], [2], [3]]);
    for (const [prompts, state] of [
      [[[1], [2]], one],
      [[[1]], two],
      [[[1], [2, 3]], three],
      [[[1], [2, 3]], one],
    ] as const)
      await expect(read(model, prompts, { state })).rejects.toMatchObject({ code: "bad-input" });
    await expect(readTokens(model, [2, 1], one)).rejects.toMatchObject({ code: "bad-input" });
  });
});

test("zero states have the model's own dims, for any batch size", async () => {
  const model = await open();
  const state = zeroState(model, 3);
  expect(state.tensors.map((value) => value.dims)).toEqual([
    [3, ORDER, CHANNELS],
    [3, LAGS, CHANNELS],
  ]);
  expect(() => zeroState(model, 0)).toThrow(expect.objectContaining({ code: "bad-input" }));
  const fixed = await open({ batch: 2 });
  expect(() => zeroState(fixed, 3)).toThrow(expect.objectContaining({ code: "bad-input" }));
  expect(zeroState(fixed, 2).batchSize).toBe(2);
});

test("a closed model refuses to run, and closing twice is fine", async () => {
  const model = await open();
  await model.close();
  await model.close();
  await expect(generate(model, { inputIds: [1] }).next()).rejects.toMatchObject({ code: "runtime-failed" });
});

test("the names of other converters are paired, too", async () => {
  const rename = { "past_ssm.0": "past_key_values.0.recurrent_state", "present_ssm.0": "present.0.recurrent_state" };
  const model = await open({ rename });
  expect(model.states[0]!.present).toBe("present.0.recurrent_state");
  const { value } = await generate(model, { inputIds: [3, 1], returnLogits: true }).next();
  const expected = tinyReference(weights, [3, 1]).at(-1)!;
  for (const [token, logit] of value!.logits!.entries()) expect(logit).toBeCloseTo(expected[token]!, 4);
});

describe("loading", () => {
  const rename = { "past_ssm.0": "a", "present_ssm.0": "b", "past_conv.0": "c", "present_conv.0": "d" };
  test.each<[string, TinyOptions, string]>([
    ["no states", { rename }, "not-converted"],
    ["a state without its output", { rename: { "present_ssm.0": "elsewhere" } }, "not-converted"],
    ["a state that grows along two axes", { stateDims: ["past_length", "past_width"] }, "not-converted"],
  ])("refuses %s", async (_, options, code) => {
    await expect(open(options)).rejects.toMatchObject({ code, where: { file: "tiny.onnx" } });
  });

  test.each([
    ["nothing there", "no/such/file.onnx", "file-missing"],
    ["random bytes", new Uint8Array(1000).fill(7), "not-onnx"],
    ["a truncated file", tinyModel(weights).slice(0, 500), "not-onnx"],
    ["an empty file", new Uint8Array(0), "not-onnx"],
  ])("refuses %s", async (_, source, code) => {
    await expect(loadModel(nodeBackend, source)).rejects.toMatchObject({ code });
  });

  test("refuses a tokenizer with more ids than the vocabulary", async () => {
    const tokenizer = { size: 17, encode: () => [], decode: () => "" };
    const loading = loadModel(nodeBackend, tinyModel(weights), { tokenizer });
    await expect(loading).rejects.toMatchObject({ code: "tokenizer-mismatch" });
    const fits = await loadModel(nodeBackend, tinyModel(weights), { tokenizer: { ...tokenizer, size: 16 } });
    await fits.close();
  });
});
