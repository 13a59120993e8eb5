/** `longconv-ssm convert MODEL -o OUT` */
import type { Command } from "commander";
import {
  BUDGETS,
  type Budget,
  DEFAULT_OUTPUT_TOLERANCE,
  DEFAULT_TOLERANCE,
  toleranceOf,
} from "../../converter/choose/options.ts";
import type { Required } from "../../converter/claim.ts";
import type { ConvertOptions, Progress } from "../../converter/conversion.ts";
import { type Checked, convertModel } from "../../converter/convert.ts";
import { readModel } from "../../converter/file/read.ts";
import type { Found } from "../../converter/find/found.ts";
import { sizedStates } from "../../converter/find/sizes.ts";
import { lookBeside, modelFileOf } from "../../converter/output/beside.ts";
import { writeChecked } from "../../converter/output/output.ts";
import { filesOf, refuseTarget, targetOf } from "../../converter/output/target.ts";
import type { Planned } from "../../converter/plan.ts";
import { WEIGHT_KINDS, type WeightKind } from "../../converter/weights/weights.ts";
import { METADATA } from "../contract.ts";
import { LongConvError } from "../errors.ts";
import { newCommand, withAction } from "./command.ts";
import { conversionJson, conversionReport } from "./convert-report.ts";
import { outputFile } from "./output-file.ts";
import { pageOf, type Shown } from "./page.ts";
import { reweigh, sideBySide } from "./reweigh.ts";
import type { Terminal } from "./terminal.ts";
import {
  bytes,
  checkTimeAxes,
  claim,
  integer,
  listOf,
  number,
  oneOf,
  positions,
  type TimeAxes,
  threads,
  timeAxis,
} from "./values.ts";

interface Options {
  readonly out: string;
  readonly exact?: boolean;
  readonly tolerance?: number;
  readonly budget?: Budget;
  readonly order?: number;
  readonly maxState?: number;
  readonly horizon?: number;
  readonly trainingLength?: number;
  readonly require?: Required;
  readonly threads?: number;
  readonly timeAxis?: TimeAxes;
  readonly inputName?: string;
  readonly outputName?: string;
  readonly attentionMask: boolean;
  readonly numLogitsToKeep: boolean;
  readonly checkTolerance?: number;
  readonly externalData?: "auto" | "always" | "never";
  readonly weights?: readonly WeightKind[];
  readonly stepFile?: boolean;
  readonly cacheCapacity?: number;
  readonly html?: string;
  readonly force?: boolean;
}

/** The command's options and examples. */
export function convertCommand(): Command {
  const command = newCommand("convert", "Convert an exported model into a recurrent one, check it, and write it.", [
    ["longconv-ssm convert model.onnx -o recurrent.onnx", "compact states within the default tolerance, one file"],
    ["longconv-ssm convert model.onnx -o model/", "a folder with onnx/model.onnx, config.json and the tokenizer"],
    [
      "longconv-ssm convert model.onnx -o exact.onnx --exact --horizon 2048",
      "full-order ETSC, exact for 2048 positions",
    ],
    [
      "longconv-ssm convert model.onnx -o model/ --weights int4,int8,float16",
      "weights of every kind, from one conversion",
    ],
    ["longconv-ssm convert model/ -o small/ --weights int4", "of a converted model, without solving again"],
    ["longconv-ssm convert model.onnx -o small.onnx --max-state 64k", "the best that 64 000 bytes of state can do"],
  ])
    .argument("<model>", "exported model: a .onnx file, or a folder with onnx/model.onnx or model.onnx")
    .requiredOption("-o, --out <path>", "output: a path that ends in .onnx, else a folder")
    .option("--exact", "full-order ETSC instead of compact states")
    .option(
      "--tolerance <error>",
      `relative error of a layer's kernels that compact states may have (default: ${DEFAULT_TOLERANCE})`,
      number({ above: 0 }),
    )
    .option(
      "--budget <what>",
      `what the tolerance is about: kernels (default), or outputs: one error, shared among layers by what they do to the outputs (default: ${DEFAULT_OUTPUT_TOLERANCE})`,
      oneOf(BUDGETS),
    )
    .option("--order <n>", "order of every compact state, at most, instead of a tolerance", integer(1))
    .option("--max-state <bytes>", "bytes of state of one sequence, instead of a tolerance (50000, 64k, 1MB)", bytes)
    .option(
      "--horizon <lags>",
      "lags of the kernels that the form reproduces (default: until they have died away; of exact forms, the training length where that is shorter)",
      positions,
    )
    .option(
      "--training-length <n>",
      "length that the model was trained with; default: as config.json or training.json beside it says",
      positions,
    )
    .option(
      "--require <claim>",
      "refuse what claims less: 'proven', or a number of positions; default: the length that the model was trained with, where that is known (see docs/promise.md)",
      claim,
    )
    .option("--time-axis <name=axis>", "time axis of an input, where the default is wrong; may be repeated", timeAxis)
    .option("--input-name <name>", "name of a language model's token ids in the result (default: input_ids)")
    .option("--output-name <name>", "name of a language model's logits in the result (default: logits)")
    .option("--no-attention-mask", "leave out the input attention_mask")
    .option("--no-num-logits-to-keep", "leave out the input num_logits_to_keep")
    .option(
      "--check-tolerance <error>",
      "relative difference of the outputs that the check before writing allows (default: 1e-4, and up to 0.1 for the states' own error)",
      number({ above: 0 }),
    )
    .option(
      "--external-data <when>",
      "weights in a file of their own: auto (over 1.5 GB), always, never",
      oneOf(["auto", "always", "never"]),
    )
    .option(
      "--weights <kinds>",
      "store the matrices in fewer bits: int8, int4, float16; several, separated by commas, in a folder beside the unchanged model.onnx",
      listOf(WEIGHT_KINDS),
    )
    .option(
      "--step-file",
      "in a folder, also write onnx/model_step.onnx: one token a call, no control flow, for WebGPU",
    )
    .option(
      "--cache-capacity <n>",
      "positions that an attention holds, in states of one size, where its cache would grow: the model ends there",
      positions,
    )
    .option("--html <file>", "write a page of what was done: kernels, forms, errors, and the numbers to take away")
    .option("--threads <n>", "threads that reduce layers (default: 2)", threads)
    .option("--force", "replace an existing output, once the new one is complete");
  return withAction(command, run);
}

async function run(terminal: Terminal, given: string, options: Options): Promise<void> {
  const started = performance.now();
  if (
    [options.exact, options.order, options.maxState, options.tolerance].filter((each) => each !== undefined).length > 1
  )
    throw new LongConvError("usage", "give only one of --exact, --tolerance, --order and --max-state");
  const file = modelFileOf(given);
  const target = targetOf(options.out);
  const force = options.force === true;
  terminal.progress("reading the model", 0, undefined);
  const model = await readModel(file);
  const kinds = options.weights ?? [];
  if (kinds.length > 1 && target.kind !== "folder")
    throw new LongConvError("usage", "several kinds of weights need a folder as output: each has a file of its own");
  if (kinds.length > 0 && model.metadata.has(METADATA.version)) return reweigh(terminal, model, target, kinds, options);
  checkTimeAxes(options.timeAxis, model);
  const inputs = filesOf(model);
  refuseTarget(target, inputs, force);
  const beside = await lookBeside(file);
  const trainingLength = options.trainingLength ?? beside.trainingLength?.positions;
  const { exact, order, maxState, stepFile } = options;
  if (stepFile && target.kind !== "folder")
    throw new LongConvError("usage", "--step-file needs a folder as output: the two files share their weights");
  const page = options.html === undefined ? undefined : await outputFile(options.html, { models: [file], force });
  let seen: Pick<Shown, "found" | "candidates" | "forms"> | undefined;
  const settings: ConvertOptions = {
    ...settingsOf(options),
    weights: kinds.length === 1 ? kinds[0] : undefined,
    transformersJs: target.kind === "folder",
    trainingLength,
    signal: terminal.signal,
    onProgress: ({ step, done, total }: Progress) => terminal.progress(STEPS[step], done, total),
  };
  const onPlanned = (found: Found, planned: readonly Planned[]) => {
    const solved = planned.flatMap((each) => (each.solved ? [each.solved] : []));
    if (page) seen = { found, candidates: solved, forms: solved.map(({ chosen }) => chosen) };
  };
  let answers: Checked | undefined;
  const onChecked = (given: Checked) => {
    answers = given;
  };
  const conversion = await convertModel(model, settings, undefined, { onPlanned, onChecked });
  terminal.signal.throwIfAborted();
  const stored = kinds.length > 1 ? await sideBySide(terminal, conversion.model, kinds) : undefined;
  const read = [...inputs, ...beside.copied.values()];
  terminal.progress("writing", 0, undefined);
  const written = await writeChecked(conversion.model, beside, target, {
    inputs: read,
    step: conversion.step,
    answers,
    variants: stored?.variants,
    force,
    signal: terminal.signal,
    externalData: options.externalData ?? "auto",
  });
  const asked = exact || order !== undefined || maxState !== undefined;
  if (page && seen)
    await page.write(
      await pageOf(terminal, {
        ...{ file, ...seen, states: sizedStates(conversion.layers, true) },
        tolerance: asked ? undefined : toleranceOf(options),
      }),
    );
  const weights = stored?.weights ?? (conversion.weights ? [conversion.weights] : []);
  const seconds = (performance.now() - started) / 1000;
  const from = beside.trainingLength?.from;
  const done = { file, conversion, target, written, trainingLength, from, weights, seconds };
  terminal.print(conversionReport(done));
  terminal.result(conversionJson(done));
}

/** What is passed on as it was given. */
function settingsOf(options: Options): ConvertOptions {
  const { exact, tolerance, budget, order, maxState, horizon, threads, checkTolerance } = options;
  const { stepFile, cacheCapacity, require, timeAxis, inputName, outputName } = options;
  return {
    ...{ exact, tolerance, budget, order, maxState, horizon, threads, checkTolerance },
    ...{ stepFile, cacheCapacity, require, timeAxis, inputName, outputName },
    ...(options.attentionMask ? {} : { attentionMask: false }),
    ...(options.numLogitsToKeep ? {} : { numLogitsToKeep: false }),
  };
}

const STEPS = {
  find: "finding convolutions",
  plan: "reading kernels",
  solve: "solving layers",
  assemble: "assembling the model",
  check: "checking",
  weights: "storing weights in fewer bits",
} as const;
