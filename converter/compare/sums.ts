/**
 * Running sums of float32 in the check. ONNX Runtime adds one number after the other, so that rounding grows with the length,
 * while a converted model begins anew in each call; what stands behind may enlarge that. With sums in float64 neither rounds so.
 */
import type { Found } from "../find/found.ts";
import type { Model } from "../graph/graph.ts";
import { DataType } from "../graph/tensor.ts";
import { withPreciseSums } from "../ort/precise.ts";
import { openModel, type Runner } from "../ort/run.ts";
import { floatTypeOf } from "../ort/widen.ts";
import { precise, typeIn } from "../parts/graphs.ts";
import { isFailedRun } from "../parts/open-region.ts";
import type { Layout } from "../time/facts/fact.ts";
import { larger } from "./differences.ts";
import type { Trace } from "./drive.ts";
import { runAll } from "./original.ts";
import type { Trial } from "./trials.ts";

/** What rounding of running sums may be; beyond, a mistake would not be told from it. */
const MOST_ROUNDING = 5e-3;

interface Apart {
  readonly relative: number;
  readonly absolute: number;
}

/** A comparison that failed, and how it is made. */
export interface Compared {
  readonly due: Trace;
  readonly got: Trace;
  readonly tolerance: number;
  apart(due: Trace, got: Trace): Apart;
  /** What the converted model answers in this way. */
  answer(run: Runner): Promise<Trace>;
  /** What is due of the original's outputs. */
  wantedOf(trace: Trace): Trace;
}

/**
 * The comparison with the running sums of both models in float64, and by how much that moves either.
 * @returns undefined where there are no such sums, or they do not explain the difference
 */
export async function withExactSums(
  { graphs, lacking }: Found,
  trial: Trial,
  outputAxes: ReadonlyMap<string, Layout>,
  converted: Model,
  { due, got, tolerance, apart, answer, wantedOf }: Compared,
): Promise<(Apart & { readonly rounding: number }) | undefined> {
  const original = withPreciseSums(graphs.model, (tensor) => typeIn(graphs, tensor) === DataType.FLOAT);
  if (original === graphs.model) return undefined;
  const [whole] = await runAll({ lacking }, precise(graphs, original), [trial], outputAxes, () => true);
  const ours = withPreciseSums(converted, (tensor) => floatTypeOf(converted, tensor) === DataType.FLOAT);
  const answered = whole && (await answerOf(ours, answer));
  if (!whole || !answered) return undefined;
  const exact = wantedOf(whole);
  const rounding = larger(apart(exact, due).relative, apart(answered, got).relative);
  const difference = apart(exact, answered);
  return difference.relative <= tolerance && rounding <= MOST_ROUNDING ? { ...difference, rounding } : undefined;
}

async function answerOf(model: Model, answer: Compared["answer"]): Promise<Trace | undefined> {
  const runner = await openModel(model).catch((error: unknown) => {
    if (!isFailedRun(error)) throw error;
  });
  if (!runner) return undefined;
  try {
    return await answer(runner);
  } finally {
    await runner.close();
  }
}
