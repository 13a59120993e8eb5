/** What lies beside a source model: its configuration, tokenizer and training length. */

import { existsSync, statSync } from "node:fs";
import path from "node:path";
import { checkArguments } from "../../src/checks.ts";
import { LongConvError } from "../../src/errors.ts";
import { readInput } from "../../src/read-input.ts";

/** Parsed JSON object. */
export type Json = Readonly<Record<string, unknown>>;

/** Files of a model hub's folder that are copied as they are, where the source has them. */
const COPIED = [
  "tokenizer.json",
  "special_tokens_map.json",
  "added_tokens.json",
  "vocab.json",
  "merges.txt",
  "vocab.txt",
  "tokenizer.model",
  "chat_template.jinja",
] as const;

/** Keys of config.json and training.json that hold the length a model was trained with, the most telling first. */
const LENGTH_KEYS = [
  "max_position_embeddings",
  "n_positions",
  "max_seq_len",
  "max_sequence_length",
  "max_seq_length",
  "seq_length",
  "sequence_length",
  "seq_len",
  "n_ctx",
  "context_length",
  "l_max",
  "length",
] as const;

/** What was found beside the source. */
export interface Beside {
  readonly config: Json | undefined;
  readonly generationConfig: Json | undefined;
  readonly tokenizer: Json | undefined;
  readonly tokenizerConfig: Json | undefined;
  /** Paths to copy, by name in the output folder. */
  readonly copied: ReadonlyMap<string, string>;
  /** Positions the model was trained with, and the file that says so. */
  readonly trainingLength: { readonly positions: number; readonly from: string } | undefined;
}

/**
 * The model file that a path stands for: itself, or onnx/model.onnx or model.onnx in a folder.
 * @throws LongConvError file-missing where a folder has neither
 */
export function modelFileOf(given: string): string {
  checkArguments({ "the model": ["path", given] });
  if (!statSync(given, { throwIfNoEntry: false })?.isDirectory()) return given;
  const names = ["onnx/model.onnx", "model.onnx"];
  const found = names.map((name) => path.join(given, name)).find((each) => existsSync(each));
  if (!found) throw new LongConvError("file-missing", `the folder has no ${names.join(" or ")}`, { file: given });
  return found;
}

/**
 * Looks beside a model; for `<folder>/onnx/model.onnx` also in `<folder>`, as model hubs lay it out.
 * @throws LongConvError bad-input where a JSON file cannot be parsed
 */
export async function lookBeside(modelFile: string): Promise<Beside> {
  checkArguments({ modelFile: ["path", modelFile] });
  const folder = path.dirname(path.resolve(modelFile));
  const folders = path.basename(folder) === "onnx" ? [folder, path.dirname(folder)] : [folder];
  const find = (name: string) => folders.map((each) => path.join(each, name)).find((each) => existsSync(each));
  const json = async (name: string) => {
    const file = find(name);
    return file === undefined ? undefined : { file, value: await readJson(file) };
  };
  const [config, training] = [await json("config.json"), await json("training.json")];
  const lengths = [config, training].flatMap((each) => {
    const positions = each && lengthIn(each.value);
    return positions === undefined ? [] : [{ positions, from: each!.file }];
  });
  return {
    config: config?.value,
    generationConfig: (await json("generation_config.json"))?.value,
    tokenizer: (await json("tokenizer.json"))?.value,
    tokenizerConfig: (await json("tokenizer_config.json"))?.value,
    copied: new Map(COPIED.flatMap((name) => (find(name) ? [[name, find(name)!]] : []))),
    trainingLength: lengths[0],
  };
}

function lengthIn(config: Json): number | undefined {
  const values = LENGTH_KEYS.map((key) => config[key]);
  return values.find((value): value is number => Number.isInteger(value) && (value as number) > 0);
}

async function readJson(file: string): Promise<Json> {
  try {
    const value: unknown = JSON.parse((await readInput(file)).toString("utf8"));
    if (value !== null && typeof value === "object" && !Array.isArray(value)) return value as Json;
  } catch (cause) {
    if (cause instanceof LongConvError) throw cause;
    throw new LongConvError("bad-input", `not JSON: ${(cause as Error).message}`, { file }, undefined, cause);
  }
  throw new LongConvError("bad-input", "not a JSON object", { file });
}
