/** Writes a converted model: to a .onnx file, or to a folder as model hubs and transformers.js expect. */

import { readdir } from "node:fs/promises";
import path from "node:path";
import { checkArguments } from "../../src/checks.ts";
import { withInt64Ids } from "../assemble/int64-ids.ts";
import { type Answers, refuseOther } from "../compare/staged.ts";
import { placeModel, type WriteOptions, writeNewModel } from "../file/write.ts";
import type { Model } from "../graph/graph.ts";
import type { Beside, Json } from "./beside.ts";
import { CARD, modelCard } from "./card.ts";
import { configsOf } from "./configs.ts";
import { forTransformersJs, hasNamesOfTransformersJs, withFilesBeside } from "./dropin.ts";
import { copiedFile, type FolderFile, modelFile, textFile, writeFolder } from "./folder.ts";
import { refuseTarget, type Target } from "./target.ts";

export interface OutputOptions extends WriteOptions {
  /** Files that are read and must stay as they are. */
  readonly inputs?: readonly string[];
  /** The model for one token a call: onnx/model_step.onnx in a folder, sharing onnx/model.onnx_data with the other. */
  readonly step?: Model | undefined;
  /** The same model in other forms, beside model.onnx: `{ q4: … }` becomes onnx/model_q4.onnx in a folder. */
  readonly variants?: Readonly<Record<string, Model>> | undefined;
  /** Fields of config.json that win over the source's. */
  readonly config?: Json;
  /** Make the folder one that stock transformers.js loads; default: where the model is a language model. */
  readonly transformersJs?: boolean | undefined;
}

/** Options of models that were checked in this process. */
export interface CheckedOptions extends OutputOptions {
  /** What they answered meanwhile; default: they are asked before their files take their places. */
  readonly answers?: { readonly model?: Answers | undefined; readonly step?: Answers | undefined } | undefined;
}

/**
 * Writes `model` to the target; a folder gets onnx/model.onnx, a model card (README.md), config.json, generation_config.json and, where the
 * source has a tokenizer, tokenizer.json, tokenizer_config.json and what belongs to them.
 *
 *     const source = "exported/model.onnx";
 *     const { model } = await convert(source);
 *     await writeOutput(model, await lookBeside(source), targetOf("converted"));
 *
 * @returns paths of the files that hold the model: the graph, and its weights where they are outside
 * @throws LongConvError file-exists, file-unwritable, tokenizer-mismatch, aborted; check-failed where a file is not what was given
 */
export async function writeOutput(
  model: Model,
  beside: Beside,
  target: Target,
  options: OutputOptions = {},
): Promise<readonly string[]> {
  checkArguments({
    model: ["model", model],
    beside: ["options", beside],
    target: ["options", target],
    options: ["options", options],
  });
  return writeChecked(model, beside, target, options);
}

/** {@link writeOutput}, with what is known of the models already. */
export async function writeChecked(
  model: Model,
  beside: Beside,
  target: Target,
  options: CheckedOptions,
): Promise<readonly string[]> {
  const { force = false, signal, externalData = "auto" } = options;
  const refuse = () => refuseTarget(target, options.inputs ?? [], force);
  refuse();
  const look = (file: string) => refuseOther(model, { file, written: model, answers: options.answers?.model });
  if (target.kind === "file") return placeModel(model, target.path, { force, signal, externalData }, look);
  const files = folderFiles(model, beside, options);
  await writeFolder(files, target.path, { force, signal, refuse });
  const folder = path.join(target.path, "onnx");
  // Whoever takes it away now has had it.
  const names = await readdir(folder).catch(() => []);
  return names.map((name) => path.join(folder, name));
}

/** As transformers.js looks for it; the folder is new, so that nothing is there. */
export const DATA_FILE = "model.onnx_data";

/** Beside model.onnx. */
const STEP_FILE = "model_step.onnx";

/** The files of the folder, in the order in which they are written: the large one first, so that a full disk shows early. */
export function folderFiles(model: Model, beside: Beside, options: CheckedOptions = {}): FolderFile[] {
  const {
    signal,
    step,
    answers,
    variants = {},
    externalData = "auto",
    transformersJs = hasNamesOfTransformersJs(model),
  } = options;
  const dropIn = transformersJs ? forTransformersJs(model, beside.config) : { model, config: {}, section: {} };
  const configs = configsOf(model, beside, { ...dropIn.config, ...options.config }, dropIn.section);
  const named = Object.entries(variants).map(([suffix, each]) => [`onnx/model_${suffix}.onnx`, each] as const);
  const text = (value: Json) => `${JSON.stringify(value, undefined, 2)}\n`;
  const json = (name: string, value: Json | undefined) => (value === undefined ? [] : [textFile(name, text(value))]);
  return [
    {
      name: "onnx/model.onnx",
      write: async (file) => {
        const single = step && transformersJs ? withInt64Ids(step) : step;
        const beside = path.join(path.dirname(file), STEP_FILE);
        const sharing = single ? [{ model: single, file: beside }] : [];
        await writeNewModel(dropIn.model, file, { signal, externalData, sharing, dataFile: DATA_FILE });
        await refuseOther(model, { file, written: dropIn.model, answers: answers?.model });
        if (step && single)
          await refuseOther(step, { file: beside, written: single, isStep: true, answers: answers?.step });
      },
    },
    ...named.map(([name, variant]) => {
      const written = transformersJs ? forTransformersJs(variant, beside.config).model : variant;
      return modelFile(name, written, { signal, externalData, dataFile: `${path.basename(name)}_data` }, variant);
    }),
    {
      name: "config.json",
      write: (file) =>
        textFile("config.json", text(transformersJs ? withFilesBeside(configs.config, file) : configs.config)).write(
          file,
        ),
    },
    textFile(CARD, modelCard(new Map([["onnx/model.onnx", model], ...named]), transformersJs)),
    ...json("generation_config.json", configs.generation),
    ...json("tokenizer_config.json", configs.tokenizer),
    ...[...beside.copied].map(([name, from]) => copiedFile(name, from)),
  ];
}
