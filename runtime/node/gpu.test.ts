/**
 * Tensors on a GPU, by a backend that runs on the CPU but hands out tensors whose data must be downloaded and whose
 * buffers must be freed, and that counts both.
 */
import { describe, expect, test } from "vitest";
import * as ort from "../../src/onnxruntime-node.ts";
import { tinyModel, tinyReference, tinyWeights } from "../../test/tiny-model.ts";
import { createBatch, generateBatch } from "../generate/batch/batch.ts";
import { generate } from "../generate/generate.ts";
import type { State } from "../model/model.ts";
import { read } from "../model/read.ts";
import { loadModel } from "../model/session.ts";
import { disposeState } from "../model/state.ts";
import { stateFromBytes, stateToBytes } from "../model/state-file.ts";
import type { Backend } from "../sessions/backend.ts";
import type { InferenceSession, Tensor } from "../sessions/ort.ts";
import { nodeBackend } from "./backend.ts";

function countingGpu() {
  const live = new Map<object, Float32Array>();
  const counts = { downloads: 0, downloadedStates: 0, running: 0, overlaps: 0 };
  const upload = (tensor: Tensor, name: string): Tensor => {
    const data = (tensor.data as Float32Array).slice();
    const buffer = { size: data.byteLength, mapState: "unmapped" };
    live.set(buffer, data);
    return ort.Tensor.fromGpuBuffer(buffer as never, {
      dataType: "float32",
      dims: tensor.dims,
      download: async () => {
        if ((buffer as { lost?: boolean }).lost) throw new Error("device lost");
        counts.downloads++;
        if (name.startsWith("present")) counts.downloadedStates++;
        return data;
      },
      dispose: () => void live.delete(buffer),
    });
  };
  const onCpu = (tensor: Tensor): Tensor => {
    if (tensor.location === "cpu") return tensor;
    const data = live.get(tensor.gpuBuffer);
    if (!data) throw new Error("a buffer was used after it was freed");
    return new ort.Tensor("float32", data, tensor.dims);
  };
  const backend: Backend = {
    ...nodeBackend,
    oneRunAtATime: true,
    writesIntoFetches: false,
    async open(source, options) {
      const session = await nodeBackend.open(source, options);
      const run = async (feeds: Record<string, Tensor>, fetches: Record<string, null>) => {
        if (counts.running++) counts.overlaps++;
        await new Promise((resolve) => setImmediate(resolve));
        const inputs = Object.fromEntries(Object.entries(feeds).map(([name, tensor]) => [name, onCpu(tensor)]));
        const outputs = await session.run(inputs, fetches);
        counts.running--;
        return Object.fromEntries(Object.entries(outputs).map(([name, tensor]) => [name, upload(tensor, name)]));
      };
      const { inputNames, outputNames, inputMetadata, outputMetadata } = session;
      const release = () => session.release();
      return { run, release, inputNames, outputNames, inputMetadata, outputMetadata } as unknown as InferenceSession;
    },
  };
  return { backend, live, counts };
}

const weights = tinyWeights();
const STATES = 2;

describe("states on a GPU", () => {
  test("stay there from step to step, and their buffers do not pile up", async () => {
    const { backend, live, counts } = countingGpu();
    const model = await loadModel(backend, tinyModel(weights), { sliceLength: 4 });
    const generation = generate(model, { inputIds: [1, 2, 3, 4, 5, 6, 7, 8, 9], maxNewTokens: 300 });
    const tokens: number[] = [];
    for await (const { token } of generation) {
      tokens.push(token);
      expect(live.size).toBe(STATES);
    }
    expect(live.size).toBe(0);
    expect(counts).toMatchObject({ downloads: 300, downloadedStates: 0 });
    const logits = tinyReference(weights, [1, 2, 3, 4, 5, 6, 7, 8, 9, ...tokens.slice(0, -1)]);
    for (const [step, token] of tokens.entries()) {
      const row = logits[8 + step]!;
      expect(row[token]).toBeCloseTo(Math.max(...row), 4);
    }
  });

  test("are freed when the vocabulary had to be asked for", async () => {
    const { backend, live } = countingGpu();
    const model = await loadModel(backend, tinyModel(weights, { hideVocabulary: true }));
    expect(model.language!.vocabulary).toBe(16);
    expect(live.size).toBe(0);
  });

  test("are freed when the loop is left, and live while a snapshot needs them", async () => {
    const { backend, live } = countingGpu();
    const model = await loadModel(backend, tinyModel(weights));
    let snapshot: Awaited<ReturnType<typeof read>> | undefined;
    let made = 0;
    const generation = generate(model, { inputIds: [1] });
    for await (const _ of generation) {
      if (++made === 3) snapshot = await generation.snapshot();
      if (made === 7) break;
    }
    expect(live.size).toBe(STATES);
    // Two continuations of the snapshot leave it alone.
    for (const seed of [1, 2]) for await (const _ of generate(model, { state: snapshot!, seed, maxNewTokens: 5 }));
    expect(live.size).toBe(STATES);
    const again = await stateFromBytes(model, await stateToBytes(model, snapshot!));
    expect(again.logits).toEqual(snapshot!.logits);
    disposeState(snapshot!);
    expect(live.size).toBe(0);
  });

  test("are freed after an abort and after an error, and the state can still be had", async () => {
    const { backend, live } = countingGpu();
    const model = await loadModel(backend, tinyModel(weights));
    const all: number[] = [];
    for await (const { token } of generate(model, { inputIds: [1, 2], maxNewTokens: 9 })) all.push(token);
    const controller = new AbortController();
    const processors = (_: Float32Array, { generated }: { generated: number }) => {
      if (generated === 4) throw new Error("mine");
    };
    for (const options of [{ signal: controller.signal }, { processors }]) {
      const generation = generate(model, { inputIds: [1, 2], ...options });
      const tokens: number[] = [];
      const run = async () => {
        for await (const { token } of generation) if (tokens.push(token) === 4) controller.abort();
      };
      await expect(run()).rejects.toThrow(/aborted|mine/);
      expect(tokens).toEqual(all.slice(0, 4));
      expect(live.size).toBe(0);
      const state = await generation.snapshot();
      for await (const { token } of generate(model, { state, maxNewTokens: 5 })) tokens.push(token);
      expect(tokens).toEqual(all);
      disposeState(state);
      expect(live.size).toBe(0);
    }
    const early = generate(model, { inputIds: [1, 2], signal: AbortSignal.abort() });
    await expect(early.next()).rejects.toMatchObject({ code: "aborted" });
    await expect(early.snapshot()).rejects.toMatchObject({ code: "aborted" });
    expect(live.size).toBe(0);
  });

  test("are freed when their device is lost, and the state is gone", async () => {
    const { backend, live } = countingGpu();
    const model = await loadModel(backend, tinyModel(weights));
    let runs = 0;
    const run = ((...args: Parameters<typeof model.run>) => {
      if (++runs < 3) return model.run(...args);
      for (const buffer of live.keys()) (buffer as { lost?: boolean }).lost = true;
      return Promise.reject(new Error("device lost"));
    }) as typeof model.run;
    const generation = generate({ ...model, run }, { inputIds: [1, 2] });
    await expect(
      (async () => {
        for await (const _ of generation);
      })(),
    ).rejects.toMatchObject({ code: "runtime-failed" });
    expect(live.size).toBe(0);
    await expect(generation.snapshot()).rejects.toMatchObject({ code: "bad-input" });
  });

  test("are not freed under a snapshot that nobody has awaited when the loop ends", async () => {
    const { backend, live } = countingGpu();
    const model = await loadModel(backend, tinyModel(weights));
    for (const leave of [true, false]) {
      const generation = generate(model, { inputIds: [1], maxNewTokens: 3 });
      let snapshot: Promise<State> | undefined;
      for await (const { finish } of generation) {
        if (leave || finish) snapshot = generation.snapshot();
        if (leave) break;
      }
      const state = await snapshot!;
      expect(state.positions).toEqual([leave ? 2 : 4]);
      expect(live.size).toBe(STATES);
      for await (const _ of generate(model, { state, maxNewTokens: 2 }));
      disposeState(state);
      expect(live.size).toBe(0);
    }
  });

  test("are freed when a prompt is aborted between slices", async () => {
    const { backend, live } = countingGpu();
    const model = await loadModel(backend, tinyModel(weights), { sliceLength: 2 });
    const controller = new AbortController();
    const reading = read(model, [[1, 2, 3, 4, 5, 6, 7]], {
      signal: controller.signal,
      onPrompt: () => controller.abort(),
    });
    await expect(reading).rejects.toMatchObject({ code: "aborted" });
    expect(live.size).toBe(0);
  });

  test("are freed when rows join, leave and end; runs never overlap", async () => {
    const { backend, live, counts } = countingGpu();
    const model = await loadModel(backend, tinyModel(weights, { mask: true }), { sliceLength: 4 });
    const requests = [5, 1, 9, 3].map((length) => ({
      inputIds: Array.from({ length }, (_, index) => (index * 5) % 16),
      maxNewTokens: 3 * length,
    }));
    const batch: number[][] = requests.map(() => []);
    for await (const { row, token } of generateBatch(model, requests, { maxBatchSize: 3 })) batch[row]!.push(token);
    expect(live.size).toBe(0);
    const alone = await Promise.all(
      requests.map(async (request) => {
        const tokens: number[] = [];
        for await (const { token } of generate(model, request)) tokens.push(token);
        return tokens;
      }),
    );
    expect(batch).toEqual(alone);
    expect(live.size).toBe(0);
    expect(counts.overlaps).toBe(0);
  });

  test("are freed when rows wait for their consumers, abort and fail, and when the loop is left", async () => {
    const { backend, live } = countingGpu();
    const model = await loadModel(backend, tinyModel(weights), { sliceLength: 4 });
    const turns = async () => {
      for (let turn = 0; turn < 60; turn++) await new Promise((resolve) => setImmediate(resolve));
    };
    const request = { inputIds: [1, 2, 3], maxNewTokens: Number.POSITIVE_INFINITY };
    const batch = createBatch(model, { maxUnread: 3, maxBatchSize: 2 });
    const controller = new AbortController();
    const slow = batch.add({ ...request, signal: controller.signal });
    for (const seed of [1, 2]) for await (const _ of batch.add({ ...request, maxNewTokens: 20, seed }));
    await turns();
    // The state of a sequence that waits alone stays in the batch, or is on the CPU.
    expect(live.size).toBeLessThanOrEqual(STATES);
    controller.abort();
    await turns();
    expect(live.size).toBe(0);
    await expect(
      (async () => {
        for await (const _ of slow);
      })(),
    ).rejects.toMatchObject({ code: "aborted" });
    for await (const _ of generateBatch(model, [request, request, request], { maxUnread: 5, maxBatchSize: 2 })) break;
    await turns();
    expect(live.size).toBe(0);
  });
});
