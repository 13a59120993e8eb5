/** A model's folder, as model hubs lay it out: where the model is, and what stands beside it. */
import { LongConvError } from "../../src/errors.ts";
import { createTokenizer, type Tokenizer, type TokenizerLimit } from "../text/text.ts";
import { type GenerationDefaults, generationDefaults } from "./defaults.ts";

export interface Folder {
  /** Path or URL, for messages. */
  readonly label: string;
  /** Bytes of a file by its name in the folder; undefined where it is not there. */
  read(name: string): Promise<Uint8Array | undefined>;
  /** Where work can be stopped: see {@link TokenizerLimit}. */
  readonly within?: TokenizerLimit;
}

/**
 * The model of a folder: the first of the names under which it may be that is there.
 * @param modelFile another name than model.onnx
 * @param look what stands for a file that is there: its path, its bytes
 * @throws LongConvError file-missing
 */
export async function findModel<T>(
  { label }: Pick<Folder, "label">,
  modelFile: string | undefined,
  look: (name: string) => Promise<T | undefined>,
): Promise<{ readonly name: string; readonly found: T }> {
  const names = modelFile === undefined ? ["onnx/model.onnx", "model.onnx"] : [modelFile, `onnx/${modelFile}`];
  for (const name of names) {
    const found = await look(name);
    if (found !== undefined) return { name, found };
  }
  throw new LongConvError("file-missing", `the folder has no ${names.join(" or ")}`, { file: label });
}

/** What a folder says besides its model. */
export interface FolderSettings {
  readonly tokenizer: Tokenizer | undefined;
  readonly defaults: GenerationDefaults;
}

/**
 * @param folder undefined: there is none, and nothing is said
 * @param tokenizer to use instead of the folder's
 * @throws LongConvError bad-input for a JSON file that cannot be read
 */
export async function settingsOf(folder: Folder | undefined, tokenizer?: Tokenizer): Promise<FolderSettings> {
  if (!folder) return { tokenizer, defaults: {} };
  const config = { ...(await jsonIn(folder, "config.json")), ...(await jsonIn(folder, "generation_config.json")) };
  return { tokenizer: tokenizer ?? (await tokenizerOf(folder)), defaults: generationDefaults(config) };
}

/** The tokenizer of a folder (tokenizer.json and, if there, tokenizer_config.json); undefined where there is none. */
export async function tokenizerOf(folder: Folder): Promise<Tokenizer | undefined> {
  const json = await jsonIn(folder, "tokenizer.json");
  if (json === undefined) return undefined;
  const config = (await jsonIn(folder, "tokenizer_config.json")) ?? {};
  return createTokenizer(json, config, fileIn(folder, "tokenizer.json"), folder.within);
}

const fileIn = ({ label }: Folder, name: string) => `${label.replace(/\/$/, "")}/${name}`;

async function jsonIn(folder: Folder, name: string): Promise<Record<string, unknown> | undefined> {
  const bytes = await folder.read(name);
  if (!bytes) return undefined;
  try {
    return JSON.parse(new TextDecoder().decode(bytes));
  } catch (error) {
    const reason = `not JSON: ${(error as Error).message}`;
    throw new LongConvError("bad-input", reason, { file: fileIn(folder, name) }, undefined, error);
  }
}
