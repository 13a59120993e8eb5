/**
 * The file for one token with its GPU commands recorded once and replayed: ONNX Runtime's graph capture. A replay reads and
 * writes the very buffers of the recording, so inputs are copied into them and outputs out of them, on the GPU; a state
 * that has just been made is there already.
 *
 * onnxruntime-web 1.30 binds the tensors of the first run for good, and when that run ends it lets go of every buffer that
 * it has not made itself: replays then use whatever buffer has taken its number (microsoft/onnxruntime issue 29594). So all
 * buffers here are ONNX Runtime's own, made by models that copy.
 */

import { pairStates } from "../../../src/contract.ts";
import { copyModel } from "../copy-model.ts";
import { elementOfType, zeros } from "../numeric.ts";
import type { InferenceSession, Tensor, TensorConstructor } from "../ort.ts";
import { wrapped } from "../wrapped.ts";
import { bufferOf, createPool, download, type GpuDevice, mapped, put, readable } from "./buffers.ts";

export interface CaptureOptions {
  readonly Tensor: TensorConstructor;
  readonly device: GpuDevice;
  /** Opens the file for one token, or another model, with options of its session. */
  open(options: InferenceSession.SessionOptions, model?: Uint8Array): Promise<InferenceSession>;
}

/** Types whose tensors are whole words of four bytes, as commands copy them. */
const WORDS: readonly Tensor.Type[] = ["float32", "int32", "uint32", "int64"];

/**
 * Opens a file whose shapes are static and records it.
 * @returns a session for one run at a time; undefined where a tensor's type or shape is not for it
 * @throws what ONNX Runtime throws
 */
export async function capturedSession(options: CaptureOptions): Promise<InferenceSession | undefined> {
  const opened: InferenceSession[] = [];
  const open: CaptureOptions["open"] = async (settings, model) => {
    const session = await options.open({ ...ON_GPU, ...settings }, model);
    opened.push(session);
    return session;
  };
  const release = async () => {
    for (const each of opened) await each.release();
  };
  try {
    const session = await open({ enableGraphCapture: true });
    const [inputs, outputs] = [tensorsOf(session.inputMetadata), tensorsOf(session.outputMetadata)];
    if (inputs && outputs) return await record({ ...options, open }, session, inputs, outputs, release);
  } catch (error) {
    await release();
    throw error;
  }
  await release();
  return undefined;
}

const ON_GPU = { executionProviders: [{ name: "webgpu" }], preferredOutputLocation: "gpu-buffer" } as const;

async function record(
  options: CaptureOptions,
  session: InferenceSession,
  inputs: readonly TensorSpec[],
  outputs: readonly TensorSpec[],
  release: () => Promise<void>,
): Promise<InferenceSession> {
  const { device } = options;
  const pairs = pairStates(session.inputNames, session.outputNames);
  const presentOf = new Map(pairs.map(({ past, present }) => [past, present]));
  const isState = new Set(presentOf.values());
  const bound = await boundTensors(options, inputs, outputs, presentOf);
  const bufferFor = (name: string) => bufferOf(bound.get(name)!);
  const allOf = (names: readonly string[]) => Object.fromEntries(names.map((name) => [name, bound.get(name)!]));
  const replay = () => session.run(allOf(session.inputNames), allOf(session.outputNames));
  await replay();

  const states = createPool(device);
  /** The states that the buffers hold, by the names of their outputs. */
  let held = new Map<string, Tensor>();

  const copyIn = (feeds: Readonly<Record<string, Tensor>>): void => {
    const encoder = device.createCommandEncoder();
    for (const { name, bytes } of inputs) {
      const tensor = feeds[name];
      if (!tensor) throw new Error(`input '${name}' is missing in 'feeds'.`);
      const present = presentOf.get(name);
      if (present === undefined || held.get(present) !== tensor) put(device, encoder, tensor, bufferFor(name), bytes);
    }
    device.queue.submit([encoder.finish()]);
  };

  /** States to buffers of their own on the GPU, all else to the CPU. */
  const copyOut = async (wanted: readonly TensorSpec[]): Promise<Record<string, Tensor>> => {
    const encoder = device.createCommandEncoder();
    const copied = wanted.map((spec) => {
      const buffer = isState.has(spec.name) ? states.take(spec.bytes) : readable(device, spec.bytes);
      encoder.copyBufferToBuffer(bufferFor(spec.name), 0, buffer, 0, spec.bytes);
      return { ...spec, buffer };
    });
    device.queue.submit([encoder.finish()]);
    const results: Record<string, Tensor> = {};
    for (const { name, type, dims, bytes, buffer } of copied) {
      if (isState.has(name)) {
        const state = options.Tensor.fromGpuBuffer(buffer as never, {
          dataType: type as Tensor.GpuBufferDataTypes,
          dims,
          download: () => download(device, buffer, type, bytes),
          dispose: () => states.giveBack(buffer, bytes),
        });
        held.set(name, state);
        results[name] = state;
      } else results[name] = new options.Tensor(type, (await mapped(buffer, type)) as Float32Array, dims);
    }
    return results;
  };

  const run = async (feeds: Readonly<Record<string, Tensor>>, fetches?: Readonly<Record<string, unknown>>) => {
    copyIn(feeds);
    held = new Map();
    await replay();
    return copyOut(outputs.filter(({ name }) => !fetches || name in fetches));
  };
  return wrapped(session, run, async () => {
    states.destroy();
    await release();
  });
}

/** The tensors that a recording is bound to, by name; past and present are one buffer: the graphs are made for it. */
async function boundTensors(
  { Tensor, open }: CaptureOptions,
  inputs: readonly TensorSpec[],
  outputs: readonly TensorSpec[],
  presentOf: ReadonlyMap<string, string>,
): Promise<ReadonlyMap<string, Tensor>> {
  const bound = await tensorsMadeByOrt(Tensor, open, inputs);
  for (const [past, present] of presentOf) bound.set(present, bound.get(past)!);
  const others = outputs.filter(({ name }) => !bound.has(name));
  for (const [name, tensor] of await tensorsMadeByOrt(Tensor, open, others)) bound.set(name, tensor);
  return bound;
}

/** Zeros in buffers that ONNX Runtime has made, by name. */
async function tensorsMadeByOrt(
  Tensor: TensorConstructor,
  open: CaptureOptions["open"],
  specs: readonly TensorSpec[],
): Promise<Map<string, Tensor>> {
  const made = new Map<string, Tensor>();
  for (const type of new Set(specs.map((spec) => spec.type))) {
    const copier = await open({}, copyModel(elementOfType(type)!));
    for (const { name, dims, size } of specs.filter((spec) => spec.type === type))
      made.set(name, (await copier.run({ x: new Tensor(type, zeros(type, size), dims) })).y!);
  }
  return made;
}

interface TensorSpec {
  readonly name: string;
  readonly type: Tensor.Type;
  readonly dims: readonly number[];
  readonly size: number;
  readonly bytes: number;
}

/** Undefined where a type or a shape is not for recording. */
function tensorsOf(metadata: readonly InferenceSession.ValueMetadata[]): TensorSpec[] | undefined {
  const specs = metadata.flatMap((value): TensorSpec[] => {
    if (!value.isTensor || !WORDS.includes(value.type)) return [];
    const dims = value.shape.filter((dim) => typeof dim === "number");
    const size = dims.reduce((product, dim) => product * dim, 1);
    if (dims.length < value.shape.length || size === 0) return [];
    return [{ name: value.name, type: value.type, dims, size, bytes: zeros(value.type, size).byteLength }];
  });
  return specs.length === metadata.length ? specs : undefined;
}
