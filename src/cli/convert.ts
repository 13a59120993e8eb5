/** `longconv-ssm convert MODEL -o OUT` */
import { statSync } from "node:fs";
import path from "node:path";
import type { Command } from "commander";
import { DEFAULT_TOLERANCE } from "../../converter/choose.ts";
import type { Required } from "../../converter/claim.ts";
import { type Conversion, convertModel } from "../../converter/convert.ts";
import { readModel } from "../../converter/onnx/read.ts";
import { lookBeside, modelFileOf } from "../../converter/output/beside.ts";
import { writeOutput } from "../../converter/output/output.ts";
import { filesOf, refuseTarget, type Target, targetOf } from "../../converter/output/target.ts";
import type { LayerReport } from "../../converter/report.ts";
import type { WeightsReport } from "../../converter/weights/compare.ts";
import { WEIGHT_KINDS, type WeightKind } from "../../converter/weights/weights.ts";
import { type Claim, describeClaim } from "../contract.ts";
import { LongConvError } from "../errors.ts";
import { newCommand, withAction } from "./command.ts";
import { table } from "./table.ts";
import { byteSize, scientific, type Terminal } from "./terminal.ts";
import {
  bytes,
  checkTimeAxes,
  claim,
  integer,
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
  readonly weights?: WeightKind;
  readonly stepFile?: boolean;
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
      "refuse what claims less: 'proven', or a number of positions (see docs/promise.md)",
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
    .option("--weights <kind>", "store the matrices in fewer bits: int8, int4, float16", oneOf(WEIGHT_KINDS))
    .option(
      "--step-file",
      "in a folder, also write onnx/model_step.onnx: one token a call, no control flow, for WebGPU",
    )
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
  checkTimeAxes(options.timeAxis, model);
  const inputs = filesOf(model);
  refuseTarget(target, inputs, force);
  const beside = await lookBeside(file);
  const trainingLength = options.trainingLength ?? beside.trainingLength?.positions;
  const { exact, tolerance, order, maxState, horizon, threads, checkTolerance, weights, stepFile } = options;
  if (stepFile && target.kind !== "folder")
    throw new LongConvError("usage", "--step-file needs a folder as output: the two files share their weights");
  const conversion = await convertModel(model, {
    exact,
    tolerance,
    order,
    maxState,
    horizon,
    threads,
    checkTolerance,
    weights,
    stepFile,
    trainingLength,
    require: options.require,
    timeAxis: options.timeAxis,
    inputName: options.inputName,
    outputName: options.outputName,
    signal: terminal.signal,
    ...(options.attentionMask ? {} : { attentionMask: false }),
    ...(options.numLogitsToKeep ? {} : { numLogitsToKeep: false }),
    onProgress: ({ step, done, total }) => terminal.progress(STEPS[step], done, total),
  });
  terminal.signal.throwIfAborted();
  const read = [...inputs, ...beside.copied.values()];
  terminal.progress("writing", 0, undefined);
  const written = await writeOutput(conversion.model, beside, target, {
    inputs: read,
    step: conversion.step,
    force,
    signal: terminal.signal,
    externalData: options.externalData ?? "auto",
  });
  const seconds = (performance.now() - started) / 1000;
  terminal.print(reportOf(conversion, target, sizeOf(written), trainingLength, beside.trainingLength?.from, seconds));
  terminal.result(jsonOf(file, conversion, target, trainingLength, seconds));
}

const STEPS = {
  find: "finding convolutions",
  plan: "reading kernels",
  solve: "solving layers",
  assemble: "assembling the model",
  check: "checking",
  weights: "storing weights in fewer bits",
} as const;

/** Bytes of float32 state of one sequence. */
const stateBytes = (layers: readonly LayerReport[]): number =>
  layers.reduce((sum, { order, channels }) => sum + 4 * order * channels, 0);

function reportOf(
  { layers, claim, renamed, language, check, weights }: Conversion,
  target: Target,
  bytesWritten: number,
  trainingLength: number | undefined,
  from: string | undefined,
  seconds: number,
): string {
  const heading = ["layer", "node", "operator", "form", "channels", "lags", "order", "error", "why"];
  const rows = layers.map((layer) => [
    String(layer.index),
    layer.node,
    layer.operator,
    layer.form,
    String(layer.channels),
    String(layer.lags),
    String(layer.order),
    scientific(layer.error),
    layer.because,
  ]);
  const lines = [
    ...claimLines(claim, layers, trainingLength),
    ...renamedLines(renamed, language),
    "",
    table([heading, ...rows]),
    "",
    `state     ${byteSize(stateBytes(layers))} for each sequence`,
    `check     ${check.comparisons.length} comparisons with the original; largest difference ${scientific(check.largest)} of the largest output (allowed: ${scientific(check.tolerance)})`,
    ...(from === undefined ? [] : [`trained   with ${trainingLength} positions (${path.basename(from)})`]),
    ...(weights ? [weightsLine(weights)] : []),
    `written   ${target.path} (${byteSize(bytesWritten)}) in ${seconds.toFixed(1)} s`,
  ];
  return lines.join("\n");
}

/** What has other names now, and why. */
function renamedLines(renamed: Conversion["renamed"], language: Conversion["language"]): string[] {
  return [...renamed].map(([from, to]) => {
    const isLanguage = to === language?.ids || to === language?.logits;
    const why = isLanguage
      ? `the name of a language model's ${to === language.ids ? "token ids" : "logits"}`
      : "drivers of converted models take that name for something else";
    return `renamed   ${from} → ${to}: ${why}`;
  });
}

function weightsLine({ kind, matrices, bytes: { before, after }, rms, sameArgmax }: WeightsReport): string {
  const argmax = sameArgmax === undefined ? "" : `, same first choice at ${Math.round(100 * sameArgmax)} %`;
  return `weights   ${kind} in ${matrices} matrices, ${byteSize(before)} → ${byteSize(after)}; outputs differ by ${scientific(rms)} (rms)${argmax}, on random inputs`;
}

/** What is promised of the result, what limits it, and what would lift the limit. */
function claimLines(claim: Claim, layers: readonly LayerReport[], trainingLength: number | undefined): string[] {
  const { positions = Infinity } = claim;
  const short = trainingLength !== undefined && positions < trainingLength;
  const others = layers.filter(({ claim: own }) => own.kind !== "proven" && own.node !== claim.node);
  return [
    `claim     ${describeClaim(claim)}`,
    ...(short ? [`          fewer positions than the ${trainingLength} it was trained with`] : []),
    ...others.map(({ index, claim: own }) => `          layer ${index}: ${describeClaim(own)}`),
    ...helpFor(layers, positions),
  ];
}

/** A longer horizon, where it is the horizon that limits the claim. */
function helpFor(layers: readonly LayerReport[], positions: number): string[] {
  const cut = layers.find(
    (layer) => layer.claim.kind === "ends" && layer.reach === positions && layer.lags === positions,
  );
  return cut?.extendable ? [`          --horizon ${2 * cut.lags} follows its kernel further`] : [];
}

function jsonOf(
  file: string,
  { layers, claim, renamed, language, check, weights, positions }: Conversion,
  target: Target,
  trainingLength: number | undefined,
  seconds: number,
) {
  return {
    source: file,
    output: target.path,
    kind: target.kind,
    trainingLength,
    stateBytes: stateBytes(layers),
    seconds,
    layers: layers.map(({ certificate, reduction, ...layer }) => ({
      ...layer,
      ...(certificate && { certificate: { horizon: certificate.horizon, ...certificate.layer } }),
      ...(reduction && {
        reduction: { order: reduction.order, error: reduction.error, met: reduction.met, gain: reduction.gain },
      }),
    })),
    claim,
    renamed: renamed.size > 0 ? Object.fromEntries(renamed) : undefined,
    language,
    positions,
    check,
    weights,
  };
}

/** Bytes of these files; of one that somebody has taken away since, none. */
const sizeOf = (files: readonly string[]): number =>
  files.reduce((sum, file) => sum + (statSync(file, { throwIfNoEntry: false })?.size ?? 0), 0);
