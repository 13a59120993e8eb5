/** What the original answers in the trials of the check. */
import { LongConvError } from "../../src/errors.ts";
import type { Found } from "../find/found.ts";
import type { Model } from "../graph/graph.ts";
import { DataType } from "../graph/tensor.ts";
import { openModel } from "../ort/run.ts";
import { hasHalves, withFloatInterface } from "../ort/widen.ts";
import { precise } from "../parts/graphs.ts";
import { isFailedRun } from "../parts/open-region.ts";
import { type Layout, timeAxis } from "../time/facts/fact.ts";
import { difference } from "./differences.ts";
import { byPosition, exportedRows, type Row, type Trace } from "./drive.ts";
import type { Trial } from "./trials.ts";

/**
 * Outputs of what was analysed for every trial: the model, or its float32 twin where it computes in half precision.
 * Undefined where it does not run at the trial's length.
 * @returns `own`: how far the model itself is from its twin, two roundings at least; undefined where ONNX Runtime cannot run it
 */
export async function runOriginal(
  found: Found,
  trials: readonly Trial[],
  outputAxes: ReadonlyMap<string, Layout>,
): Promise<{ wanted: (Trace | undefined)[]; own: number | undefined }> {
  const { model } = found.graphs;
  const exact = precise(found.graphs, model);
  const wanted = await runAll(found, exact, trials, outputAxes, () => true);
  if (wanted.every((trace) => trace === undefined)) throw neverRuns(found);
  if (!hasHalves(found.original)) return { wanted, own: 0 };
  try {
    const halves = await runAll(
      found,
      withFloatInterface(found.original),
      trials,
      outputAxes,
      (_, i) => wanted[i] !== undefined,
    );
    const apart = wanted.flatMap((trace, i) => (trace && halves[i] ? [difference(trace, halves[i]).relative] : []));
    return { wanted, own: apart.length > 0 ? Math.max(roundingOf(found.original), ...apart) : undefined };
  } catch (error) {
    if (!isFailedRun(error)) throw error;
    return { wanted, own: undefined };
  }
}

/**
 * Two roundings of a model's half precision. ONNX Runtime's CPU provider computes in float32 what it has no kernels for, and leaves out
 * the roundings in between; those of rows that are carried remain.
 */
function roundingOf({ graph }: Model): number {
  const types = [...[...graph.initializers.values()].map(({ type }) => type), ...graph.inputs.map(({ type }) => type)];
  return types.includes(DataType.BFLOAT16) ? 2 ** -7 : 2 ** -10;
}

const neverRuns = ({ original }: Found): LongConvError =>
  new LongConvError("runtime-failed", "ONNX Runtime runs the exported model at none of the lengths that were tried", {
    file: original.file || undefined,
  });

/** Runs a model for the trials that are chosen, where it can be run. */
export async function runAll(
  found: Pick<Found, "lacking">,
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
    // a run that gives another number of positions than those that it took are worth is none
    const isWhole =
      trace &&
      [...outputAxes].every(
        ([name, axes]) => timeAxis(axes) < 0 || trace.get(name)!.length === exportedRows(found, name, trial.sizes.time),
      );
    traces.push(!isWhole ? undefined : second ? stackTraces(trace, traceOf(second, outputAxes)) : trace);
  }
  await runner?.close();
  return traces;
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
