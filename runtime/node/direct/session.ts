/**
 * A session without copies. onnxruntime-node 1.30 writes outputs where they were wanted and then copies each into fresh
 * memory for its result (microsoft/onnxruntime pull request 32346 is about to change that): at every step, every state.
 * Here tensors are read and written where JavaScript holds them, by the same library.
 */
import { setImmediate as turn } from "node:timers/promises";
import { Tensor as OrtTensor } from "../../../src/ort-tensor.ts";
import type { ModelSource } from "../../sessions/backend.ts";
import { elementOfType, typeOfElement, zeros } from "../../sessions/numeric.ts";
import type { InferenceSession, Tensor } from "../../sessions/ort.ts";
import { type Api, openApi } from "./api.ts";
import { dimsOf, elementTypeOf, type Metadata, metadataOf } from "./metadata.ts";

type Options = InferenceSession.SessionOptions;
type Feeds = Readonly<Record<string, Tensor>>;
type Fetches = Readonly<Record<string, Tensor | null>>;

const OPTIMIZATION = { disabled: 0, basic: 1, extended: 2, layout: 3, all: 99 } as const;

/** An option that can be set here, and what it may be. */
interface Setting {
  readonly valid: (value: unknown) => boolean;
  readonly set: (api: Api, to: bigint, value: never) => void;
}

const isCount = (value: unknown) => Number.isInteger(value) && (value as number) >= 0 && (value as number) < 2 ** 31;

/** A session with an option, or a value of one, that is not here is onnxruntime-node's own to open, or to refuse. */
const SETTINGS: { readonly [K in keyof Options]?: Setting } = {
  executionProviders: {
    valid: (value) => Array.isArray(value) && value.every((provider) => provider === "cpu"),
    set: () => {},
  },
  intraOpNumThreads: { valid: isCount, set: (api, to, threads) => api.call("SetIntraOpNumThreads", to, threads) },
  interOpNumThreads: { valid: isCount, set: (api, to, threads) => api.call("SetInterOpNumThreads", to, threads) },
  logSeverityLevel: {
    valid: (value) => [0, 1, 2, 3, 4].includes(value as number),
    set: (api, to, level) => api.call("SetSessionLogSeverityLevel", to, level),
  },
  graphOptimizationLevel: {
    valid: (value) => Object.hasOwn(OPTIMIZATION, value as string),
    set: (api, to, level) => api.call("SetSessionGraphOptimizationLevel", to, OPTIMIZATION[level]),
  },
};

/**
 * Opens a model on the CPU.
 * @returns undefined where this is not the way: no C API here, options or types of tensors that it does not know
 * @throws Error with ONNX Runtime's message
 */
export async function openDirect(source: ModelSource, options: Options): Promise<InferenceSession | undefined> {
  const settings = Object.entries(options).filter(([, value]) => value !== undefined);
  if (settings.some(([name, value]) => !SETTINGS[name as keyof Options]?.valid(value))) return undefined;
  const api = await openApi();
  if (!api) return undefined;
  const session = createSession(api, source, options);
  let made: InferenceSession | undefined;
  try {
    const [inputs, outputs] = [metadataOf(api, session, "Input"), metadataOf(api, session, "Output")];
    if (inputs && outputs) made = sessionOf(api, session, inputs, outputs);
  } finally {
    if (!made) api.release("Session", session);
  }
  return made;
}

/** Releases the sessions that nobody has released and nobody can use any more. */
const dropped = new FinalizationRegistry<{ readonly api: Api; readonly session: bigint }>(({ api, session }) =>
  api.release("Session", session),
);

function createSession(api: Api, source: ModelSource, options: Options): bigint {
  const settings = api.get("CreateSessionOptions");
  try {
    for (const [name, value] of Object.entries(options)) {
      if (value !== undefined) SETTINGS[name as keyof Options]!.set(api, settings, value as never);
    }
    return typeof source === "string"
      ? api.open("CreateSession", api.env, source, settings)
      : api.open("CreateSessionFromArray", api.env, source, source.byteLength, settings);
  } finally {
    api.release("SessionOptions", settings);
  }
}

function sessionOf(api: Api, session: bigint, inputs: readonly Metadata[], outputs: readonly Metadata[]) {
  const inputNames = inputs.map(({ name }) => name);
  const outputNames = outputs.map(({ name }) => name);
  const namesOf = namesInC(api, [...inputNames, ...outputNames]);
  // Not the session itself: whoever has only `run` uses it still.
  const life = { released: false };
  dropped.register(life, { api, session }, life);

  const run = async (feeds: Feeds, wanted: unknown, ...rest: unknown[]): Promise<Record<string, Tensor>> => {
    // other work goes first, as in onnxruntime-node; the run itself holds the thread
    await turn();
    if (life.released) throw new Error("the session is closed");
    if (rest.length > 0) throw new Error("options of a run are not supported");
    const missing = inputNames.find((name) => feeds[name] === undefined);
    if (missing !== undefined) throw new Error(`input '${missing}' is missing in 'feeds'.`);
    const fetches = fetchesOf(wanted, outputNames);
    return runNow(api, session, namesOf, inputNames, feeds, fetches);
  };
  return {
    run: run as InferenceSession["run"],
    async release() {
      if (!life.released) api.release("Session", session);
      life.released = true;
      dropped.unregister(life);
    },
    startProfiling() {},
    endProfiling() {},
    inputNames,
    outputNames,
    inputMetadata: inputs,
    outputMetadata: outputs,
  } satisfies InferenceSession;
}

/** Outputs by name, as `run` of onnxruntime-common takes them: all, a list, or where each is to be written. */
function fetchesOf(wanted: unknown, outputNames: readonly string[]): Fetches {
  const names = Array.isArray(wanted) ? (wanted as string[]) : Object.keys(wanted ?? {});
  const unknown = names.find((name) => !outputNames.includes(name));
  if (unknown !== undefined) throw new Error(`'fetches' contains invalid output name: ${unknown}.`);
  if (wanted === undefined || Array.isArray(wanted))
    return Object.fromEntries((wanted === undefined ? outputNames : names).map((name) => [name, null]));
  return wanted as Fetches;
}

function runNow(
  api: Api,
  session: bigint,
  namesOf: NamesInC,
  inputNames: readonly string[],
  feeds: Feeds,
  fetches: Fetches,
): Record<string, Tensor> {
  const wanted = Object.entries(fetches);
  const [ins, outs] = [inputNames.length, wanted.length];
  const values = new BigUint64Array(ins);
  const results = new BigUint64Array(outs);
  try {
    inputNames.forEach((name, i) => {
      values[i] = ortValue(api, name, feeds[name]!);
    });
    wanted.forEach(([name, tensor], i) => {
      if (tensor) results[i] = ortValue(api, name, tensor);
    });
    const outputNames = namesOf(wanted.map(([name]) => name));
    api.call("Run", session, null, namesOf(inputNames), values, ins, outputNames, outs, results);
    return Object.fromEntries(wanted.map(([name, tensor], i) => [name, tensor ?? tensorOf(api, results[i]!)]));
  } finally {
    for (const value of [...values, ...results]) if (value !== 0n) api.release("Value", value);
  }
}

/** Addresses of names as C strings, which stay for as long as the function is kept. */
type NamesInC = (names: readonly string[]) => BigUint64Array;

function namesInC(api: Api, names: readonly string[]): NamesInC {
  const texts = new Map(names.map((name) => [name, offHeap(Buffer.from(`${name}\0`))]));
  return (wanted) => BigUint64Array.from(wanted, (name) => api.address(texts.get(name)!));
}

/** An OrtValue on the memory of a tensor, for the length of a run. */
function ortValue(api: Api, name: string, { type, location, data, dims }: Tensor): bigint {
  const element = elementOfType(type);
  if (location !== "cpu" || element === undefined)
    throw new Error(`tensor '${name}' must hold numbers on the CPU, got ${type} (${location})`);
  const array = offHeap(data as NodeJS.TypedArray);
  const sizes = BigInt64Array.from(dims, BigInt);
  return api.get("CreateTensorWithDataAsOrtValue", api.memory, array, array.byteLength, sizes, sizes.length, element);
}

/** The array, at an address that stays: V8 keeps small ones inside its heap, and moves them, until their buffer is asked for. */
function offHeap<T extends NodeJS.ArrayBufferView>(array: T): T {
  void array.buffer;
  return array;
}

/** A tensor of its own with what ONNX Runtime has allocated. */
function tensorOf(api: Api, value: bigint): Tensor {
  const info = api.get("GetTensorTypeAndShape", value);
  const type = typeOfElement(elementTypeOf(api, info))!;
  const dims = dimsOf(api, info);
  api.release("TensorTypeAndShapeInfo", info);
  const data = zeros(
    type,
    dims.reduce((product, dim) => product * dim, 1),
  );
  if (data.byteLength > 0) api.copy(api.get("GetTensorMutableData", value), offHeap(data as NodeJS.TypedArray));
  return new OrtTensor(type, data as Float32Array, dims);
}
