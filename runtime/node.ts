/** Entry point `longconv-ssm/node`: converted models in Node, through onnxruntime-node. */
import { readFile, stat } from "node:fs/promises";
import { join } from "node:path";
import type { InferenceSession } from "onnxruntime-common";
import { LongConvError } from "../src/errors.ts";
import { checkCount, notValid } from "./checks.ts";
import { generationDefaults } from "./defaults.ts";
import { nodeBackend, nodeBindingBackend } from "./node-backend.ts";
import { nodeGpuBackend } from "./node-gpu.ts";
import type { GenerationDefaults } from "./options.ts";
import { loadModel, type Model } from "./session.ts";
import { createTokenizer, type Tokenizer } from "./text.ts";

export * from "./api.ts";
export { loadModel } from "./session.ts";
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
  /** More options of ONNX Runtime's session. Graph capture is refused: it replays wrong results. */
  readonly session?: InferenceSession.SessionOptions;
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
 *   tokenizer-mismatch, bad-input (a JSON file that cannot be read, graph capture)
 */
export async function load(path: string, options: LoadOptions = {}): Promise<Model> {
  const { executionProviders = ["cpu"], threads, sliceLength, modelFile } = options;
  if (typeof path !== "string" || path === "") throw notValid("the model", "the path of a file or of a folder", path);
  if (threads !== undefined) checkCount("threads", threads, 0);
  if (sliceLength !== undefined) checkCount("sliceLength", sliceLength, 1);
  const isFolder = (await kindOf(path)) === "folder";
  const file = isFolder ? await modelIn(path, modelFile) : path;
  const folder = isFolder ? path : undefined;
  const onGpu = executionProviders.includes("webgpu");
  const session: InferenceSession.SessionOptions = {
    executionProviders: [...executionProviders],
    ...(threads === undefined ? {} : { intraOpNumThreads: threads }),
    ...options.session,
  };
  return loadModel(onGpu ? nodeGpuBackend : nodeBackend, file, {
    session,
    tokenizer: folder === undefined ? undefined : await tokenizerIn(folder),
    defaults: folder === undefined ? {} : await defaultsIn(folder),
    ...(sliceLength === undefined ? {} : { sliceLength }),
  });
}

async function kindOf(path: string): Promise<"file" | "folder" | undefined> {
  try {
    return (await stat(path)).isDirectory() ? "folder" : "file";
  } catch {
    return undefined;
  }
}

async function modelIn(folder: string, modelFile: string | undefined): Promise<string> {
  const names = modelFile === undefined ? ["onnx/model.onnx", "model.onnx"] : [modelFile, `onnx/${modelFile}`];
  for (const name of names) if ((await kindOf(join(folder, name))) === "file") return join(folder, name);
  throw new LongConvError("file-missing", `the folder has no ${names.join(" or ")}`, { file: folder });
}

/** The tokenizer of a folder (tokenizer.json and, if there, tokenizer_config.json); undefined where there is none. */
export async function tokenizerIn(folder: string): Promise<Tokenizer | undefined> {
  const json = await jsonIn(folder, "tokenizer.json");
  if (json === undefined) return undefined;
  return createTokenizer(json, (await jsonIn(folder, "tokenizer_config.json")) ?? {}, join(folder, "tokenizer.json"));
}

/** generation_config.json as transformers writes it; config.json's eos_token_id where only that is there. */
async function defaultsIn(folder: string): Promise<GenerationDefaults> {
  return generationDefaults({
    ...(await jsonIn(folder, "config.json")),
    ...(await jsonIn(folder, "generation_config.json")),
  });
}

async function jsonIn(folder: string, name: string): Promise<Record<string, unknown> | undefined> {
  const file = join(folder, name);
  if ((await kindOf(file)) !== "file") return undefined;
  try {
    return JSON.parse(await readFile(file, "utf8"));
  } catch (error) {
    throw new LongConvError("bad-input", `not JSON: ${(error as Error).message}`, { file }, undefined, error);
  }
}
