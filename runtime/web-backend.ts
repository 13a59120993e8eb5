/** The binding to onnxruntime-web: WebGPU where there is an adapter, else WebAssembly. */
import type { InferenceSession } from "onnxruntime-common";
import { type ErrorCode, LongConvError } from "../src/errors.ts";
import type { Backend } from "./backend.ts";
import { recoverable } from "./recovery.ts";
import { sha256 } from "./state-file.ts";
import { stepFileOf, twoSessions } from "./two-sessions.ts";
import { externalLocations, type WebFiles } from "./web-files.ts";

type Ort = typeof import("onnxruntime-web");
export type WebProvider = "webgpu" | "wasm";

export interface WebBackendOptions {
  /** In the order of preference. */
  readonly executionProviders: readonly WebProvider[];
  /** Where ONNX Runtime's own .wasm files are; default: beside its script, as bundlers put them. */
  readonly wasmPaths?: string | undefined;
  readonly threads?: number | undefined;
  /** Called when WebGPU was wanted and WebAssembly is used: at once, or when the device is lost. */
  readonly onFallback: (why: string) => void;
  readonly session?: InferenceSession.SessionOptions | undefined;
}

/** A model's file, read. */
export interface ModelFile {
  readonly name: string;
  readonly bytes: Uint8Array;
}

/** A backend for the files of one model, on the first provider that works. */
export async function webBackend(
  files: WebFiles,
  { name, bytes }: ModelFile,
  options: WebBackendOptions,
): Promise<Backend> {
  // Given up once it is opened; whoever needs it again reads it again.
  let first: Uint8Array | undefined = bytes;
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
  const recover = executionProviders.includes("wasm");
  return {
    get name() {
      return `onnxruntime-web (${provider === "webgpu" ? "WebGPU" : "WebAssembly"})`;
    },
    Tensor: ort.Tensor,
    oneRunAtATime: true,
    writesIntoFetches: false,
    async open() {
      const model = { name, bytes: first ?? (await required(files, name)) };
      first = undefined;
      const session = await openSession(ort, files, model, provider, options);
      if (provider === "wasm" || !recover) return session;
      const device = (await ort.env.webgpu.device) as unknown as GpuDevice;
      return recoverable(session, {
        Tensor: ort.Tensor,
        lost: device.lost.then(
          ({ message, reason }) => `the GPU device was lost (${message || reason || "no reason given"})`,
        ),
        async reopen(why) {
          provider = "wasm";
          onFallback(`${why}; going on with WebAssembly`);
          const again = { name, bytes: await required(files, name) };
          return openSession(await ortFor("wasm", options), files, again, "wasm", options);
        },
      });
    },
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
interface GpuDevice {
  readonly lost: Promise<{ readonly message: string; readonly reason?: string }>;
}
interface Gpu {
  requestAdapter(): Promise<unknown>;
}

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

async function openSession(
  ort: Ort,
  files: WebFiles,
  model: ModelFile,
  provider: WebProvider,
  { session }: WebBackendOptions,
): Promise<InferenceSession> {
  const weights = new Map<string, Promise<Uint8Array>>();
  const open = async (file: string, bytes: Uint8Array): Promise<InferenceSession> => {
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
        ...session,
      });
    } catch (error) {
      throw openError(error, file);
    }
  };
  const whole = await open(model.name, model.bytes);
  const stepFile = stepFileOf(model.name);
  const step = provider === "webgpu" ? await files.read(stepFile) : undefined;
  return step ? twoSessions(whole, await open(stepFile, step)) : whole;
}

const beside = (file: string, name: string): string => file.replace(/[^/]*$/, name);

async function required(files: WebFiles, name: string, code: ErrorCode = "file-missing"): Promise<Uint8Array> {
  const bytes = await files.read(name);
  if (!bytes) throw new LongConvError(code, `there is no ${name}`, { file: files.label });
  return bytes;
}

function openError(error: unknown, file: string): LongConvError {
  const message = error instanceof Error ? error.message : String(error);
  const code: ErrorCode = /protobuf|ModelProto/i.test(message)
    ? "not-onnx"
    : /IR version|opset/i.test(message)
      ? "unsupported-opset"
      : "invalid-graph";
  return new LongConvError(code, `ONNX Runtime cannot load it: ${message}`, { file }, undefined, error);
}
