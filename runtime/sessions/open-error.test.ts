/** What ONNX Runtime's failures to open a model mean: texts as versions 1.30 for Node and for the browser write them. */
import { expect, test } from "vitest";
import { tinyModel, tinyWeights } from "../../test/tiny-model.ts";
import { loadModel } from "../model/session.ts";
import { load, nodeBackend, nodeBindingBackend } from "../node.ts";
import { openError } from "./open-error.ts";

const WEBGPU =
  "/onnxruntime_src/onnxruntime/core/providers/webgpu/webgpu_context.cc:136 onnxruntime::webgpu::WebGpuContext::Initialize(const onnxruntime::webgpu::WebGpuContextConfig&)::<lambda()> adapter_result.status == wgpu::RequestAdapterStatus::Success was false. Failed to get a WebGPU adapter: No supported adapters";

test.each([
  [WEBGPU, "runtime-failed"],
  ["OrtSessionOptionsAppendExecutionProvider_Cuda: Failed to load shared library", "runtime-failed"],
  ["no available backend found. ERR: [nonsense] backend not found.", "runtime-failed"],
  [
    'Failed to load external data file "m.onnx_data", error: File not found in preloaded files.',
    "external-data-missing",
  ],
  ['Failed to load external data file "m.onnx_data", error: Out of bounds.', "external-data-short"],
  ["unsupported graph optimization level: bogus", "bad-input"],
  ["Type Error: Type 'tensor(float)' of input parameter (x) of operator (Foo) in node () is invalid.", "invalid-graph"],
])("%s", (message, code) => {
  const error = openError(new Error(message), "m.onnx");
  expect(error).toMatchObject({ code, where: { file: "m.onnx" } });
  if (/WebGpu|external/.test(message)) expect(error.remedy).toBeDefined();
});

test.each([
  { graphOptimizationLevel: "bogus" },
  { intraOpNumThreads: -1 },
  { intraOpNumThreads: 0.5 },
  { interOpNumThreads: 2 ** 40 },
  { logSeverityLevel: 77 },
])("options are not the file's fault: %j", async (session) => {
  for (const backend of [nodeBackend, nodeBindingBackend]) {
    const loading = loadModel(backend, tinyModel(tinyWeights()), { session: session as object });
    await expect(loading).rejects.toMatchObject({ code: "bad-input" });
  }
});

test("what is no path, and settings of load out of their ranges", async () => {
  for (const path of [undefined, null, 5, ""])
    await expect(load(path as string)).rejects.toMatchObject({ code: "bad-input" });
  for (const options of [
    { threads: -1 },
    { threads: 0.5 },
    { sliceLength: Number.NaN },
    { sliceLength: 0 },
    { sliceLength: "9" },
  ])
    await expect(load("no.onnx", options as object)).rejects.toMatchObject({ code: "bad-input" });
  for (const source of [undefined, 5, {}]) {
    const loading = loadModel(nodeBackend, source as unknown as Uint8Array);
    await expect(loading).rejects.toMatchObject({ code: "bad-input" });
  }
});
