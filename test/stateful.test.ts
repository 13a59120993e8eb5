/** Files that carry their state already, renamed and then driven by the runtime: the data sets of each follow one another. */
import path from "node:path";
import { expect, test } from "vitest";
import { checkContract } from "../converter/contract/contract.ts";
import { convertModel } from "../converter/convert.ts";
import { encodeModel } from "../converter/file/encode.ts";
import { readModel } from "../converter/file/read.ts";
import { createBuilder, makeModel } from "../converter/graph/build.ts";
import type { Model } from "../converter/graph/graph.ts";
import { DataType, float32Tensor, type Tensor, toNumbers } from "../converter/graph/tensor.ts";
import { inspect } from "../converter/inspect.ts";
import { ortTensor } from "../converter/ort/orttensor.ts";
import { openModel } from "../converter/ort/run.ts";
import { renameStates } from "../converter/rename/rename.ts";
import { loadModel, nodeBackend, type State, type StateSpec, step, zeroState } from "../runtime/node.ts";
import { ROOT } from "../scripts/root.ts";
import { type Port, pairByName, refuseStateful, refuseStatefulByShape } from "../src/stateful.ts";
import { longconv } from "./command.ts";
import { openConverted } from "./converted.ts";
import { casesOf } from "./testdata.ts";

const folderOf = (name: string): string => path.join(ROOT, "test", "models", "stream", name);
const fileOf = (name: string): string => path.join(folderOf(name), "model.onnx");

const MODELS = [
  ["stateful-gru", ["h0 → hn"], { past: "past_ssm.0", dims: ["batch_size", 1, 12] }],
  ["vad-state", ["state → stateN"], { past: "past_ssm.0", dims: ["batch_size", 2, 12] }],
  [
    "encoder-caches",
    ["cached_key_0", "cached_val_0", "cached_conv_0", "processed_lens"].map((name) => `${name} → new_${name}`),
    { past: "past_ssm.3", dims: ["batch_size", 1] },
  ],
] as const;

test.each(MODELS)("%s under the contract's names gives what it gave", async (name, pairs, last) => {
  const original = await readModel(fileOf(name));
  const { model, states } = renameStates(original);
  expect(states.map(({ was }) => `${was.past} → ${was.present}`)).toEqual(pairs);
  expect(states.at(-1)).toMatchObject(last);
  expect(checkContract(model)).toMatchObject({ kept: true });
  const loaded = await loadModel(nodeBackend, encodeModel(model));
  const before = new Set(states.map(({ was }) => was.past));
  const after = new Set(states.map(({ was }) => was.present));
  let state = zeroState(loaded, casesOf({ folder: folderOf(name) })[0]!.inputs[0]!.tensor.dims[0]!);
  for (const { inputs, outputs } of casesOf({ folder: folderOf(name) })) {
    const given = inputs.filter((each) => !before.has(each.name));
    const feeds = Object.fromEntries(given.map((each) => [each.name, ortTensor(each.name, each.tensor)]));
    const result = await step(loaded, feeds as never, state, { advance: 1 });
    for (const { name: output, tensor } of outputs.filter((each) => !after.has(each.name)))
      expect(worst(result.outputs[output]!.data as Float32Array, tensor)).toBeLessThan(1e-4);
    state = result.state;
  }
  await loaded.close();
});

const worst = (got: ArrayLike<number>, expected: Tensor): number =>
  Math.max(...toNumbers(expected).map((value, k) => Math.abs(got[k]! - value)));

test.each(MODELS)("%s is stateful already, say convert and inspect", async (name, [first]) => {
  const error = { code: "already-converted", reason: expect.stringContaining(`is stateful already: ${first}`) };
  await expect(convertModel(await readModel(fileOf(name)))).rejects.toMatchObject(error);
  await expect(inspect(fileOf(name))).rejects.toMatchObject({ ...error, remedy: expect.stringContaining("rename") });
});

test("a cache that grows keeps its name, and its file is stateful already", async () => {
  const { model, states } = renameStates(await readModel(fileOf("conv-attention-cache")));
  expect(states.map(({ past, was }) => [past, was.past])).toEqual(
    ["past_conv.0", "past_key_values.1.key", "past_key_values.1.value"].map((past) => [past, past]),
  );
  await expect(convertModel(model)).rejects.toMatchObject({ code: "already-converted" });
});

/** y = x + h, h' = h + x: named as nobody names it. */
function unusual(dims: readonly number[] = [1, 4]): Model {
  const b = createBuilder(11, ["signal", "input_3", "sum", "stack_2"]);
  b.add("Add", ["signal", "input_3"], {}, { outputs: ["sum"] });
  b.add("Add", ["signal", "input_3"], {}, { outputs: ["stack_2"] });
  const info = (name: string) => ({ name, type: DataType.FLOAT, dims });
  return makeModel({
    ...{ inputs: [info("signal"), info("input_3")], outputs: [info("sum"), info("stack_2")] },
    ...{ nodes: b.nodes, initializers: b.initializers, opsets: 11 },
  });
}

test("states as told, from another start than zero", async () => {
  expect(() => renameStates(unusual())).toThrow("no input goes on from an output by its name");
  expect(() => renameStates(unusual(), { states: { input_3: "nothing" } })).toThrow("no output 'nothing'");
  const states = { input_3: "stack_2" };
  expect(() => renameStates(unusual(), { states, initial: { signal: 1 } })).toThrow("'signal' is no state");
  const { model } = renameStates(unusual(), { states, initial: { input_3: 0.5 } });
  const runner = await openModel(model);
  const signal = float32Tensor([1, 4], [1, 2, 3, 4]);
  const first = await runner.run({ signal, "past_ssm.0": float32Tensor([1, 4], [0, 0, 0, 0]) });
  expect([...toNumbers(first.sum!)]).toEqual([1.5, 2.5, 3.5, 4.5]);
  const second = await runner.run({ signal, "past_ssm.0": first["present_ssm.0"]! });
  expect([...toNumbers(second.sum!)]).toEqual([2.5, 4.5, 6.5, 8.5]);
  await runner.close();
});

test("driven as they are: by name, or as told", async () => {
  const { Tensor } = nodeBackend;
  const loaded = await loadModel(nodeBackend, encodeModel(unusual()), { states: { input_3: "stack_2" } });
  const signal = new Tensor("float32", Float32Array.of(1, 2, 3, 4), [1, 4]);
  const first = await step(loaded, { signal }, zeroState(loaded), { advance: 1 });
  const second = await step(loaded, { signal }, first.state, { advance: 1 });
  expect([...(second.outputs.sum!.data as Float32Array)]).toEqual([2, 4, 6, 8]);
  await loaded.close();
  const caches = await loadModel(nodeBackend, fileOf("encoder-caches"));
  expect(caches.states.map(({ past, type, dims }) => [past, type, dims])).toEqual([
    ["cached_key_0", "float32", [8, 12]],
    ["cached_val_0", "float32", [8, 12]],
    ["cached_conv_0", "float32", [12, 4]],
    ["processed_lens", "int64", []],
  ]);
  let state = zeroState(caches, casesOf({ folder: folderOf("encoder-caches") })[0]!.inputs[0]!.tensor.dims[0]!);
  for (const { input, output } of casesOf({ folder: folderOf("encoder-caches") })) {
    const result = await step(caches, { x: ortTensor("x", input.tensor) } as never, state);
    expect(worst(result.outputs[output.name]!.data as Float32Array, output.tensor)).toBeLessThan(1e-4);
    state = result.state;
  }
  await caches.close();
});

test.each<[string, readonly number[]]>([
  ["vad-state", [2, 12]],
  ["stateful-gru", [1, 12]],
])("%s is driven as it is, though its batch is axis 1", async (name, dims) => {
  const loaded = await loadModel(nodeBackend, fileOf(name));
  expect(loaded.states.map((state) => state.dims)).toEqual([dims]);
  const cases = casesOf({ folder: folderOf(name) });
  const [{ past, present }] = loaded.states as [StateSpec];
  const rows = cases[0]!.inputs[0]!.tensor.dims[0]!;
  let state = zeroState(loaded, rows);
  let earlier: State | undefined;
  for (const { inputs, outputs } of cases) {
    const feeds = Object.fromEntries(inputs.map((each) => [each.name, ortTensor(each.name, each.tensor)]));
    delete feeds[past];
    // also written into a state that nobody needs
    const result = await step(loaded, feeds as never, state, { advance: 1, overwrite: earlier });
    for (const { name: output, tensor } of outputs.filter((each) => each.name !== present))
      expect(worst(result.outputs[output]!.data as Float32Array, tensor)).toBeLessThan(1e-4);
    [earlier, state] = [state, result.state];
    expect(state.tensors[0]!.dims).toEqual([rows, ...dims]);
  }
  // rows are apart: each by itself gives what it gave among the others
  const { inputs, outputs } = cases[0]!;
  const signal = inputs.find((each) => each.name !== past)!;
  const answer = outputs.find((each) => each.name !== present)!;
  const width = toNumbers(signal.tensor).length / rows;
  const single = zeroState(loaded, 1);
  const own = float32Tensor([1, ...signal.tensor.dims.slice(1)], toNumbers(signal.tensor).slice(-width));
  const rest = Object.fromEntries(inputs.map((each) => [each.name, ortTensor(each.name, each.tensor)]));
  const last = await step(loaded, { ...rest, [signal.name]: ortTensor("", own) } as never, single, { advance: 1 });
  const expected = toNumbers(answer.tensor).slice(-toNumbers(answer.tensor).length / rows);
  expect(
    worst(last.outputs[answer.name]!.data as Float32Array, float32Tensor([expected.length], expected)),
  ).toBeLessThan(1e-4);
  await loaded.close();
});

test("a state may start from another number, and one without a batch is of one sequence", async () => {
  const states = { input_3: "stack_2" };
  const from = (initial: Record<string, number>) =>
    loadModel(nodeBackend, encodeModel(unusual([4])), { states, initial });
  await expect(from({ signal: 1 })).rejects.toMatchObject({
    code: "bad-input",
    reason: expect.stringContaining("'signal'"),
  });
  await expect(from({ input_3: Number.NaN })).rejects.toMatchObject({ code: "bad-input" });
  const loaded = await from({ input_3: 0.5 });
  expect(loaded.states.map(({ dims }) => dims)).toEqual([[4]]);
  expect(() => zeroState(loaded, 2)).toThrow("takes a batch of 1");
  const signal = new nodeBackend.Tensor("float32", Float32Array.of(1, 2, 3, 4), [4]);
  const first = await step(loaded, { signal }, zeroState(loaded), { advance: 1 });
  const second = await step(loaded, { signal }, first.state, { advance: 1 });
  expect([...(first.outputs.sum!.data as Float32Array)]).toEqual([1.5, 2.5, 3.5, 4.5]);
  expect([...(second.outputs.sum!.data as Float32Array)]).toEqual([2.5, 4.5, 6.5, 8.5]);
  await loaded.close();
});

test("conv-attention-cache, whose cache grows, is driven as it is", async () => {
  const loaded = await loadModel(nodeBackend, fileOf("conv-attention-cache"));
  const cases = casesOf({ folder: folderOf("conv-attention-cache") });
  const ids = (of: (typeof cases)[number]) => of.inputs.find((each) => each.name === "input_ids")!.tensor;
  let state = zeroState(loaded, ids(cases[0]!).dims[0]!);
  for (const each of cases) {
    const mask = each.inputs.find(({ name }) => name === "attention_mask")!.tensor;
    const feeds = { input_ids: ortTensor("", ids(each)), attention_mask: ortTensor("", mask) };
    const { outputs, state: next } = await step(loaded, feeds as never, state);
    for (const { name, tensor } of each.outputs) {
      const k = loaded.states.findIndex(({ present }) => present === name);
      const got = k < 0 ? outputs[name]! : next.tensors[k]!;
      expect(got.dims).toEqual(tensor.dims);
      expect(worst(got.data as Float32Array, tensor)).toBeLessThan(1e-4);
    }
    state = next;
  }
  expect(cases.length).toBeGreaterThan(2);
  await loaded.close();
});

test("check says of what keeps all else that it was not converted by longconv-ssm, and ends well", async () => {
  const { code, stdout } = await longconv(["check", fileOf("vad-state"), "--json"]);
  expect(code).toBe(0);
  const { kept, findings } = JSON.parse(stdout);
  expect(kept).toBe(true);
  expect(findings[0]).toMatchObject({ rule: "pairs", breaks: false });
  expect(findings[0].reason).toContain("not converted by longconv-ssm: its states have other names (state → stateN)");
});

test("names that people are used to, and no others", () => {
  const pairs = (inputs: string[], outputs: string[]) => pairByName(inputs, outputs).map(({ present }) => present);
  expect(pairs(["x", "h", "c"], ["y", "hn", "cn"])).toEqual(["hn", "cn"]);
  expect(pairs(["x", "h0", "c0"], ["y", "hn", "cn"])).toEqual(["hn", "cn"]);
  expect(pairs(["past.0.key"], ["present.0.key"])).toEqual(["present.0.key"]);
  expect(pairs(["x", "gru_state_in"], ["y", "gru_state_out"])).toEqual(["gru_state_out"]);
  // a new x alone is a better x, and no state
  expect(pairs(["x"], ["new_x"])).toEqual([]);
  // nor beside states of a converted model
  expect(pairs(["x", "h", "past_ssm.0"], ["new_x", "hn", "present_ssm.0"])).toEqual(["present_ssm.0"]);
});

/** Two running sums, of an input called as a state is and of another, which have the declared sizes. */
function sums(
  of: Readonly<Record<string, readonly (number | string)[]>>,
  outputs: Readonly<Record<string, readonly (number | string)[]>>,
): Model {
  const b = createBuilder(18, [...Object.keys(of), ...Object.keys(outputs)]);
  for (const [k, name] of Object.keys(of).entries())
    b.one("CumSum", [name, b.ints("axis", 1)], {}, { outputs: [Object.keys(outputs)[k]!] });
  const infos = (ports: typeof of) =>
    Object.entries(ports).map(([name, dims]) => ({ name, type: DataType.FLOAT, dims }));
  return makeModel({
    ...{ inputs: infos(of), outputs: infos(outputs) },
    ...{ nodes: b.nodes, initializers: b.initializers, opsets: 18 },
  });
}

const STREAM = ["batch", "n", 3];

test.each([
  ["alone", { past_x: STREAM }, { present_x: STREAM }],
  ["beside another", { x: STREAM, past_x: STREAM }, { y: STREAM, present_x: STREAM }],
  ["of one row", { past_x: [1, "n", 3] }, { present_x: [1, "n", 3] }],
  ["as a cache is", { x: STREAM, "past_key_values.0.key": STREAM }, { y: STREAM, "present.0.key": STREAM }],
  ["h and hn", { x: STREAM, h: STREAM }, { y: STREAM, hn: STREAM }],
  ["an input alone", { past_x: STREAM }, { y: STREAM }],
  ["an output alone", { x: STREAM }, { present_y: STREAM }],
  ["two that are no pair", { past_x: STREAM }, { present_y: STREAM }],
])("a stream that is called as a state is, %s, is converted under another name", async (_, inputs, outputs) => {
  const original = sums(inputs, outputs);
  const { model, renamed } = await convertModel(original);
  expect(checkContract(model).findings.filter(({ breaks }) => breaks)).toEqual([]);
  const states = model.graph.inputs.filter(({ name }) => name.startsWith("past_"));
  expect(states.map(({ name }) => name)).toEqual(Object.keys(inputs).map((__, k) => `past_ssm.${k}`));
  const [whole, converted] = [await openModel(original), await openConverted(model)];
  const values = Array.from({ length: 7 * 3 }, (__, k) => Math.sin(k * 1.7));
  const feeds = Object.keys(inputs).map((name) => [name, float32Tensor([1, 7, 3], values)] as const);
  const expected = await whole.run(Object.fromEntries(feeds));
  const of = (name: string) => renamed.get(name) ?? name;
  const got = await converted.run(Object.fromEntries(feeds.map(([name, tensor]) => [of(name), tensor])), [4, 5, 7]);
  for (const name of Object.keys(outputs)) expect(worst(toNumbers(got[of(name)]!), expected[name]!)).toBeLessThan(1e-5);
  await Promise.all([whole.close(), converted.close()]);
});

test.each([
  ["without a time axis", { x: STREAM, past_x: ["batch", 3] }, { y: STREAM, present_x: ["batch", 3] }],
  ["batch second, time first", { x: ["T", "N", 3], h: [1, "N", 3] }, { y: ["T", "N", 3], hn: [1, "N", 3] }],
  ["of fixed sizes", { x: [1, 4, 3], past_x: [1, 4, 3] }, { y: [1, 4, 3], present_x: [1, 4, 3] }],
  ["rows by any name", { x: ["N", 39, 3], cached_a: [64, "N", 3] }, { y: ["N", 39, 3], new_cached_a: [64, "N", 3] }],
  [
    "a cache that grows",
    { x: STREAM, "past_key_values.0.key": ["batch", 2, "past", 4] },
    { y: STREAM, "present.0.key": ["batch", 2, "total", 4] },
  ],
])("a state %s is stateful already", async (_, inputs, outputs) => {
  await expect(convertModel(sums(inputs, outputs))).rejects.toMatchObject({ code: "already-converted" });
});

test("what goes on in another size is no state", async () => {
  const [inputs, outputs] = [
    { x: STREAM, past_c: ["batch", 5, 3] },
    { y: STREAM, present_c: ["batch", 4, 3] },
  ];
  expect((await convertModel(sums(inputs, outputs))).renamed.get("past_c")).toBe("input_past_c");
});

test.each<[string, Record<string, (number | string)[]>, Record<string, (number | string)[]>]>([
  ["goes to another axis", { past_x: ["batch", 6, "n"], c: ["batch", 6] }, { present_x: ["batch", "n", 1] }],
  ["is that of an answer", { past_x: ["batch", "n"] }, { present_x: ["batch", 6], y: ["batch", "n", 6] }],
])("a size that %s is the time of a stream, whatever that is called", (_, inputs, outputs) => {
  const ports = (of: typeof inputs) => Object.entries(of).map(([name, dims]) => ({ name, dims }));
  expect(() => refuseStateful(ports(inputs), ports(outputs), "")).not.toThrow();
  // a size of the state's own says nothing of time
  const ofItsOwn = (dims: readonly (number | string)[]) => dims.map((size) => (size === "n" ? "kept" : size));
  const own = Object.fromEntries(Object.entries(inputs).map(([name, dims]) => [name, ofItsOwn(dims)]));
  const beside = {
    inputs: ports({ ...own, x: ["batch", "n", 6] }),
    outputs: ports({ ...outputs, z: ["batch", "n", 6] }),
  };
  expect(() => refuseStateful(beside.inputs, beside.outputs, "")).toThrow("stateful already");
  // without an answer beside it, it is the answer
  if (!("y" in outputs)) expect(() => refuseStateful(beside.inputs, ports(outputs), "")).not.toThrow();
});

type Shapes = Readonly<Record<string, readonly (number | string)[]>>;
const portsOf = (of: Shapes): Port[] =>
  Object.entries(of).map(([name, dims]) => ({ name, dims, type: DataType.FLOAT }));

test.each<[string, Shapes, Shapes]>([
  ["a state", { x: [1, 1, 257], s: [1, 2, 128, 2] }, { y: [1, 1, 257], t: [1, 2, 128, 2] }],
  ["an open batch", { x: [1, 1, 512], s: [1, 2, 128, 2] }, { y: ["N", 1, 512], t: ["N", 2, 128, 2] }],
  ["a state beside conditioning", { x: [1, 1, 9], c: [1, 5], s: [1, 7] }, { t: [1, 7], y: [1, 1, 9] }],
])("in a file of fixed sizes, %s is known by its shape", (_, inputs, outputs) => {
  const refuse = () => refuseStatefulByShape(portsOf(inputs), portsOf(outputs), "");
  expect(refuse).toThrow("it is stateful already: s → t, by its shape");
  expect(refuse).toThrow(expect.objectContaining({ remedy: expect.stringContaining("rename --state s=t`") }));
});

test.each<[string, Shapes, Shapes]>([
  ["a second stream of the same length", { x: [1, 80, 16], e: [1, 80, 32] }, { y: [1, 80, 16], z: [1, 80, 32] }],
  ["a stream of one channel", { x: [1, 64, 100], f0: [1, 1, 100] }, { y: [1, 64, 100], z: [1, 1, 100] }],
  ["the main input", { x: [1, 40, 8], c: [1, 5] }, { y: [1, 40, 8] }],
  ["one of two outputs alike", { x: [1, 40, 8], c: [1, 5] }, { y: [1, 5], z: [1, 5] }],
  ["one of two inputs alike", { x: [1, 40, 8], c: [1, 5], d: [1, 5] }, { y: [1, 5] }],
  ["beside an open length", { x: ["b", "n", 8], c: ["b", 5] }, { y: ["b", "n", 8], z: ["b", 5] }],
  ["an open size", { x: [1, 40, 8], c: [1, "m"] }, { y: [1, 40, 8], z: [1, "m"] }],
])("%s is no state by its shape", (_, inputs, outputs) => {
  expect(() => refuseStatefulByShape(portsOf(inputs), portsOf(outputs), "")).not.toThrow();
});

test("conditioning that has the shape of an answer converts where the axis of time is said", async () => {
  const b = createBuilder(18, ["x", "c", "y", "z"]);
  b.one("CumSum", [b.one("Add", ["x", "c"]), b.ints("axis", 1)], {}, { outputs: ["y"] });
  b.one("Mul", ["c", "c"], {}, { outputs: ["z"] });
  const info = (name: string, dims: readonly number[]) => ({ name, type: DataType.FLOAT, dims });
  const model = makeModel({
    ...{
      inputs: [info("x", [1, 40, 1]), info("c", [1, 1, 5])],
      outputs: [info("y", [1, 40, 5]), info("z", [1, 1, 5])],
    },
    ...{ nodes: b.nodes, initializers: b.initializers, opsets: 18 },
  });
  await expect(convertModel(model)).rejects.toMatchObject({
    code: "already-converted",
    remedy: expect.stringContaining("--time-axis"),
  });
  await convertModel(model, { timeAxis: { x: 1 } });
});
