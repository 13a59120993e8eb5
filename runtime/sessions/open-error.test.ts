/** What ONNX Runtime's failures to open a model mean: texts as versions 1.30 for Node and for the browser write them. */
import { execFileSync } from "node:child_process";
import { copyFileSync } from "node:fs";
import path from "node:path";
import { pathToFileURL } from "node:url";
import { expect, test } from "vitest";
import { ROOT } from "../../scripts/root.ts";
import { scratch } from "../../test/command.ts";
import { tinyModel, tinyWeights } from "../../test/tiny-model.ts";
import { loadModel } from "../model/session.ts";
import { load, nodeBackend, nodeBindingBackend } from "../node.ts";
import { openError } from "./open-error.ts";

const WEBGPU =
  "/onnxruntime_src/onnxruntime/core/providers/webgpu/webgpu_context.cc:136 onnxruntime::webgpu::WebGpuContext::Initialize(const onnxruntime::webgpu::WebGpuContextConfig&)::<lambda()> adapter_result.status == wgpu::RequestAdapterStatus::Success was false. Failed to get a WebGPU adapter: No supported adapters";

const SCRIPT = "ort-wasm-simd-threaded.mjs";

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

/** What onnxruntime-web itself says in a process of its own, where its files are looked for in this place. */
function withFilesIn(wasmPaths: string): string {
  const script = `
    import { env, InferenceSession } from "onnxruntime-web";
    Object.assign(env.wasm, { wasmPaths: ${JSON.stringify(wasmPaths)}, numThreads: 1 });
    await InferenceSession.create(new Uint8Array(2)).catch(({ message }) => console.log(message));`;
  const args = ["--input-type=module", "--eval", script];
  return execFileSync(process.execPath, args, { cwd: ROOT, encoding: "utf8", stdio: ["ignore", "pipe", "ignore"] });
}

test("files of onnxruntime-web that are missing are no missing execution provider", () => {
  const dir = scratch();
  // its script is there, and its .wasm is not
  copyFileSync(path.join(ROOT, "node_modules/onnxruntime-web/dist", SCRIPT), dir.at(SCRIPT));
  const places = ["/nowhere/", `${pathToFileURL(dir.folder)}/`, "https://localhost/nowhere/"];
  for (const place of places) {
    const message = withFilesIn(place);
    expect(message, place).toContain("no available backend found");
    const { code, remedy } = openError(new Error(message), "m.onnx");
    expect([code, remedy], message).toEqual(["runtime-failed", expect.stringContaining("`wasmPaths`")]);
  }
  dir.remove();
});

test.each([
  // a page that stands in for every file that is missing
  "no available backend found. ERR: [wasm] RuntimeError: Aborted(CompileError: WebAssembly.instantiate(): expected magic word 00 61 73 6d, found 3c 21 44 4f @+0)",
  "no available backend found. ERR: [wasm] TypeError: Failed to fetch dynamically imported module: http://localhost/nowhere/ort-wasm-simd-threaded.mjs",
])("of a browser: %s", (message) => {
  expect(openError(new Error(message), undefined).remedy).toContain("`wasmPaths`");
});

test("a provider that is not there is not about files", () => {
  const { remedy } = openError(new Error("no available backend found. ERR: [nonsense] backend not found."), "m.onnx");
  expect(remedy).toBe("This ONNX Runtime does not have that execution provider.");
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
