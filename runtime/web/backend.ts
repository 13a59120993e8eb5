/** The binding to onnxruntime-web: WebGPU where there is an adapter, else WebAssembly. */

import { type ErrorCode, LongConvError } from "../../src/errors.ts";
import { sha256 } from "../model/state-file.ts";
import type { Backend } from "../sessions/backend.ts";
import type { GpuDevice } from "../sessions/capture/buffers.ts";
import { replaysRight } from "../sessions/capture/check.ts";
import { type CaptureOptions, capturedSession } from "../sessions/capture/session.ts";
import { externalLocations } from "../sessions/external-locations.ts";
import { openError } from "../sessions/open-error.ts";
import type { InferenceSession } from "../sessions/ort.ts";
import { outlineOf } from "../sessions/outline.ts";
import { recoverable } from "../sessions/recovery.ts";
import { orRelease, stepFileOf, twoSessions } from "../sessions/two-sessions.ts";
import { inMemory } from "../sessions/wire.ts";
import type { WebFiles } from "./files.ts";
import { withTurns } from "./turns.ts";

type Ort = typeof import("onnxruntime-web");
export type WebProvider = "webgpu" | "wasm";

export interface WebBackendOptions {
  /** In the order of preference. */
  readonly executionProviders: readonly WebProvider[];
  /** Where ONNX Runtime's own .wasm files are; default: beside its script, as bundlers put them. */
  readonly wasmPaths?: string | undefined;
  readonly threads?: number | undefined;
  /** Record the GPU commands of the file for one token once, and replay them. */
  readonly graphCapture: boolean;
  /** Called when what was wanted is not used: WebGPU, at once or when the device is lost, or graph capture. */
  readonly onFallback: (why: string) => void;
  readonly session?: InferenceSession.SessionOptions | undefined;
}

/** A model's file, read. */
export interface ModelFile {
  readonly name: string;
  readonly bytes: Uint8Array;
}

/** A backend that says what it runs on at the moment. */
export interface WebBackend extends Backend {
  readonly provider: WebProvider;
}

/** A backend for the files of one model, on the first provider that works. */
export async function webBackend(
  files: WebFiles,
  { name, bytes }: ModelFile,
  options: WebBackendOptions,
): Promise<WebBackend> {
  // Given up once it is opened; whoever needs it again reads it again.
  let first: Uint8Array | undefined = bytes;
  const outline = outlineOf(inMemory(bytes));
  const { executionProviders, onFallback } = options;
  let provider = executionProviders[0] ?? "wasm";
  if (provider === "webgpu") {
    const missing = await whyNoGpu();
    if (missing !== undefined && !executionProviders.includes("wasm")) {
      throw new LongConvError("runtime-failed", missing, { file: files.label }, 'Add "wasm" to executionProviders.');
    }
    if (missing !== undefined) {
      provider = "wasm";
      onFallback(`${missing}; running on WebAssembly instead`);
    }
  }
  const ort = await ortFor(provider, options);
  let captured = false;
  const recover = executionProviders.includes("wasm");
  return {
    get provider() {
      return provider;
    },
    get name() {
      if (provider === "wasm") return "onnxruntime-web (WebAssembly)";
      return `onnxruntime-web (WebGPU${captured ? ", graph capture" : ""})`;
    },
    Tensor: ort.Tensor,
    oneRunAtATime: true,
    writesIntoFetches: false,
    async open() {
      const model = { name, bytes: first ?? (await required(files, name)) };
      first = undefined;
      const { session, ...opened } = await openSession(ort, files, model, provider, options);
      captured = opened.captured;
      if (provider === "wasm" || !recover) return session;
      const device = await deviceOf(ort);
      return recoverable(session, {
        Tensor: ort.Tensor,
        lost: device.lost.then(
          ({ message, reason }) => `the GPU device was lost (${message || reason || "no reason given"})`,
        ),
        async reopen(why) {
          provider = "wasm";
          onFallback(`${why}; going on with WebAssembly`);
          const again = { name, bytes: await required(files, name) };
          return (await openSession(await ortFor("wasm", options), files, again, "wasm", options)).session;
        },
      });
    },
    outline: async () => outline,
    async digests() {
      const model = await required(files, name);
      const names = externalLocations(model);
      const all = [model];
      for (const location of names) all.push(await required(files, beside(name, location)));
      return Promise.all(all.map(sha256));
    },
  };
}

/** Of lib.dom's WebGPU, what is used here: its types are not in every version of TypeScript. */
interface LosableDevice extends GpuDevice {
  readonly lost: Promise<{ readonly message: string; readonly reason?: string }>;
}
interface Gpu {
  requestAdapter(): Promise<unknown>;
}

const deviceOf = async (ort: Ort): Promise<LosableDevice> => (await ort.env.webgpu.device) as unknown as LosableDevice;

/** A sentence, where WebGPU cannot be used. */
async function whyNoGpu(): Promise<string | undefined> {
  const gpu = (globalThis.navigator as { gpu?: Gpu } | undefined)?.gpu;
  if (!gpu) return "this browser has no WebGPU";
  try {
    return (await gpu.requestAdapter()) ? undefined : "WebGPU found no graphics adapter";
  } catch (error) {
    return `WebGPU cannot start (${(error as Error).message})`;
  }
}

/** ONNX Runtime for WebAssembly alone is half as large as the one with WebGPU, and outlives its device. */
async function ortFor(provider: WebProvider, { wasmPaths, threads }: WebBackendOptions): Promise<Ort> {
  const ort = provider === "webgpu" ? await import("onnxruntime-web/webgpu") : await import("onnxruntime-web/wasm");
  if (wasmPaths !== undefined) ort.env.wasm.wasmPaths = wasmPaths;
  if (threads !== undefined) ort.env.wasm.numThreads = threads;
  return ort;
}

/** A model in one session, or in two, where it has a file for one token and a GPU to run it on. */
async function openSession(
  ort: Ort,
  files: WebFiles,
  model: ModelFile,
  provider: WebProvider,
  options: WebBackendOptions,
): Promise<{ session: InferenceSession; captured: boolean }> {
  const weights = new Map<string, Promise<Uint8Array>>();
  const open = async (file: string, bytes: Uint8Array, more: InferenceSession.SessionOptions = {}) => {
    const externalData = [];
    for (const path of externalLocations(bytes)) {
      const data = weights.get(path) ?? required(files, beside(file, path), "external-data-missing");
      weights.set(path, data);
      externalData.push({ path, data: await data });
    }
    try {
      return await ort.InferenceSession.create(bytes, {
        executionProviders: [provider],
        externalData,
        ...(provider === "webgpu" ? { preferredOutputLocation: "gpu-buffer" as const } : {}),
        ...options.session,
        ...more,
      });
    } catch (error) {
      throw openError(error, file);
    }
  };
  const whole = await open(model.name, model.bytes);
  const openStep = async (): Promise<{ session: InferenceSession; captured: boolean }> => {
    const stepFile = stepFileOf(model.name);
    const bytes = provider === "webgpu" ? await files.read(stepFile) : undefined;
    if (!bytes) return { session: whole, captured: false };
    const openIt: CaptureOptions["open"] = (more, other) => open(stepFile, other ?? bytes, more);
    const captured = options.graphCapture ? await recorded(ort, whole, openIt, options.onFallback) : undefined;
    return { session: twoSessions(whole, captured ?? (await openIt({}))), captured: captured !== undefined };
  };
  const opened = await orRelease(whole, openStep());
  // On a GPU, waiting for its results is a turn.
  return provider === "wasm" ? { ...opened, session: withTurns(opened.session) } : opened;
}

/** The file for one token, recorded; undefined, and said, where replaying it does not work on this GPU. */
async function recorded(
  ort: Ort,
  whole: InferenceSession,
  open: CaptureOptions["open"],
  onFallback: (why: string) => void,
): Promise<InferenceSession | undefined> {
  const { Tensor } = ort;
  let why = "the model's tensors cannot be recorded";
  try {
    const session = await capturedSession({ Tensor, device: await deviceOf(ort), open });
    if (session && (await replaysRight(Tensor, whole, session))) return session;
    if (session) why = "replayed GPU commands gave other results";
    await session?.release();
  } catch (error) {
    why = `GPU commands cannot be recorded (${(error as Error).message.split("\n")[0]})`;
  }
  onFallback(`${why}; running without graph capture`);
  return undefined;
}

const beside = (file: string, name: string): string => file.replace(/[^/]*$/, name);

async function required(files: WebFiles, name: string, code: ErrorCode = "file-missing"): Promise<Uint8Array> {
  const bytes = await files.read(name);
  if (bytes) return bytes;
  const remedy =
    code === "external-data-missing" ? "Give it together with the model: the folder, or both files." : undefined;
  throw new LongConvError(code, `there is no ${name}`, { file: files.label }, remedy);
}
