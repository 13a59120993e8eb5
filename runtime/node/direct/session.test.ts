/** A session through the C API is onnxruntime-node's own, without the copies. */

import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { afterEach, expect, test, vi } from "vitest";
import { encodeModel } from "../../../converter/file/encode.ts";
import { createBuilder, makeModel } from "../../../converter/graph/build.ts";
import { Tensor } from "../../../src/onnxruntime-node.ts";
import { casesOf, zooModel } from "../../../test/testdata.ts";
import { tinyModel, tinyWeights } from "../../../test/tiny-model.ts";
import { nodeBackend, nodeBindingBackend } from "../backend.ts";
import { openApi } from "./api.ts";
import { openDirect } from "./session.ts";

/** Other systems have not been tried; there onnxruntime-node's binding is used, and these tests with it. */
const here = process.platform === "linux";
const weights = tinyWeights();

async function openTiny() {
  const direct = await nodeBackend.open(tinyModel(weights), {});
  const binding = await nodeBindingBackend.open(tinyModel(weights), {});
  return { direct, binding };
}

/** One token of `batch` sequences from states that are not zero. */
function feedsFor(
  inputs: readonly { readonly name: string; readonly shape: readonly (number | string)[] }[],
  batch: number,
) {
  const feeds: Record<string, Tensor> = {};
  for (const { name, shape } of inputs) {
    const dims = shape.map((dim, axis) => (typeof dim === "number" ? dim : axis === 0 ? batch : 1));
    const size = dims.reduce((product, dim) => product * dim, 1);
    feeds[name] = name.startsWith("past")
      ? new Tensor(
          "float32",
          Float32Array.from({ length: size }, (_, i) => Math.sin(i)),
          dims,
        )
      : new Tensor("int64", new BigInt64Array(size).fill(1n), dims);
  }
  return feeds;
}

test.runIf(here)("it is the one that is used", async () => {
  expect(await openApi()).toBeDefined();
  expect(await openDirect(tinyModel(weights), { executionProviders: ["cpu"], intraOpNumThreads: 1 })).toBeDefined();
});

test("the same inputs, outputs, types and shapes", async () => {
  const { direct, binding } = await openTiny();
  expect(direct.inputNames).toEqual(binding.inputNames);
  expect(direct.outputNames).toEqual(binding.outputNames);
  expect(direct.inputMetadata).toEqual(binding.inputMetadata);
  expect(direct.outputMetadata).toEqual(binding.outputMetadata);
});

test("the same bits, for all outputs and for some", async () => {
  const { direct, binding } = await openTiny();
  const feeds = feedsFor(direct.inputMetadata as never, 3);
  const [own, other] = [await direct.run(feeds), await binding.run(feeds)];
  expect(Object.keys(own)).toEqual(Object.keys(other));
  for (const [name, { type, dims, data }] of Object.entries(other)) {
    expect(own[name]).toMatchObject({ type, location: "cpu" });
    expect(own[name]!.dims).toEqual(dims);
    expect(own[name]!.data).toEqual(data);
  }
  expect(Object.keys(await direct.run(feeds, ["logits"]))).toEqual(["logits"]);
});

test.runIf(here)("outputs are written where they are wanted, and that tensor is the result", async () => {
  const { direct, binding } = await openTiny();
  const feeds = feedsFor(direct.inputMetadata as never, 2);
  const expected = (await binding.run(feeds)).present_ssm_0 ?? (await binding.run(feeds))["present_ssm.0"]!;
  const mine = new Tensor("float32", new Float32Array(expected.data.length), expected.dims);
  const results = await direct.run(feeds, { "present_ssm.0": mine, logits: null });
  expect(results["present_ssm.0"]).toBe(mine);
  expect(mine.data).toEqual(expected.data);
  // small arrays lie inside V8's heap until they must not move
  expect(mine.data.length).toBeLessThan(64);
});

test("types: what goes in comes out", async () => {
  const b = createBuilder(18, ["float32", "float64", "float16", "int64", "int32", "uint8", "bool"]);
  const types = { float32: 1, float64: 11, float16: 10, int64: 7, int32: 6, uint8: 2, bool: 9 } as const;
  const info = (name: string, type: number) => ({ name, type, dims: ["n", 2] });
  for (const name of Object.keys(types)) b.add("Identity", [name], undefined, { outputs: [`${name}_out`] });
  const entries = Object.entries(types);
  const bytes = encodeModel(
    makeModel({
      inputs: entries.map(([name, type]) => info(name, type)),
      outputs: entries.map(([name, type]) => info(`${name}_out`, type)),
      nodes: b.nodes,
      initializers: b.initializers,
      opsets: 18,
    }),
  );
  const session = await nodeBackend.open(bytes, {});
  const feeds = {
    float32: new Tensor("float32", Float32Array.of(1.5, -2), [1, 2]),
    float64: new Tensor("float64", Float64Array.of(1e300, -2), [1, 2]),
    float16: new Tensor("float16", Uint16Array.of(0x3c00, 0xc000), [1, 2]),
    int64: new Tensor("int64", BigInt64Array.of(2n ** 60n, -2n), [1, 2]),
    int32: new Tensor("int32", Int32Array.of(7, -2), [1, 2]),
    uint8: new Tensor("uint8", Uint8Array.of(200, 2), [1, 2]),
    bool: new Tensor("bool", Uint8Array.of(1, 0), [1, 2]),
  };
  const results = await session.run(feeds);
  for (const [name, { data }] of Object.entries(feeds)) expect(results[`${name}_out`]!.data).toEqual(data);
  // no elements at all
  const empty = new Tensor("float32", new Float32Array(0), [0, 2]);
  expect((await session.run({ ...feeds, float32: empty })).float32_out!.dims).toEqual([0, 2]);
});

test.runIf(here)("what is wrong is said, and the session goes on", async () => {
  const { direct } = await openTiny();
  const feeds = feedsFor(direct.inputMetadata as never, 1);
  const { input_ids, ...rest } = feeds;
  await expect(direct.run(rest)).rejects.toThrow("input 'input_ids' is missing in 'feeds'");
  await expect(direct.run(feeds, ["nothing"])).rejects.toThrow(/invalid output name: nothing/);
  const wrong = new Tensor("float32", new Float32Array(2), [1, 2]);
  await expect(direct.run({ ...feeds, "past_ssm.0": wrong })).rejects.toThrow(/past_ssm.0/);
  await expect(direct.run({ ...feeds, input_ids: wrong })).rejects.toThrow(/float.*expected.*int64/);
  const small = new Tensor("float32", new Float32Array(1), [1, 1, 1]);
  await expect(direct.run(feeds, { logits: small })).rejects.toThrow();
  expect((await direct.run(feeds)).logits!.dims).toEqual([1, 1, weights.vocabulary]);
  await direct.release();
  await direct.release();
  await expect(direct.run(feeds)).rejects.toThrow("the session is closed");
  await expect(nodeBackend.open(Uint8Array.of(1, 2, 3), {})).rejects.toMatchObject({ code: "not-onnx" });
});

test("options that it does not know, and other types, are onnxruntime-node's", async () => {
  expect(await openDirect(tinyModel(weights), { enableCpuMemArena: false })).toBeUndefined();
  expect(await openDirect(tinyModel(weights), { executionProviders: ["webgpu"] })).toBeUndefined();
  const b = createBuilder(18, ["text", "same"]);
  b.add("Identity", ["text"], undefined, { outputs: ["same"] });
  const text = (name: string) => ({ name, type: 8, dims: ["n"] });
  const model = makeModel({
    inputs: [text("text")],
    outputs: [text("same")],
    nodes: b.nodes,
    initializers: b.initializers,
    opsets: 18,
  });
  expect(await openDirect(encodeModel(model), {})).toBeUndefined();
  const session = await nodeBackend.open(encodeModel(model), { enableCpuMemArena: false });
  const { same } = await session.run({ text: new Tensor("string", ["a", "b"], [2]) });
  expect(same!.data).toEqual(["a", "b"]);
});

test("an exported graph, whole: PyTorch's output, over and over with arrays that are thrown away", async () => {
  const model = zooModel("sgconv");
  const session = await nodeBackend.open(model.file, { graphOptimizationLevel: "basic", interOpNumThreads: 1 });
  const { input, output } = casesOf(model)[0]!;
  const expected = output.tensor.data as Float32Array;
  for (let i = 0; i < 300; i++) {
    const ids = BigInt64Array.from(input.tensor.data as BigInt64Array);
    const results = await session.run({ [input.name]: new Tensor("int64", ids, input.tensor.dims) });
    const given = results[output.name]!.data as Float32Array;
    expect(expected.reduce((most, value, k) => Math.max(most, Math.abs(value - given[k]!)), 0)).toBeLessThan(1e-4);
  }
  await session.release();
});

/** The C API watched: which sessions have been made and released since, by their addresses; one function may fail. */
async function watched(failing = "") {
  const api = (await openApi())!;
  const { get, open, release } = api;
  const made: bigint[] = [];
  const released: bigint[] = [];
  vi.spyOn(api, "get").mockImplementation((name, ...args) => {
    if (name === failing) throw new Error("mine");
    return get(name, ...args);
  });
  vi.spyOn(api, "open").mockImplementation((...args) => {
    const session = open(...args);
    made.push(session);
    return session;
  });
  vi.spyOn(api, "release").mockImplementation((what, address) => {
    if (what === "Session" && made.includes(address)) released.push(address);
    release(what, address);
  });
  return { made, released };
}
afterEach(() => vi.restoreAllMocks());

test.runIf(here)("a session that nobody holds any more is released, one whose run is held is not", async () => {
  const { made, released } = await watched();
  const open = async () => (await openDirect(tinyModel(weights), {}))!;
  const openAndDrop = async () => {
    const session = await open();
    await session.run(feedsFor(session.inputMetadata as never, 1));
  };
  const held = await open();
  const feeds = feedsFor(held.inputMetadata as never, 1);
  const run = await open().then((session) => session.run);
  for (let count = 0; count < 5; count++) await openAndDrop();
  setFlagsFromString("--expose-gc");
  const collect = runInNewContext("gc") as () => void;
  const collected = async () => {
    collect();
    await new Promise((resolve) => setTimeout(resolve, 10));
  };
  while (released.length < 5) await collected();
  expect(released.toSorted()).toEqual(made.slice(2).toSorted());
  expect(Object.keys(await run(feeds))).toContain("logits");
  await held.release();
  await collected();
  expect(released.slice(5)).toEqual([made[0]]);
});

test.runIf(here)("a session whose inputs cannot be read is released", async () => {
  const { made, released } = await watched("SessionGetInputCount");
  await expect(openDirect(tinyModel(weights), {})).rejects.toThrow("mine");
  expect(made).toHaveLength(1);
  expect(released).toEqual(made);
});
