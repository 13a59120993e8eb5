/** The check before anything is written: original against converted, whole, token by token and cut at random places. */
import { LongConvError } from "../../src/errors.ts";
import { uniform } from "../../src/random.ts";
import type { Found } from "../find/find.ts";
import { fixedSizes } from "../find/shapes.ts";
import type { Model } from "../onnx/graph.ts";
import { openModel } from "../onnx/run.ts";
import { makeTensor, type Tensor } from "../onnx/tensor.ts";
import { hasHalves, widened, withFloatInterface } from "../onnx/widen.ts";
import { channelCount, type Layout, type Sizes } from "../time/fact.ts";
import { byPosition, drive, type Row, type Trace } from "./drive.ts";
import { randomInputs } from "./inputs.ts";

/** One comparison. */
export interface Comparison {
  readonly batch: number;
  readonly length: number;
  /** How the converted model read the sequence. */
  readonly way: "whole" | "token by token" | "cut at random" | "step file";
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
  /** Positions up to which the forms are meant to be exact; no longer sequence is compared. */
  readonly horizon: number;
  /** The model for one token of one sequence a call, checked as well. */
  readonly step?: Model | undefined;
  readonly onProgress?: ((done: number, total: number) => void) | undefined;
}

/** Sequences that are compared: powers of two, where ORT's DFT is precise. The longest is run token by token as well. */
const LENGTHS = [1, 16, 128] as const;
const SHORTEST_DYNAMIC = 2;
/** A model that cannot run at this length is not checked at all. */
const SHORTEST_CHECKED = 16;

/**
 * Runs both models on random inputs of several lengths and batch sizes.
 * @throws LongConvError check-failed where a difference exceeds the tolerance
 */
export async function checkConverted(found: Found, converted: Model, options: CheckOptions): Promise<CheckReport> {
  const outputs = found.graphs.model.graph.outputs;
  const outputAxes = new Map(outputs.map((output) => [output.name, axesOf(found, output.name)]));
  const asked = trialsOf(found, options.horizon, outputAxes);
  const { wanted, own } = await runOriginal(found, asked, outputAxes);
  // a model with a table of positions ends where the table does: shorter trials were run
  const trials = asked.slice(0, wanted.length);
  const comparisons: Comparison[] = [];
  const compare = async (model: Model, ways: (trial: Trial) => readonly Comparison["way"][]) => {
    const runner = await openModel(await readable(found.original, model));
    try {
      for (const [i, trial] of trials.entries()) {
        const { sizes, feeds } = trial;
        for (const way of ways(trial)) {
          const cuts = cutsOf(way, sizes.time, i);
          const got = await drive(model, runner, found.graphs, outputAxes, feeds, cuts, sizes.batch);
          comparisons.push({ batch: sizes.batch, length: sizes.time, way, ...difference(wanted[i]!, got) });
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
  const largest = comparisons.reduce(
    (most, { relative }) => (relative > most || Number.isNaN(relative) ? relative : most),
    0,
  );
  if (!(largest <= tolerance)) throw failure(found.original.file, comparisons, tolerance);
  const note = own === undefined ? NOT_RUN_IN_HALVES : undefined;
  return { comparisons, largest, tolerance, ...(note && { note }) };
}

const isFailedRun = (error: unknown): boolean => error instanceof LongConvError && error.code === "runtime-failed";

/** One set of inputs, and how the converted model reads it. */
interface Trial {
  readonly sizes: Sizes;
  readonly feeds: Record<string, Tensor>;
  /** What the original reads: the same, or its parts where it has a fixed batch size. */
  readonly parts: readonly Record<string, Tensor>[];
  readonly ways: readonly Comparison["way"][];
}

/** Outputs of a trial that are kept at most. */
const LARGEST_OUTPUT = 2 ** 23;

function trialsOf(found: Found, horizon: number, outputAxes: ReadonlyMap<string, Layout>): Trial[] {
  const channels = [...outputAxes.values()].reduce((most, axes) => Math.max(most, channelCount(axes)), 1);
  const cases = casesOf(found, horizon).filter(
    ({ batch, time }, i) => i === 0 || batch === 1 || batch * time * channels <= LARGEST_OUTPUT,
  );
  const trials = cases.map((sizes, i): Trial => {
    const feeds = randomInputs(found.graphs, found.constants, sizes, 1000 + i);
    return { sizes, feeds, parts: [feeds], ways: waysOf(sizes) };
  });
  const { batch } = fixedSizes(found.graphs.inputs);
  if (batch === undefined) return trials;
  // a fixed batch size is one no more: two runs of the original against one of the converted model
  const parts = [11, 12].map((seed) => randomInputs(found.graphs, found.constants, cases[0]!, seed));
  const feeds = stackInputs(found, parts[0]!, parts[1]!);
  return [...trials, { sizes: { batch: 2 * batch, time: cases[0]!.time }, feeds, parts, ways: ["cut at random"] }];
}

/**
 * Outputs of what was analysed for every trial: the model, or its float32 twin where it computes in half precision.
 * @returns `own`: how far the model itself is from its twin; undefined where ONNX Runtime cannot run it
 */
async function runOriginal(
  found: Found,
  trials: readonly Trial[],
  outputAxes: ReadonlyMap<string, Layout>,
): Promise<{ wanted: Trace[]; own: number | undefined }> {
  const runAll = async (model: Model): Promise<Trace[]> => {
    const runner = await openModel(model);
    try {
      const traces: Trace[] = [];
      for (const { parts, sizes } of trials) {
        const answers = await Promise.all(parts.map((feeds) => runner.run(feeds))).catch((error: unknown) => {
          if (traces.length > 0 && sizes.time > SHORTEST_CHECKED && isFailedRun(error)) return undefined;
          throw error;
        });
        if (!answers) break;
        const [first, second] = [answers[0]!, answers[1]];
        const trace = traceOf(first, outputAxes);
        traces.push(second ? stackTraces(trace, traceOf(second, outputAxes)) : trace);
      }
      return traces;
    } finally {
      await runner.close();
    }
  };
  const wanted = await runAll(found.graphs.model);
  if (!hasHalves(found.original)) return { wanted, own: 0 };
  try {
    const halves = await runAll(withFloatInterface(found.original));
    return { wanted, own: Math.max(...wanted.map((trace, i) => difference(trace, halves[i]!).relative)) };
  } catch (error) {
    if (!isFailedRun(error)) throw error;
    return { wanted, own: undefined };
  }
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

function axesOf(found: Found, tensor: string): Layout {
  const fact = found.time.facts.get(tensor);
  return fact && "axes" in fact && fact.axes ? fact.axes : [];
}

/** The sizes at which both can be run. */
function casesOf(found: Found, horizon: number): Sizes[] {
  const fixed = fixedSizes(found.graphs.inputs);
  const lengths =
    fixed.time !== undefined
      ? [fixed.time]
      : LENGTHS.filter((length) => length <= horizon && length >= SHORTEST_DYNAMIC);
  const batches = fixed.batch !== undefined ? [fixed.batch] : [1, 3];
  return lengths.flatMap((time) => batches.map((batch) => ({ batch, time })));
}

/** Inputs of two runs as one batch; what has no batch axis is taken from the first. */
function stackInputs(found: Found, a: Record<string, Tensor>, b: Record<string, Tensor>): Record<string, Tensor> {
  return Object.fromEntries(
    Object.entries(a).map(([name, tensor]) => {
      if (found.graphs.inputs.layouts.get(name)![0]?.[0] !== "batch") return [name, tensor];
      const [first, second] = [tensor.data as Float32Array, b[name]!.data as Float32Array];
      const data = new (first.constructor as Float32ArrayConstructor)(first.length + second.length);
      data.set(first);
      data.set(second, first.length);
      return [name, makeTensor(tensor.type, [2 * tensor.dims[0]!, ...tensor.dims.slice(1)], data)];
    }),
  );
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

const waysOf = ({ batch }: Sizes): Comparison["way"][] =>
  batch === 1 ? ["whole", "token by token", "cut at random"] : ["whole", "cut at random"];

function cutsOf(way: Comparison["way"], length: number, seed: number): number[] {
  if (way === "whole") return [length];
  if (way === "token by token" || way === "step file") return Array.from({ length }, (_, i) => i + 1);
  const next = uniform(seed);
  const cuts: number[] = [];
  for (let at = 0; at < length; ) {
    at = Math.min(length, at + (next() < 0.3 ? 1 : 1 + Math.floor((next() * length) / 3)));
    cuts.push(at);
  }
  return cuts;
}

const traceOf = (outputs: Record<string, Parameters<typeof byPosition>[0]>, axes: ReadonlyMap<string, Layout>): Trace =>
  new Map([...axes].map(([name, layout]) => [name, byPosition(outputs[name]!, layout)]));

/** The largest difference of two traces, absolute and relative to the largest value of each output. */
export function difference(wanted: Trace, got: Trace): { relative: number; absolute: number } {
  let relative = 0;
  let absolute = 0;
  for (const [name, rows] of wanted) {
    let largest = 0;
    let worst = 0;
    for (const [i, row] of rows.entries()) {
      const other = got.get(name)?.[i];
      for (let k = 0; k < row.length; k++) {
        largest = Math.max(largest, Math.abs(row[k]!));
        const apart = Math.abs(row[k]! - (other?.[k] ?? Number.NaN));
        if (!(apart <= worst)) worst = apart;
      }
    }
    absolute = Math.max(absolute, worst);
    relative = Math.max(relative, worst === 0 ? 0 : worst / largest);
  }
  return { relative, absolute };
}

function failure(file: string, comparisons: readonly Comparison[], tolerance: number): LongConvError {
  const worst = comparisons.reduce((a, b) => (b.relative > a.relative || Number.isNaN(b.relative) ? b : a));
  return new LongConvError(
    "check-failed",
    `the converted model's outputs differ from the original's by ${worst.relative.toExponential(1)} of the largest output (batch ${worst.batch}, length ${worst.length}, ${worst.way}); ${tolerance.toExponential(0)} is allowed`,
    { file: file || undefined },
    "Nothing was written. Please open an issue with the model; `longconv-ssm inspect` shows what was found in it.",
  );
}
