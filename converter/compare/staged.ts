/** The last look at a file before it takes its place: opened where it lies, it answers as the model that was checked. */
import { LongConvError } from "../../src/errors.ts";
import type { Model } from "../graph/graph.ts";
import { DataType, int64Tensor, type Tensor, toNumbers } from "../graph/tensor.ts";
import { openFile, openModel } from "../ort/run.ts";
import { isFailedRun } from "../parts/open-region.ts";
import { difference } from "./differences.ts";
import { type Pass, randomPasses, traceOf } from "./rerun.ts";

const [FIRST, MORE, SEED] = [9, 3, 41];
/** Matrices that are mapped are not packed, so that sums are made in another order. */
const ALLOWED = 1e-5;

/** A file that is not in its place yet. */
export interface Staged {
  /** Where it lies. */
  readonly file: string;
  /** What was written to it: the model that was checked, or that model in the dress of a driver. */
  readonly written: Model;
  /** One token a call alone. */
  readonly isStep?: boolean;
}

/**
 * Runs the file and the model that was checked on the same random inputs.
 * @throws LongConvError check-failed where they differ; runtime-failed where ONNX Runtime does not open the file
 */
export async function refuseOther(checked: Model, { file, written, isStep = false }: Staged): Promise<void> {
  const passes = randomPasses(checked, isStep ? 1 : FIRST, MORE, SEED);
  const wanted = await traceOf(checked.graph, openModel(checked), passes).catch((error: unknown) => {
    if (!isFailedRun(error)) throw error;
  });
  // the CPU provider has no kernels for it (bfloat16), or random inputs mean nothing to it
  if (!wanted || [...wanted.values()].some((rows) => rows.some((row) => row.some(Number.isNaN)))) return;
  const got = await traceOf(
    written.graph,
    openFile(file),
    passes.map((pass) => inTypesOf(written, pass)),
  );
  const { relative } = difference(wanted, got);
  if (relative <= ALLOWED) return;
  throw new LongConvError(
    "check-failed",
    `the file that was written differs from the model that was checked by ${relative.toExponential(1)} of the largest output`,
    { file: checked.file || undefined },
    "Nothing was replaced. Please open an issue with the model.",
  );
}

/** Ids as the file takes them: a driver may have made them int64. */
function inTypesOf({ graph }: Model, { length, inputs }: Pass): Pass {
  const types = new Map(graph.inputs.map(({ name, type }) => [name, type]));
  const asTaken = ([name, tensor]: [string, Tensor]): [string, Tensor] =>
    tensor.type === DataType.INT32 && types.get(name) === DataType.INT64
      ? [name, int64Tensor(tensor.dims, toNumbers(tensor))]
      : [name, tensor];
  return { length, inputs: Object.fromEntries(Object.entries(inputs).map(asTaken)) };
}
