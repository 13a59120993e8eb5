/** The pipeline: an exported model in, a recurrent one out, checked before anything is written. */

import {
  type Claim,
  CONTRACT_VERSION,
  CONTRACT_VERSION_GROWING,
  type LanguageNames,
  leastClaim,
  METADATA,
  NUM_LOGITS_TO_KEEP,
} from "../src/contract.ts";
import { LongConvError } from "../src/errors.ts";
import type { ProcessOptions } from "../src/process/limits.ts";
import { named } from "../src/unforeseen.ts";
import { type AnalyseOptions, analyse } from "./analyse.ts";
import { apart } from "./apart/apart.ts";
import { assemble } from "./assemble/assemble.ts";
import { canKeepLast } from "./assemble/last-positions.ts";
import { type PositionLimit, positionLimit } from "./assemble/limit.ts";
import { evaluatePositionTables } from "./assemble/position-tables.ts";
import type { ChooseOptions } from "./choose/options.ts";
import { claimsOfGraph, type Required, refuseShort } from "./claim.ts";
import { type CheckReport, compareWithOriginal, toleranceFor } from "./compare/compare.ts";
import { encodeModel } from "./file/encode.ts";
import { decodeModel, readModel } from "./file/read.ts";
import { type Found, isConvertible, refusalError } from "./find/find.ts";
import { tokenInput } from "./find/language.ts";
import { type Model, whereOf } from "./graph/graph.ts";
import { refuseOptions } from "./options.ts";
import { type Planned, plan } from "./plan.ts";
import { type LayerReport, layerReports, metadataOf } from "./report.ts";
import { sha256OfBytes, sha256OfFile } from "./source.ts";
import { CONVERTER_VERSION } from "./version.ts";
import { compareWeights, type WeightsReport } from "./weights/compare.ts";
import { shareTied } from "./weights/tied.ts";
import { matrixNames } from "./weights/uses.ts";
import { reduceWeights, type WeightCache, type WeightKind } from "./weights/weights.ts";

export interface ConvertOptions extends ChooseOptions {
  /** Time axis of an input by name, where axis 1 of the first input is wrong. */
  readonly timeAxis?: Readonly<Record<string, number>> | undefined;
  /** Name of a language model's token ids in the result. Default: `input_ids`, which drivers look for. */
  readonly inputName?: string | undefined;
  /** Name of a language model's logits in the result. Default: `logits`. */
  readonly outputName?: string | undefined;
  /** Add the input `attention_mask`. Default: for models of token ids. */
  readonly attentionMask?: boolean | undefined;
  /** Add the input `num_logits_to_keep`. Default: for models of token ids with one output that has a time axis. */
  readonly numLogitsToKeep?: boolean | undefined;
  /** Make a second model for one token of one sequence a call: static shapes, no control flow. For GPUs. Default false. */
  readonly stepFile?: boolean | undefined;
  /** Positions that an attention holds, in states of one size, where its cache would grow; the model ends there. Default: it grows. */
  readonly cacheCapacity?: number | undefined;
  /**
   * Relative difference of the outputs that the check allows. Default: 1e-4, and with compact or diagonal states 30 times the sum of
   * the layers' certified relative errors more, up to 0.1.
   */
  readonly checkTolerance?: number | undefined;
  /** What must be claimed of the result: `proven`, or a number of positions; less is refused. Default: nothing. */
  readonly require?: Required | undefined;
  /** Store the matrices in fewer bits. Default: as they are. */
  readonly weights?: WeightKind | undefined;
  readonly onProgress?: ((progress: Progress) => void) | undefined;
  /** Stops between two steps of the work once it is aborted; its reason is thrown. */
  readonly signal?: AbortSignal | undefined;
  /**
   * Do the work in a process of its own: for models that are not trusted. It may be limited and stopped, also while ONNX
   * Runtime computes; should ONNX Runtime crash on the model, only that process ends. Default: in this one.
   */
  readonly process?: ProcessOptions | undefined;
}

/** What is being done, for a progress bar. */
export interface Progress {
  readonly step: "find" | "plan" | "solve" | "assemble" | "check" | "weights";
  readonly done: number;
  /** Undefined where it is not known yet. */
  readonly total: number | undefined;
}

export interface Conversion {
  /** The converted model, in memory. */
  readonly model: Model;
  /** The same for one token of one sequence, where `stepFile` asks for it; its states have the same names. */
  readonly step: Model | undefined;
  /** One for every convolution, and one for the counter of a model that meets the absolute position. */
  readonly layers: readonly LayerReport[];
  /** Inputs and outputs that have other names now: a language model's ids and logits, and what drivers would take for something else. */
  readonly renamed: ReadonlyMap<string, string>;
  /** The export is of one sequence: every input and output of the converted model has a batch in front, which it lacks. */
  readonly batchAdded: boolean;
  /** Names of a language model's ids and logits; undefined for any other model. */
  readonly language: LanguageNames | undefined;
  /** How far the model is known to be right: the least of its layers' claims. */
  readonly claim: Claim;
  /** Where the model ends: at the end of the shortest table of positions; undefined where it reads any number of them. */
  readonly positions: PositionLimit | undefined;
  /** Of the model before its weights were stored in fewer bits. */
  readonly check: CheckReport;
  /** What fewer bits changed, where `weights` asks for them. */
  readonly weights: WeightsReport | undefined;
}

/**
 * Converts an exported model: finds its long convolutions, solves each for a recurrence, swaps them, and compares the
 * result with the original.
 *
 *     const { model, layers, check } = await convert("model.onnx", { horizon: 512 });
 *     await writeModel(model, "converted.onnx");
 *
 * @param source path of a .onnx file, or the bytes of one that has no external data
 * @throws LongConvError with the node and the reason where the model cannot run token by token (see ERROR_EXIT_CODES);
 * the reason of `signal` once it is aborted; with `process` also memory-exceeded, time-exceeded, and runtime-failed for a crash
 */
export async function convert(source: string | Uint8Array, given: ConvertOptions = {}): Promise<Conversion> {
  return named(typeof source === "string" ? source : undefined, async () => {
    if (given.process) return apart("convert", [source], given);
    if (typeof source === "string") return convertModel(await readModel(source), given);
    return convertModel(decodeModel(source), given, sha256OfBytes(source));
  });
}

/** What only code of the project asks for. */
interface Inside {
  /** Takes what was found, and what takes its place. */
  readonly onPlanned?: ((found: Found, planned: readonly Planned[]) => void) | undefined;
  /** Kinds of state beside those that are known. */
  readonly kinds?: AnalyseOptions["kinds"];
}

/**
 * {@link convert} for a model that was read, or made in memory.
 * @param sha256 of the bytes that it was decoded from; default: of its file, else of the bytes that it would be
 * @throws LongConvError as {@link convert}
 */
export async function convertModel(
  read: Model,
  given: ConvertOptions = {},
  sha256?: string,
  { onPlanned, kinds }: Inside = {},
): Promise<Conversion> {
  return named(read.file, async () => {
    refuseOptions(given);
    const options = {
      ...given,
      onProgress: (progress: Progress) => {
        given.signal?.throwIfAborted();
        given.onProgress?.(progress);
      },
    };
    const say = (step: Progress["step"], done = 0, total?: number) => options.onProgress({ step, done, total });
    say("find");
    const found = await analyse(read, {
      timeAxis: options.timeAxis,
      inputName: options.inputName,
      outputName: options.outputName,
      kinds,
      onProgress: (done) => say("find", done),
    });
    refuseUnlessConvertible(found);
    const inputs = languageInputs(found, options);
    say("plan");
    const tables = await evaluatePositionTables(found);
    const positions = positionLimit(found, tables);
    const planned = await plan(found, options);
    onPlanned?.(found, planned);
    const layers = layerReports(found, planned, positions, tables);
    const realisations = planned.map(({ realisation }) => realisation);
    const ofGraph = claimsOfGraph(found, positions);
    const claim = leastClaim([...layers.map((layer) => layer.claim), ...ofGraph]);
    refuseShort(claim, options.require, read.file);
    refuseGrowingStep(layers, options, read.file);
    say("assemble");
    const metadata = new Map([
      [METADATA.version, layers.some(({ form }) => form === "cache") ? CONTRACT_VERSION_GROWING : CONTRACT_VERSION],
      [METADATA.converter, CONVERTER_VERSION],
      [METADATA.sourceSha256, sha256 ?? (read.file ? await sha256OfFile(read.file) : sha256OfBytes(encodeModel(read)))],
      [METADATA.layers, JSON.stringify(layers.map(metadataOf))],
      [METADATA.claim, JSON.stringify(claim)],
      [METADATA.matrices, JSON.stringify(matrixNames(found.original.graph))],
      ...(found.language ? [[METADATA.language, `${found.language.ids}\n${found.language.logits}`] as const] : []),
      ...(positions ? [[METADATA.positions, String(positions.positions)] as const] : []),
    ]);
    const converted = shareTied(assemble(found, realisations, { ...inputs, path: "both", tables, metadata }));
    const single = { attentionMask: false, numLogitsToKeep: false };
    const step = options.stepFile
      ? shareTied(assemble(found, realisations, { ...single, path: "step", tables, metadata }))
      : undefined;
    const stateError = planned.reduce((sum, { looseness }) => sum + looseness, 0);
    const check = await compareWithOriginal(found, converted, {
      tolerance: options.checkTolerance ?? toleranceFor(stateError),
      reach: Math.min(...[...planned.map((each) => each.claim), ...ofGraph].map((each) => each.positions ?? Infinity)),
      stateError,
      step,
      onProgress: (done, total) => say("check", done, total),
    });
    options.signal?.throwIfAborted();
    if (options.weights) say("weights");
    const written = await inFewerBits(found, { model: converted, step }, options.weights);
    const said = { ...check, ...(written.weights && { weights: written.weights }) };
    const finished = withMetadata(written.model, METADATA.check, JSON.stringify(said));
    const { renamed, language, batchAdded = false } = found;
    return { ...written, model: finished, renamed, batchAdded, language, layers, claim, positions, check };
  });
}

/** Both models with their weights stored in fewer bits, compared with what they were. */
async function inFewerBits(
  found: Found,
  { model, step }: Pick<Conversion, "model" | "step">,
  kind: WeightKind | undefined,
): Promise<Pick<Conversion, "model" | "step" | "weights">> {
  if (!kind) return { model, step, weights: undefined };
  const source = new Set(found.original.graph.initializers.keys());
  const cache: WeightCache = new Map();
  const reduced = reduceWeights(model, kind, source, cache);
  const weights = await compareWeights(found, model, kind, reduced);
  return { model: reduced.model, step: step && reduceWeights(step, kind, source, cache).model, weights };
}

/** @throws LongConvError usage where a file of static shapes is asked for and a state grows */
function refuseGrowingStep(layers: readonly LayerReport[], { stepFile }: ConvertOptions, file: string): void {
  const cache = layers.find(({ form }) => form === "cache");
  if (!stepFile || !cache) return;
  throw new LongConvError(
    "usage",
    `a file for one token has static shapes, and rows of keys and values grow with the sequence`,
    { file: file || undefined, node: cache.node, operator: cache.operator },
    "Convert without it, or with `cacheCapacity`, which holds so many positions.",
  );
}

/** @throws LongConvError the first refusal; no-long-convolution where there is nothing to convert */
function refuseUnlessConvertible(found: Found): void {
  const { model } = found.graphs;
  if (found.refusals.length > 0) throw refusalError(model, found.refusals);
  if (!isConvertible(found))
    throw new LongConvError(
      "no-long-convolution",
      "nothing that carries a state was found: every operator works position by position",
      { file: model.file || undefined },
      "Such a model needs no state; run it as it is.",
    );
}

/**
 * Inputs that drivers of language models know; other models keep to their own.
 * @throws LongConvError usage where the last logits are asked for of an output that has no time axis
 */
function languageInputs(found: Found, options: ConvertOptions): { attentionMask: boolean; numLogitsToKeep: boolean } {
  const { outputs } = found.original.graph;
  const tokens = found.language !== undefined || tokenInput(found.original.graph) !== undefined;
  if (options.attentionMask === false && found.graphs.driven.mask !== undefined)
    throw new LongConvError(
      "usage",
      "the model takes an attention_mask of its own, which cannot be left out",
      { file: found.original.file || undefined },
      "Convert with attention_mask.",
    );
  const seeing = found.kept.find(({ seesPadding }) => seesPadding);
  const hides = seeing === undefined || found.graphs.driven.mask !== undefined;
  if (options.attentionMask && !hides)
    throw new LongConvError(
      "usage",
      "attention_mask is asked for, and padding cannot be hidden here: what it reads depends on the place itself",
      whereOf(found.graphs.model, seeing!.opening),
      "Convert without attention_mask.",
    );
  const cuttable = canKeepLast(found);
  if (options.numLogitsToKeep && !cuttable)
    throw new LongConvError(
      "usage",
      `${NUM_LOGITS_TO_KEEP} is asked for, but output '${outputs[0]!.name}' has no time axis to keep the last positions of`,
      { file: found.original.file || undefined },
    );
  return {
    attentionMask: options.attentionMask ?? (tokens && hides),
    numLogitsToKeep: options.numLogitsToKeep ?? (tokens && outputs.length === 1 && cuttable),
  };
}

const withMetadata = (model: Model, key: string, value: string): Model => ({
  ...model,
  metadata: new Map([...model.metadata, [key, value]]),
});
