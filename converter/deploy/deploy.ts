/** Writes a converted model as a serving stack wants it: a folder for ONNX Runtime GenAI, a repository for Triton. */

import path from "node:path";
import { checkArguments } from "../../src/checks.ts";
import { LongConvError } from "../../src/errors.ts";
import { named } from "../../src/unforeseen.ts";
import { readModel } from "../file/read.ts";
import { type Beside, type Json, lookBeside, modelFileOf } from "../output/beside.ts";
import { copiedFile, type FolderFile, modelFile, textFile, writeFolder } from "../output/folder.ts";
import { markFile } from "../output/mark.ts";
import { DATA_FILE } from "../output/output.ts";
import { filesOf, refuseTarget } from "../output/target.ts";
import { genaiConfig, genaiModel } from "./genai.ts";
import { type Strategy, tritonConfig, tritonModel } from "./triton.ts";

/** The folder that was written. */
export interface Deployed {
  readonly output: string;
  /** Names of its files, relative to it, with "/". */
  readonly files: readonly string[];
}

export interface DeployGenaiOptions {
  /** Tokens of prompt and text together at most; default 1048576, or what the model claims. */
  readonly contextLength?: number | undefined;
  /** Let `contextLength` be more than the model claims (not more than its positions). Default false. */
  readonly beyond?: boolean | undefined;
  /** Tokens that end a text. Default: as generation_config.json says, else config.json. */
  readonly endTokens?: readonly number[] | undefined;
  /** Replace a folder that was written before, once the new one is complete. Default false. */
  readonly force?: boolean | undefined;
  /** Stops the writing; nothing is left behind. */
  readonly signal?: AbortSignal | undefined;
}

export interface DeployTritonOptions {
  /** Name of the model in the repository: letters, digits, "_", "-" and ".". Default: that of the folder or file. */
  readonly name?: string | undefined;
  /** How requests become batches; default `oldest`. */
  readonly strategy?: Strategy | undefined;
  /** Rows of a batch at most; default 8, or fewer where the model claims no more. */
  readonly maxBatchSize?: number | undefined;
  /** Let `maxBatchSize` be more rows than the model claims. Default false. */
  readonly beyond?: boolean | undefined;
  /** Positions of a request whose logits are given; default the last. */
  readonly logits?: "last" | "all" | undefined;
  /** Let Triton read and write a state in one buffer; default false. */
  readonly sameBuffer?: boolean | undefined;
  /** Replace a repository that was written before, once the new one is complete. Default false. */
  readonly force?: boolean | undefined;
  /** Stops the writing; nothing is left behind. */
  readonly signal?: AbortSignal | undefined;
}

/**
 * Writes a folder that ONNX Runtime GenAI loads: model.onnx under its names, genai_config.json, the tokenizer.
 *
 *     await deployGenai("model/", "genai/", { endTokens: [0] });
 *
 * @param converted a converted model: a .onnx file, or a folder as `writeOutput` writes it
 * @param out the folder; it must not exist, or be empty, or with `force` be one that was written here
 * @throws LongConvError what reading throws; bad-input and not-converted where GenAI cannot run the model; usage without
 *   a token that ends a text; beyond-claim, beyond-positions for a longer context; check-failed where the file does not answer as the model; file-exists,
 *   file-unwritable, aborted
 */
export async function deployGenai(converted: string, out: string, options: DeployGenaiOptions = {}): Promise<Deployed> {
  return named(converted, async () => {
    checkArguments({ converted: ["path", converted], out: ["path", out], options: ["options", options] });
    const { contextLength, beyond, force, signal } = options;
    const file = modelFileOf(converted);
    const refuse = refusal(out, force);
    refuse([file]);
    const beside = await lookBeside(file);
    const source = await readModel(file);
    const inputs = [...filesOf(source), ...beside.copied.values()];
    const model = genaiModel(source);
    const endTokens = options.endTokens ?? endTokensOf(beside);
    const config = genaiConfig(model, { contextLength, beyond, endTokens });
    const files = [
      modelFile("model.onnx", model, { signal, dataFile: DATA_FILE }, source),
      jsonFile("genai_config.json", config),
      ...(beside.tokenizerConfig ? [jsonFile("tokenizer_config.json", beside.tokenizerConfig)] : []),
      ...[...beside.copied].map(([name, from]) => copiedFile(name, from)),
    ];
    return write("genai", files, out, { force, signal, refuse: () => refuse(inputs) });
  });
}

/**
 * Writes a model repository of Triton Inference Server, with the state in Triton's hands or the client's.
 *
 *     await deployTriton("model/", "repository/", { name: "kjv", strategy: "direct" });
 *
 * @param converted a converted model: a .onnx file, or a folder as `writeOutput` writes it
 * @param out the repository; it must not exist, or be empty, or with `force` be one that was written here
 * @throws LongConvError what reading throws; usage for a name that Triton does not take; beyond-claim for more
 *   rows; unsupported-layout, not-converted; check-failed where the file does not answer as the model; file-exists, file-unwritable, aborted
 */
export async function deployTriton(
  converted: string,
  out: string,
  options: DeployTritonOptions = {},
): Promise<Deployed> {
  return named(converted, async () => {
    checkArguments({ converted: ["path", converted], out: ["path", out], options: ["options", options] });
    const { strategy, maxBatchSize, logits, sameBuffer, beyond, force, signal } = options;
    const file = modelFileOf(converted);
    const refuse = refusal(out, force);
    refuse([file]);
    const name = options.name ?? path.basename(path.resolve(converted)).replace(/\.onnx$/i, "");
    if (!/^(?!\.+$)[\w.-]+$/.test(name)) {
      const reason = `'${name}' is no name for a model in a Triton repository`;
      const remedy = "Name it with letters, digits, '_', '-' and '.', not with dots alone.";
      throw new LongConvError("usage", reason, {}, remedy);
    }
    const source = await readModel(file);
    const inputs = filesOf(source);
    const model = tritonModel(source, logits);
    const config = tritonConfig(model, { name, strategy, maxBatchSize, sameBuffer, beyond });
    const files = [
      modelFile(`${name}/1/model.onnx`, model, { signal, dataFile: DATA_FILE }, source, {
        lastAlone: logits !== "all",
      }),
      textFile(`${name}/config.pbtxt`, config),
    ];
    return write("triton", files, out, { force, signal, refuse: () => refuse(inputs) });
  });
}

/** Says whether the folder may be written, as often as it is asked: early, with what is read, and right before. */
const refusal =
  (out: string, force = false) =>
  (inputs: readonly string[]): void =>
    refuseTarget({ kind: "folder", path: out }, inputs, force);

async function write(
  stack: string,
  files: readonly FolderFile[],
  out: string,
  options: { force?: boolean | undefined; signal: AbortSignal | undefined; refuse: () => void },
): Promise<Deployed> {
  const { force = false, signal, refuse } = options;
  const all = [...files, markFile(stack)];
  refuse();
  await writeFolder(all, out, { force, signal, refuse });
  return { output: out, files: all.map(({ name }) => name).sort() };
}

const jsonFile = (name: string, value: Json): FolderFile => textFile(name, `${JSON.stringify(value, undefined, 2)}\n`);

/** As generation_config.json says, else config.json. */
function endTokensOf({ generationConfig, config }: Beside): number[] {
  const given = generationConfig?.eos_token_id ?? config?.eos_token_id ?? [];
  return [given].flat().filter((id): id is number => typeof id === "number");
}
