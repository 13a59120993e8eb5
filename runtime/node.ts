/** Entry point `longconv-ssm/node`: converted models in Node, through onnxruntime-node. */

import { join } from "node:path";
import { checkArguments, checkCount } from "../src/checks.ts";
import { LongConvError } from "../src/errors.ts";
import { type ProcessOptions, refuseLimits } from "../src/process/limits.ts";
import type { ToldStates } from "../src/stateful.ts";
import { named } from "../src/unforeseen.ts";
import { findModel, settingsOf } from "./model/folder.ts";
import type { Model } from "./model/model.ts";
import { loadModel } from "./model/session.ts";
import { nodeApartBackend, nodeBackend, nodeBindingBackend } from "./node/backend.ts";
import { folderAt, kindOf } from "./node/folder.ts";
import { nodeGpuBackend } from "./node/gpu.ts";
import type { InferenceSession } from "./sessions/ort.ts";
import type { Tokenizer } from "./text/text.ts";

export type { Limits, ProcessOptions } from "../src/process/limits.ts";
export * from "./api.ts";
export { type LoadModelOptions, loadModel } from "./model/session.ts";
export { type RestoredPrefixes, restorePrefixes, savePrefixes } from "./node/prefixes.ts";
export { nodeBackend, nodeBindingBackend, nodeGpuBackend };

export interface LoadOptions {
  /** Default `["cpu"]`; `["webgpu"]` keeps the states in GPU buffers. */
  readonly executionProviders?: readonly ("cpu" | "webgpu")[];
  /** Threads of one operator. Default: ONNX Runtime's, one a physical core. */
  readonly threads?: number;
  /** Tokens of a prompt that are read at a time; see LoadModelOptions. */
  readonly sliceLength?: number;
  /** Model file inside a folder. Default: onnx/model.onnx, else model.onnx. */
  readonly modelFile?: string;
  /** Where tokenizer.json and generation_config.json are. Default: the folder that is loaded; of a single file, nowhere. */
  readonly folder?: string;
  /** Instead of the folder's. */
  readonly tokenizer?: Tokenizer;
  /** Called with a sentence, once, when a call with `beyond` goes past the model's claim. Default: a warning on the console. */
  readonly onRemark?: (text: string) => void;
  /** Outputs by the input that goes on from them, of a model whose names do not say it: `{ input_3: "stack_2" }`. */
  readonly states?: ToldStates;
  /** What a state holds before anything is read, by its input; every number of it is this one. Default: 0. */
  readonly initial?: Readonly<Record<string, number>>;
  /** More options of ONNX Runtime's session. Graph capture is refused: it replays wrong results. */
  readonly session?: InferenceSession.SessionOptions;
  /**
   * Run the model in a process of its own: for models that are not trusted. Should ONNX Runtime crash on it, or take more than
   * `memory`, or longer than `timeout` to open it or for one run, only that process ends, and what was asked of the model is an
   * error with a name. Only on the CPU. States travel between the processes at every step. Default: in this one.
   */
  readonly process?: ProcessOptions;
}

/**
 * Loads a converted model: a .onnx file (external data beside it), or a folder laid out as model hubs expect:
 * onnx/model.onnx, and where they are there tokenizer.json, tokenizer_config.json and generation_config.json, whose
 * settings become the defaults of every generation.
 *
 *     import { generate, load } from "longconv-ssm/node";
 *     const model = await load("model");
 *     for await (const { text } of generate(model, { prompt: "In the beginning" })) process.stdout.write(text);
 *     await model.close();
 *
 * @throws LongConvError file-missing, not-onnx, unsupported-opset, external-data-missing, not-converted,
 *   tokenizer-mismatch, too-large, bad-input (an option, a JSON file that cannot be read, graph capture), runtime-failed (no
 *   GPU); with `process` also usage for limits that are none, memory-exceeded, time-exceeded, and runtime-failed for a crash
 */
export async function load(path: string, options: LoadOptions = {}): Promise<Model> {
  return named(String(path), async () => {
    checkArguments({ "the model": ["path", path], options: ["options", options] });
    const { executionProviders = ["cpu"], threads, sliceLength, modelFile } = options;
    checkArguments({ executionProviders: ["list", executionProviders] });
    if (threads !== undefined) checkCount("threads", threads, 0);
    if (sliceLength !== undefined) checkCount("sliceLength", sliceLength, 1);
    const isFolder = (await kindOf(path)) === "folder";
    const folder = options.folder ?? (isFolder ? path : undefined);
    if (options.folder !== undefined && (await kindOf(options.folder)) !== "folder")
      throw new LongConvError("file-missing", "no such folder", { file: options.folder });
    const onGpu = executionProviders.includes("webgpu");
    if (options.process) refuseLimits(options.process);
    if (options.process && onGpu)
      throw new LongConvError("bad-input", "a process of its own runs a model on the CPU only, got webgpu");
    const backend = options.process ? nodeApartBackend(options.process) : onGpu ? nodeGpuBackend : nodeBackend;
    const session: InferenceSession.SessionOptions = {
      executionProviders: [...executionProviders],
      ...(threads === undefined ? {} : { intraOpNumThreads: threads }),
      ...options.session,
    };
    return loadModel(backend, isFolder ? await modelIn(path, modelFile) : path, {
      session,
      onRemark: options.onRemark,
      states: options.states,
      initial: options.initial,
      ...(await settingsOf(folder === undefined ? undefined : folderAt(folder), options.tokenizer)),
      ...(sliceLength === undefined ? {} : { sliceLength }),
    }).catch((error: unknown) => {
      options.process?.signal?.throwIfAborted();
      throw error;
    });
  });
}

async function modelIn(folder: string, modelFile: string | undefined): Promise<string> {
  const { found } = await findModel({ label: folder }, modelFile, async (name) => {
    const file = join(folder, name);
    return (await kindOf(file)) === "file" ? file : undefined;
  });
  return found;
}
