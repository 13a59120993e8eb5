/**
 * The file for one token with its GPU commands recorded once and replayed: ONNX Runtime's graph capture. A replay reads and
 * writes the very buffers of the recording, so inputs are copied into them and outputs out of them, on the GPU; a state
 * that has just been made is there already.
 *
 * onnxruntime-web 1.30 binds the tensors of the first run for good, and when that run ends it lets go of every buffer that
 * it has not made itself: replays then use whatever buffer has taken its number (microsoft/onnxruntime issue 29594). So all
 * buffers here are ONNX Runtime's own, made by models that copy.
 */
import type { InferenceSession, Tensor, TensorConstructor } from "onnxruntime-common";
import { pairStates } from "../../src/contract.ts";
import { copyModel } from "../copy-model.ts";
import { elementOfType, zeros } from "../numeric.ts";
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
export async function capturedSession({ Tensor, device, open }: CaptureOptions): Promise<InferenceSession | undefined> {
  const onGpu = { executionProviders: [{ name: "webgpu" }], preferredOutputLocation: "gpu-buffer" } as const;
  const session = await open({ ...onGpu, enableGraphCapture: true });
  const opened = [session];
  const release = async () => {
    for (const each of opened) await each.release();
  };
  const [inputs, outputs] = [tensorsOf(session.inputMetadata), tensorsOf(session.outputMetadata)];
  if (!inputs || !outputs) {
    await release();
    return undefined;
  }
  const copiers = new Map<Tensor.Type, InferenceSession>();
  for (const type of new Set([...inputs, ...outputs].map((each) => each.type))) {
    const copier = await open(onGpu, copyModel(elementOfType(type)!));
    copiers.set(type, copier);
    opened.push(copier);
  }
  /** A tensor in a buffer that ONNX Runtime has made. */
  const made = async ({ type, dims, size }: TensorSpec): Promise<Tensor> =>
    (await copiers.get(type)!.run({ x: new Tensor(type, zeros(type, size), dims) })).y!;

  const pairs = pairStates(session.inputNames, session.outputNames);
  const presentOf = new Map(pairs.map(({ past, present }) => [past, present]));
  const bound = new Map<string, Tensor>();
  for (const spec of inputs) bound.set(spec.name, await made(spec));
  // past and present are one buffer: the graphs are made for it
  for (const { past, present } of pairs) bound.set(present, bound.get(past)!);
  for (const spec of outputs) if (!bound.has(spec.name)) bound.set(spec.name, await made(spec));
  const allOf = (names: readonly string[]) => Object.fromEntries(names.map((name) => [name, bound.get(name)!]));
  const replay = () => session.run(allOf(session.inputNames), allOf(session.outputNames));
  await replay();

  const states = createPool(device);
  /** What the state buffers hold. */
  let last = new Map<string, Tensor>();
  const run = async (feeds: Readonly<Record<string, Tensor>>, fetches?: Readonly<Record<string, unknown>>) => {
    const before = device.createCommandEncoder();
    for (const { name, bytes } of inputs) {
      const tensor = feeds[name];
      if (!tensor) throw new Error(`input '${name}' is missing in 'feeds'.`);
      const present = presentOf.get(name);
      if (present === undefined || last.get(present) !== tensor)
        put(device, before, tensor, bufferOf(bound.get(name)!), bytes);
    }
    device.queue.submit([before.finish()]);
    last = new Map();
    await replay();

    const after = device.createCommandEncoder();
    const results: Record<string, Tensor> = {};
    const read: (() => Promise<void>)[] = [];
    for (const { name, type, dims, bytes } of outputs) {
      if (fetches && !(name in fetches)) continue;
      const isState = pairs.some(({ present }) => present === name);
      const buffer = isState ? states.take(bytes) : readable(device, bytes);
      after.copyBufferToBuffer(bufferOf(bound.get(name)!), 0, buffer, 0, bytes);
      if (isState) {
        results[name] = Tensor.fromGpuBuffer(buffer as never, {
          dataType: type as "float32",
          dims,
          download: () => download(device, buffer, type, bytes) as Promise<Float32Array>,
          dispose: () => states.giveBack(buffer, bytes),
        });
        last.set(name, results[name]);
      } else
        read.push(async () => {
          results[name] = new Tensor(type, (await mapped(buffer, type)) as Float32Array, dims);
        });
    }
    device.queue.submit([after.finish()]);
    for (const each of read) await each();
    return results;
  };
  return wrapped(session, run, async () => {
    states.destroy();
    await release();
  });
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
