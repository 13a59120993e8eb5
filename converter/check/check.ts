/** The check before anything is written: original against converted, whole, token by token and cut at random places. */
import { ATTENTION_MASK, NUM_LOGITS_TO_KEEP } from "../../src/contract.ts";
import { LongConvError } from "../../src/errors.ts";
import type { Found } from "../find/find.ts";
import { precise } from "../find/graphs.ts";
import { isFailedRun } from "../find/respond.ts";
import type { Model } from "../graph/graph.ts";
import { openModel } from "../ort/run.ts";
import { hasHalves, widened, withFloatInterface } from "../ort/widen.ts";
import { type Layout, timeAxis } from "../time/facts/fact.ts";
import { larger, largestApart } from "./apart.ts";
import { byPosition, drive, outputLayouts, type Row, type Trace, withoutPadding } from "./drive.ts";
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
}

export interface CheckReport {
  readonly comparisons: readonly Comparison[];
  /** Largest relative difference of all comparisons. */
  readonly largest: number;
  /** What the relative difference may be. */
  readonly tolerance: number;
  /** What the comparison could not cover. */
  readonly note?: string | undefined;
}

export interface CheckOptions {
  /** Allowed relative difference of the outputs. */
  readonly tolerance: number;
  /** Positions up to which the forms are meant to be right; nothing is compared beyond. */
  readonly reach: number;
  /** Sum of the layers' certified relative errors, for the message. */
  readonly stateError: number;
  /** The model for one token of one sequence a call, checked as well. */
  readonly step?: Model | undefined;
  readonly onProgress?: ((done: number, total: number) => void) | undefined;
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
export async function checkConverted(found: Found, converted: Model, options: CheckOptions): Promise<CheckReport> {
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
  if (meant.some((trace) => [...trace.values()].some((rows) => rows.some((row) => row.some(Number.isNaN)))))
    throw new LongConvError(
      "check-failed",
      "the exported model's own outputs are NaN on random inputs, so nothing can be compared with them",
      { file: found.original.file || undefined },
      "Nothing was written. Look for NaN or infinity in its weights.",
    );
  const early = largestEarly(wanted);
  const comparisons: Comparison[] = [];
  const compare = async (model: Model, ways: (trial: Trial) => readonly Way[]) => {
    const runner = await openModel(await readable(found.original, model));
    try {
      for (const [i, trial] of trials.entries()) {
        const { sizes, feeds } = trial;
        for (const way of ways(trial)) {
          const cuts = cutsOf(way, sizes.time, i);
          const keep = way === "last position" ? 1 : 0;
          const padding = way === "padded" ? PADDING : 0;
          const got = await drive(model, runner, found.graphs, outputAxes, feeds, cuts, sizes.batch, keep, padding);
          const whole = meant[i]!;
          const due = keep ? lastOf(wanted[i]!) : whole;
          const shown = keep ? got : withoutPadding(found.graphs, got, outputAxes, sizes.batch);
          const apart = difference(due, shown, options.reach, early);
          comparisons.push({ batch: sizes.batch, length: sizes.time, way, ...apart });
        }
        options.onProgress?.(i + 1, trials.length);
      }
    } finally {
      await runner.close();
    }
  };
  await compare(converted, ({ ways }) => ways);
  if (options.step) await compare(options.step, ({ sizes }) => (sizes.batch === 1 ? ["step file"] : []));
  // half precision: as far from float32 as the original is, twice
  const tolerance = options.tolerance + 2 * (own ?? 0);
  const largest = comparisons.reduce((most, { relative }) => larger(most, relative), 0);
  if (!(largest <= tolerance)) throw failure(found.original.file, comparisons, tolerance, options.stateError);
  const note = own === undefined ? NOT_RUN_IN_HALVES : undefined;
  return { comparisons, largest, tolerance, ...(note && { note }) };
}

/**
 * Outputs of what was analysed for every trial: the model, or its float32 twin where it computes in half precision.
 * Undefined where it does not run at the trial's length.
 * @returns `own`: how far the model itself is from its twin; undefined where ONNX Runtime cannot run it
 */
async function runOriginal(
  found: Found,
  trials: readonly Trial[],
  outputAxes: ReadonlyMap<string, Layout>,
): Promise<{ wanted: (Trace | undefined)[]; own: number | undefined }> {
  const { model } = found.graphs;
  const exact = precise(found.graphs, model);
  const wanted = await runAll(exact, trials, outputAxes, () => true);
  if (wanted.every((trace) => trace === undefined)) throw neverRuns(found);
  if (!hasHalves(found.original)) return { wanted, own: 0 };
  try {
    const halves = await runAll(
      withFloatInterface(found.original),
      trials,
      outputAxes,
      (_, i) => wanted[i] !== undefined,
    );
    const apart = wanted.flatMap((trace, i) => (trace && halves[i] ? [difference(trace, halves[i]).relative] : []));
    return { wanted, own: apart.length > 0 ? Math.max(...apart) : undefined };
  } catch (error) {
    if (!isFailedRun(error)) throw error;
    return { wanted, own: undefined };
  }
}

const neverRuns = ({ original }: Found): LongConvError =>
  new LongConvError("runtime-failed", "ONNX Runtime runs the exported model at none of the lengths that were tried", {
    file: original.file || undefined,
  });

/** Runs a model for the trials that are chosen, where it can be run. */
async function runAll(
  model: Model,
  trials: readonly Trial[],
  outputAxes: ReadonlyMap<string, Layout>,
  isChosen: (trial: Trial, i: number) => boolean,
): Promise<(Trace | undefined)[]> {
  const runner = trials.some(isChosen) ? await openModel(model) : undefined;
  const traces: (Trace | undefined)[] = [];
  for (const [i, trial] of trials.entries()) {
    const answers =
      runner &&
      isChosen(trial, i) &&
      (await Promise.all(trial.parts.map((feeds) => runner.run(feeds))).catch((error: unknown) => {
        if (!isFailedRun(error)) throw error;
      }));
    const [first, second] = answers || [];
    const trace = first && traceOf(first, outputAxes);
    // a run that gives another number of positions than it took is none
    const isWhole =
      trace &&
      [...outputAxes].every(([name, axes]) => timeAxis(axes) < 0 || trace.get(name)!.length === trial.sizes.time);
    traces.push(!isWhole ? undefined : second ? stackTraces(trace, traceOf(second, outputAxes)) : trace);
  }
  await runner?.close();
  return traces;
}

const NOT_RUN_IN_HALVES =
  "ONNX Runtime's CPU provider does not run this model's half precision, so the comparison was made in float32";

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

/** Outputs have their batch axis first, so rows of a batch follow one another. */
const stackTraces = (a: Trace, b: Trace): Trace =>
  new Map([...a].map(([name, rows]) => [name, rows.map((row, i) => concatenated(row, b.get(name)![i]!))]));

function concatenated(a: Row, b: Row): Float64Array {
  const both = new Float64Array(a.length + b.length);
  both.set(a);
  both.set(b, a.length);
  return both;
}

const traceOf = (outputs: Record<string, Parameters<typeof byPosition>[0]>, axes: ReadonlyMap<string, Layout>): Trace =>
  new Map([...axes].map(([name, layout]) => [name, byPosition(outputs[name]!, layout)]));

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

function largestOf(rows: readonly Row[]): number {
  let largest = 0;
  for (const row of rows)
    for (const value of row) if (Number.isFinite(value)) largest = Math.max(largest, Math.abs(value));
  return largest;
}

/**
 * The largest difference of two traces, absolute and relative to the largest finite value of each output.
 * @param positions how many are compared, from the first
 * @param scales what the value of an output counts for at least
 */
export function difference(
  wanted: Trace,
  got: Trace,
  positions = Infinity,
  scales: ReadonlyMap<string, number> = new Map(),
): { relative: number; absolute: number } {
  let relative = 0;
  let absolute = 0;
  for (const [name, rows] of wanted) {
    const compared = rows.slice(0, positions);
    const largest = Math.max(largestOf(compared), scales.get(name) ?? 0);
    const worst = compared.reduce((most, row, i) => larger(most, largestApart(row, got.get(name)?.[i])), 0);
    absolute = larger(absolute, worst);
    relative = larger(relative, worst === 0 ? 0 : worst / largest);
  }
  return { relative, absolute };
}

function failure(
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
