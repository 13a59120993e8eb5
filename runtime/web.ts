/** Entry point `longconv-ssm/web`: converted models in a browser, in the page or in a worker, through onnxruntime-web. */

import { checkArguments, checkCount } from "../src/checks.ts";
import { LongConvError } from "../src/errors.ts";
import type { ToldStates } from "../src/stateful.ts";
import { findModel, settingsOf } from "./model/folder.ts";
import type { Model } from "./model/model.ts";
import { read } from "./model/read.ts";
import { loadModel } from "./model/session.ts";
import { refuseGraphCapture } from "./sessions/capture/refuse.ts";
import type { InferenceSession } from "./sessions/ort.ts";
import type { Tokenizer } from "./text/text.ts";
import { type ModelFile, type WebProvider, webBackend } from "./web/backend.ts";
import { type FileOptions, type WebFiles, type WebSource, webFiles } from "./web/files.ts";

export * from "./api.ts";
export type { WebProvider } from "./web/backend.ts";
export { clearCache, type FileOptions, type FileProgress, type WebSource } from "./web/files.ts";

export interface LoadOptions extends FileOptions {
  /**
   * In the order of preference. Default `["webgpu", "wasm"]`: on the GPU, and on WebAssembly where there is none or when
   * it is lost. `["webgpu"]` alone fails instead of falling back.
   */
  readonly executionProviders?: readonly WebProvider[];
  /**
   * On WebGPU, record the commands of `model_step.onnx` once and replay them for every token. Checked when the model is
   * loaded; where replays differ from runs, it is not done. Default true.
   */
  readonly graphCapture?: boolean;
  /** Called with a sentence when it falls back to WebAssembly, or does without graph capture. Default: a warning on the console. */
  readonly onFallback?: (why: string) => void;
  /** Threads of WebAssembly; more than one needs a page that is cross-origin isolated. */
  readonly threads?: number;
  /** Folder of ONNX Runtime's .wasm files. Default: beside its script, as bundlers put them. */
  readonly wasmPaths?: string;
  /**
   * Tokens of a prompt that are read at a time; see LoadModelOptions. Default 64 on WebAssembly, where the thread is kept
   * for so long, and 512 on a GPU. In a worker, where that keeps nobody waiting, 512 reads long prompts faster.
   */
  readonly sliceLength?: number;
  /** Model file inside a folder. Default: onnx/model.onnx, else model.onnx. */
  readonly modelFile?: string;
  /** Where tokenizer.json and generation_config.json are. Default: the folder that is loaded; of a single file, nowhere. */
  readonly folder?: WebSource;
  /** Instead of the folder's. */
  readonly tokenizer?: Tokenizer;
  /** Called with a sentence, once, when a call with `beyond` goes past the model's claim. Default: a warning on the console. */
  readonly onRemark?: (text: string) => void;
  /** Outputs by the input that goes on from them, of a model whose names do not say it: `{ input_3: "stack_2" }`. */
  readonly states?: ToldStates;
  /** What a state holds before anything is read, by its input; every number of it is this one. Default: 0. */
  readonly initial?: Readonly<Record<string, number>>;
  /** More options of ONNX Runtime's session. Its own graph capture is refused: `graphCapture` is what makes it right. */
  readonly session?: InferenceSession.SessionOptions;
}

/**
 * Loads a converted model: by the URL of a .onnx file or of a folder laid out as model hubs expect, or from files that
 * the user picked or dropped. While it works, the event loop has a turn before every token and every slice of a prompt.
 *
 *     import { generate, load } from "longconv-ssm/web";
 *     const model = await load("/models/demo", { onProgress: ({ file, loadedBytes }) => show(file, loadedBytes) });
 *     for await (const { text } of generate(model, { prompt: "In the beginning" })) output.append(text);
 *     await model.close();
 *
 * @throws LongConvError file-missing, external-data-missing, not-onnx, unsupported-opset, not-converted,
 *   tokenizer-mismatch, bad-input (a JSON file that cannot be read, graph capture), runtime-failed (no GPU, where only that is allowed),
 *   aborted
 */
export async function load(source: WebSource, options: LoadOptions = {}): Promise<Model> {
  checkArguments({ options: ["options", options] });
  if (options.threads !== undefined) checkCount("threads", options.threads, 0);
  if (options.sliceLength !== undefined) checkCount("sliceLength", options.sliceLength, 1);
  const files = webFiles(source, options);
  refuseGraphCapture(options.session, files.label);
  const backend = await webBackend(files, await modelIn(files, options.modelFile), {
    executionProviders: options.executionProviders ?? ["webgpu", "wasm"],
    graphCapture: options.graphCapture ?? true,
    onFallback: options.onFallback ?? ((why) => console.warn(`longconv-ssm: ${why}`)),
    wasmPaths: options.wasmPaths,
    threads: options.threads,
    session: options.session,
  });
  const { sliceLength = backend.provider === "wasm" ? 64 : 512 } = options;
  const isFolder = files.single === undefined;
  const folder = options.folder !== undefined ? webFiles(options.folder, options) : isFolder ? files : undefined;
  const model = await loadModel(backend, files.label, {
    onRemark: options.onRemark,
    states: options.states,
    initial: options.initial,
    ...(await settingsOf(folder, options.tokenizer)),
    sliceLength,
  });
  if (backend.provider === "wasm" && model.language) await warmUp(model);
  return model;
}

/** The browser compiles what a run needs when it first runs: better now than in the first frames of a text. */
async function warmUp(model: Model): Promise<void> {
  try {
    await read(model, [[0]]);
  } catch {
    // What the model cannot do is said where it is asked for.
  }
}

async function modelIn(files: WebFiles, modelFile: string | undefined): Promise<ModelFile> {
  if (files.single === undefined) {
    const { name, found } = await findModel(files, modelFile, files.read);
    return { name, bytes: found };
  }
  const bytes = await files.read(files.single);
  if (!bytes) throw new LongConvError("file-missing", "no such file", { file: files.label });
  return { name: files.single, bytes };
}
