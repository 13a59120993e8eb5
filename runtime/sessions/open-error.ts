/** ONNX Runtime's failures to open a model, which it tells apart by their text only. */
import { type ErrorCode, LongConvError } from "../../src/errors.ts";

const FAILURES: readonly (readonly [pattern: RegExp, code: ErrorCode, remedy?: string])[] = [
  // The options
  [
    /^'\w+' is (not supported|invalid): |sessionOptions\.|^unsupported (graph|execution)|level is not valid/i,
    "bad-input",
  ],
  // The machine
  [
    /WebGpuContext|WebGPU adapter|adapter_result/i,
    "runtime-failed",
    "WebGPU needs a graphics adapter and, on Linux, a Vulkan driver. The CPU needs neither: leave out `executionProviders`.",
  ],
  [
    /no available backend.*(\.(wasm|mjs)\b|ERR_UNSUPPORTED_ESM|failed to fetch|fetching of the wasm failed|magic word)/is,
    "runtime-failed",
    "onnxruntime-web's own files (`ort-wasm-*.wasm` and `.mjs`) are not where it looks: serve them there, or say where with `wasmPaths`.",
  ],
  [
    /no available backend|AppendExecutionProvider|providers_shared/i,
    "runtime-failed",
    "This ONNX Runtime does not have that execution provider.",
  ],
  [/out of memory|bad_alloc|Failed to allocate/i, "runtime-failed"],
  // The file
  [
    /External data path.*(escapes|not allowed|not absolute)/i,
    "external-data-outside",
    "Keep it beside the model file.",
  ],
  [
    /out of bounds or can not be read in full|external data file.*out of bounds/i,
    "external-data-short",
    "The file is cut off: copy it again.",
  ],
  [
    /External data path|external data file/i,
    "external-data-missing",
    "Keep it beside the model file, under the name it was written with.",
  ],
  [
    /out of bounds or can not be read in full|out of bounds/i,
    "external-data-short",
    "The file is cut off: copy it again.",
  ],
  [/IR version|released onnx opset/i, "unsupported-opset", "Use a newer ONNX Runtime, or an older opset."],
  [/protobuf|ModelProto|data pointer is null/i, "not-onnx"],
];

/** @param file path or URL of the model, where it has one */
export function openError(error: unknown, file: string | undefined): LongConvError {
  if (error instanceof LongConvError) return error;
  const message = error instanceof Error ? error.message : String(error);
  const [, code, remedy] = FAILURES.find(([pattern]) => pattern.test(message)) ?? [undefined, "invalid-graph" as const];
  // The sentence without the place in ONNX Runtime's own source.
  const sentence = message.trim().replace(/^.*?\.(?:cc|h):\d+ (?:.*\) )?/s, "");
  return new LongConvError(code, `ONNX Runtime cannot load it: ${sentence}`, { file }, remedy, error);
}
