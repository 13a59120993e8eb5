/** The pipeline: an exported model in, a recurrent one out, checked before anything is written. */

import { checkArguments } from "../src/checks.ts";
import { leastClaim, METADATA } from "../src/contract.ts";
import { LongConvError } from "../src/errors.ts";
import { named } from "../src/unforeseen.ts";
import { type AnalyseOptions, analyse } from "./analyse.ts";
import { apart } from "./apart/apart.ts";
import { assemble } from "./assemble/assemble.ts";
import { languageInputs } from "./assemble/language-inputs.ts";
import { claimsOfGraph, refuseBelowMeant, refuseShort } from "./claim.ts";
import { type CheckReport, type CompareOptions, compareWithOriginal, toleranceFor } from "./compare/compare.ts";
import { type Answers, answersOf } from "./compare/staged.ts";
import type { Conversion, ConvertOptions, Progress } from "./conversion.ts";
import { encodeModel } from "./file/encode.ts";
import { decodeModel, readModel } from "./file/read.ts";
import { type Found, missingIn, refuseUnlessConvertible } from "./find/found.ts";
import type { Model } from "./graph/graph.ts";
import { metadataFor, withMetadata } from "./metadata.ts";
import { refuseOptions } from "./options.ts";
import type { Runner } from "./ort/run.ts";
import { type Planned, plan } from "./plan.ts";
import { type LayerReport, layerReports } from "./report.ts";
import { sha256OfBytes, sha256OfFile } from "./source.ts";
import { positionsOf } from "./states/counter/counter.ts";
import { compareWeights, type WeightsReport } from "./weights/compare.ts";
import { type FewerBits, inFewerBits, type Models } from "./weights/fewer-bits.ts";

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
    checkArguments({ source: ["source", source], options: ["options", given] });
    if (given.process) return apart("convert", [source], given);
    if (typeof source === "string") return convertModel(await readModel(source), given);
    return convertModel(decodeModel(source), given, sha256OfBytes(source));
  });
}

/** What the models answered while they were checked. */
export interface Checked {
  readonly model: Answers | undefined;
  readonly step: Answers | undefined;
}

/** What only code of the project asks for. */
interface Inside {
  /** Takes what was found, and what takes its place. */
  readonly onPlanned?: ((found: Found, planned: readonly Planned[]) => void) | undefined;
  /** Takes what the models answered while they were checked, where they are what comes out. */
  readonly onChecked?: ((answers: Checked) => void) | undefined;
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
  { onPlanned, onChecked, kinds }: Inside = {},
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
    const counting = await positionsOf(found);
    const { tables, limit: positions } = counting;
    const planned = await plan(found, counting, { ...options, lengthCache: inputs.transformersJs });
    onPlanned?.(found, planned);
    const layers = layerReports(planned);
    const realisations = planned.map(({ realisation }) => realisation);
    const ofGraph = claimsOfGraph(found, positions);
    const claim = leastClaim([...layers.map((layer) => layer.claim), ...ofGraph]);
    refuseShort(claim, options.require, read.file);
    refuseBelowMeant(claim, found, layers, options);
    refuseGrowingStep(layers, options, read.file);
    say("assemble");
    const source = sha256 ?? (read.file ? await sha256OfFile(read.file) : sha256OfBytes(encodeModel(read)));
    const metadata = metadataFor(found, layers, claim, positions, source);
    const model = assemble(found, realisations, { ...inputs, path: "both", tables, metadata });
    const single = { ...inputs, attentionMask: false, numLogitsToKeep: false };
    const step = options.stepFile
      ? assemble(found, realisations, { ...single, path: "step", tables, metadata })
      : undefined;
    const fewer = options.weights && inFewerBits(found, { model, step }, options.weights);
    const stateError = planned.reduce((sum, { looseness }) => sum + looseness, 0);
    const limits = {
      tolerance: options.checkTolerance ?? toleranceFor(stateError),
      reach: Math.min(...[...planned.map((each) => each.claim), ...ofGraph].map((each) => each.positions ?? Infinity)),
      stateError,
    };
    const { check, weights, answers } = await judge(
      found,
      { model, step },
      fewer,
      limits,
      say,
      onChecked !== undefined,
    );
    options.signal?.throwIfAborted();
    onChecked?.(answers);
    const written = fewer ?? { model, step };
    const said = JSON.stringify({ ...check, ...(weights && { weights }) });
    const { language, batchAdded = false } = found;
    const { driven } = found.graphs;
    // drivers give the export's own mask and positions under the contract's names
    const renamed = new Map([...found.renamed].filter(([, to]) => to !== driven.mask && to !== driven.positions));
    const missing = missingIn(found);
    const finished = { model: withMetadata(written.model, METADATA.check, said), step: written.step };
    return { ...finished, renamed, batchAdded, language, layers, missing, claim, positions, check, weights };
  });
}

/**
 * The last look: what was made against the original, and in fewer bits against what was made. Nothing in the graphs changes after it.
 * @param isAsked whether random inputs are answered, so that files can be held against the models
 * @throws LongConvError check-failed
 */
async function judge(
  found: Found,
  made: Models,
  fewer: FewerBits | undefined,
  limits: Pick<CompareOptions, "tolerance" | "reach" | "stateError">,
  say: (step: Progress["step"], done?: number, total?: number) => void,
  isAsked: boolean,
): Promise<{ check: CheckReport; weights: WeightsReport | undefined; answers: Checked }> {
  const written = fewer ?? made;
  const answers = new Map<Model | undefined, Answers>();
  const onCompared = async (model: Model, runner: Runner) => {
    if (!isAsked || (model !== written.model && model !== written.step)) return;
    answers.set(model, await answersOf(model, Promise.resolve(runner), { isStep: model === written.step }));
  };
  const onProgress = (done: number, total: number) => say("check", done, total);
  const check = await compareWithOriginal(found, made.model, { ...limits, step: made.step, onProgress, onCompared });
  if (fewer) say("weights");
  const weights = fewer && (await compareWeights(found, made, fewer, onCompared));
  return { check, weights, answers: { model: answers.get(written.model), step: answers.get(written.step) } };
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
