/** The check before anything is written: original against converted, whole, token by token and cut at random places. */
import { ATTENTION_MASK, NUM_LOGITS_TO_KEEP } from "../../src/contract.ts";
import { LongConvError } from "../../src/errors.ts";
import type { Found } from "../find/found.ts";
import type { Model } from "../graph/graph.ts";
import { openModel, type Runner } from "../ort/run.ts";
import { hasHalves, widened, withFloatInterface } from "../ort/widen.ts";
import { isFailedRun } from "../parts/open-region.ts";
import { aloneOf } from "./alone.ts";
import { difference, hasNaN, larger, largestOf } from "./differences.ts";
import { asExported, drive, outputLayouts, type Trace, withoutPadding } from "./drive.ts";
import { runOriginal } from "./original.ts";
import { withExactSums } from "./sums.ts";
import { cutsOf, PADDING, type Trial, trialsOf, type Way } from "./trials.ts";

/** One comparison. */
export interface Comparison {
  readonly batch: number;
  readonly length: number;
  readonly way: Way;
  /** Largest |difference| over largest |output|. */
  readonly relative: number;
  /** Largest |difference|. */
  readonly absolute: number;
  /** By how much rounding of running sums moves the outputs, relative, where both models were compared with sums in float64. */
  readonly rounding?: number;
}

export interface CheckReport {
  readonly comparisons: readonly Comparison[];
  /** Largest relative difference of all comparisons. */
  readonly largest: number;
  /** What the relative difference may be. */
  readonly tolerance: number;
  /** What the comparison could not cover, or covered in wider numbers. */
  readonly note?: string | undefined;
}

export interface CompareOptions {
  /** Allowed relative difference of the outputs. */
  readonly tolerance: number;
  /** Positions up to which the forms are meant to be right; nothing is compared beyond. */
  readonly reach: number;
  /** Sum of the layers' certified relative errors, for the message. */
  readonly stateError: number;
  /** The model for one token of one sequence a call, checked as well. */
  readonly step?: Model | undefined;
  readonly onProgress?: ((done: number, total: number) => void) | undefined;
  /** Is given each model once it was compared, its session still open; not a model that can only be run in wider numbers. */
  readonly onCompared?: ((model: Model, runner: Runner) => Promise<void>) | undefined;
}

/** What outputs may differ by for each part of the kernels' error, and at most: beyond, a mistake would not be told from it. */
const PER_STATE_ERROR = 30;
const MOST_ALLOWED = 0.1;
const LEAST_ALLOWED = 1e-4;
/** The tolerance of the check for the layers' certified relative errors. */
export const toleranceFor = (stateError: number): number =>
  Math.min(MOST_ALLOWED, LEAST_ALLOWED + PER_STATE_ERROR * stateError);

/**
 * Runs both models on random inputs of several lengths and batch sizes.
 * @throws LongConvError check-failed where a difference exceeds the tolerance
 */
export async function compareWithOriginal(
  found: Found,
  converted: Model,
  options: CompareOptions,
): Promise<CheckReport> {
  const outputAxes = outputLayouts(found);
  const has = (input: string) => converted.graph.inputs.some(({ name }) => name === input);
  const takes = {
    keeps: has(NUM_LOGITS_TO_KEEP),
    masks: has(ATTENTION_MASK) && found.graphs.driven.mask === undefined,
  };
  const asked = trialsOf(found, options.reach, outputAxes, takes);
  options.onProgress?.(0, asked.length);
  const { wanted: traces, own } = await runOriginal(found, asked, outputAxes);
  // a graph takes some lengths only: not beyond its tables, not below its reach
  const trials = asked.filter((_, i) => traces[i]);
  const wanted = traces.filter((trace) => trace !== undefined);
  // what stands at padding means nothing
  const meant = wanted.map((trace, i) => withoutPadding(found.graphs, trace, outputAxes, trials[i]!.sizes.batch));
  if (meant.some(hasNaN))
    throw new LongConvError(
      "check-failed",
      "the exported model's own outputs are NaN on random inputs, so nothing can be compared with them",
      { file: found.original.file || undefined },
      "Nothing was written. Look for NaN or infinity in its weights.",
    );
  const early = largestEarly(wanted);
  // half precision: as far from float32 as the original is, twice
  const tolerance = options.tolerance + 2 * (own ?? 0);
  const apart = (due: Trace, got: Trace) => difference(due, got, options.reach, early);
  const comparisons: Comparison[] = [];
  let moved = false;
  /** Where padding changes what the original gives, what it gives each row alone. */
  const withoutOthers = async (trial: Trial, got: Trace, wantedOf: (trace: Trace) => Trace) => {
    const trace = await aloneOf(found, trial, outputAxes);
    const alone = trace && apart(wantedOf(trace), got);
    if (!alone || alone.relative > tolerance) return undefined;
    moved = true;
    return alone;
  };
  const compare = async (model: Model, ways: (trial: Trial) => readonly Way[]) => {
    const readableModel = await readable(found.original, model);
    const runner = await openModel(readableModel);
    try {
      for (const [i, trial] of trials.entries()) {
        const { sizes, feeds } = trial;
        for (const way of ways(trial)) {
          const cuts = cutsOf(way, sizes.time, i);
          const keep = way === "last position" ? 1 : 0;
          const padding = way === "padded" ? PADDING : 0;
          const seen = (trace: Trace) => (keep ? trace : withoutPadding(found.graphs, trace, outputAxes, sizes.batch));
          const answer = async (run: Runner) =>
            seen(
              asExported(
                found,
                await drive(model, run, found.graphs, outputAxes, feeds, cuts, sizes.batch, keep, padding),
              ),
            );
          const wantedOf = (trace: Trace) => (keep ? lastOf(trace) : seen(trace));
          const [due, got] = [keep ? lastOf(wanted[i]!) : meant[i]!, await answer(runner)];
          const plain = apart(due, got);
          const exact =
            plain.relative > tolerance &&
            ((await withoutOthers(trial, got, wantedOf)) ||
              (await withExactSums(found, trial, outputAxes, readableModel, {
                due,
                got,
                tolerance,
                apart,
                answer,
                wantedOf,
              })));
          comparisons.push({ batch: sizes.batch, length: sizes.time, way, ...(exact || plain) });
        }
        options.onProgress?.(i + 1, trials.length);
      }
      if (readableModel === model) await options.onCompared?.(model, runner);
    } finally {
      await runner.close();
    }
  };
  await compare(converted, ({ ways }) => ways);
  if (options.step) await compare(options.step, ({ sizes }) => (sizes.batch === 1 ? ["step file"] : []));
  const largest = comparisons.reduce((most, { relative }) => larger(most, relative), 0);
  if (!(largest <= tolerance)) throw refusal(found.original.file, comparisons, tolerance, options.stateError);
  const note = own === undefined ? NOT_RUN_IN_HALVES : (roundingNote(comparisons) ?? (moved ? PLACES : undefined));
  return { comparisons, largest, tolerance, ...(note && { note }) };
}

const NOT_RUN_IN_HALVES =
  "ONNX Runtime's CPU provider does not run this model's half precision, so the comparison was made in float32";

const PLACES =
  "the export gives a row with padding in front the places of the whole row, so padded rows were compared with what it gives each alone";

/** Where sums were compared in float64, what rounding is in float32. */
function roundingNote(comparisons: readonly Comparison[]): string | undefined {
  const rounding = Math.max(0, ...comparisons.map((each) => each.rounding ?? 0));
  if (rounding === 0) return undefined;
  return `rounding of running sums in float32 is ${rounding.toExponential(1)} of the largest output, so they were compared in float64`;
}

/**
 * The converted model as it can be fed and read: in half precision with a float32 interface; where ONNX Runtime has no
 * kernels for it (bfloat16 on the CPU), its float32 twin.
 */
async function readable(original: Model, converted: Model): Promise<Model> {
  if (!hasHalves(original)) return converted;
  const model = withFloatInterface(converted);
  try {
    await (await openModel(model)).close();
    return model;
  } catch (error) {
    if (!isFailedRun(error)) throw error;
    return widened(converted);
  }
}

/** The last row of every output. */
const lastOf = (trace: Trace): Trace => new Map([...trace].map(([name, rows]) => [name, rows.slice(-1)]));

/** Positions over which the scale of an output is taken at least: a kernel that begins with 0 answers one token with 0. */
const EARLY = 16;

/** The largest finite value of every output at the first positions of all traces. */
const largestEarly = (traces: readonly Trace[]): ReadonlyMap<string, number> =>
  new Map(
    [...traces[0]!.keys()].map((name) => [
      name,
      Math.max(...traces.map((t) => largestOf(t.get(name)!.slice(0, EARLY)))),
    ]),
  );

function refusal(
  file: string,
  comparisons: readonly Comparison[],
  tolerance: number,
  stateError: number,
): LongConvError {
  const worst = comparisons.reduce((a, b) => (b.relative > a.relative || Number.isNaN(b.relative) ? b : a));
  const expected = worst.relative <= PER_STATE_ERROR * stateError;
  return new LongConvError(
    "check-failed",
    `the converted model's outputs differ from the original's by ${worst.relative.toExponential(1)} of the largest output (batch ${worst.batch}, length ${worst.length}, ${worst.way}); ${tolerance.toExponential(0)} is allowed`,
    { file: file || undefined },
    expected
      ? `Nothing was written. States as small as were asked for leave ${stateError.toExponential(1)} of the kernels: ask for larger ones, or allow the difference with a check tolerance.`
      : "Nothing was written. Please open an issue with the model; `longconv-ssm inspect` shows what was found in it.",
  );
}
