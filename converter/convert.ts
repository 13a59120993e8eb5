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
import { compareWithOriginal, toleranceFor } from "./compare/compare.ts";
import { type Answers, answersOf } from "./compare/staged.ts";
import type { Conversion, ConvertOptions, Progress } from "./conversion.ts";
import { encodeModel } from "./file/encode.ts";
import { decodeModel, readModel } from "./file/read.ts";
import { type Found, missingIn, refuseUnlessConvertible } from "./find/found.ts";
import type { Model } from "./graph/graph.ts";
import { metadataFor, withMetadata } from "./metadata.ts";
import { refuseOptions } from "./options.ts";
import { type Planned, plan } from "./plan.ts";
import { type LayerReport, layerReports } from "./report.ts";
import { sha256OfBytes, sha256OfFile } from "./source.ts";
import { positionsOf } from "./states/counter/counter.ts";
import { inFewerBits } from "./weights/fewer-bits.ts";

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
    const planned = await plan(found, counting, options);
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
    const converted = assemble(found, realisations, { ...inputs, path: "both", tables, metadata });
    const single = { attentionMask: false, numLogitsToKeep: false };
    const step = options.stepFile
      ? assemble(found, realisations, { ...single, path: "step", tables, metadata })
      : undefined;
    const stateError = planned.reduce((sum, { looseness }) => sum + looseness, 0);
    const answers = new Map<Model | undefined, Answers>();
    const check = await compareWithOriginal(found, converted, {
      onCompared: async (model, runner) => {
        if (onChecked) answers.set(model, await answersOf(model, Promise.resolve(runner), model === step));
      },
      tolerance: options.checkTolerance ?? toleranceFor(stateError),
      reach: Math.min(...[...planned.map((each) => each.claim), ...ofGraph].map((each) => each.positions ?? Infinity)),
      stateError,
      step,
      onProgress: (done, total) => say("check", done, total),
    });
    options.signal?.throwIfAborted();
    if (options.weights) say("weights");
    else onChecked?.({ model: answers.get(converted), step: step && answers.get(step) });
    const written = await inFewerBits(found, { model: converted, step }, options.weights);
    const said = { ...check, ...(written.weights && { weights: written.weights }) };
    const finished = withMetadata(written.model, METADATA.check, JSON.stringify(said));
    const { language, batchAdded = false } = found;
    const { driven } = found.graphs;
    // drivers give the export's own mask and positions under the contract's names
    const renamed = new Map([...found.renamed].filter(([, to]) => to !== driven.mask && to !== driven.positions));
    const missing = missingIn(found);
    return { ...written, model: finished, renamed, batchAdded, language, layers, missing, claim, positions, check };
  });
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
