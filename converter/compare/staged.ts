/** The last look at a file before it takes its place: opened where it lies, it answers as the model that was checked. */
import { LongConvError } from "../../src/errors.ts";
import type { Model } from "../graph/graph.ts";
import { idsAs } from "../graph/integers.ts";
import { openFile, openModel, type Runner } from "../ort/run.ts";
import { isFailedRun } from "../parts/open-region.ts";
import { difference, hasNaN } from "./differences.ts";
import type { Trace } from "./drive.ts";
import { type Pass, randomPasses, traceOf } from "./rerun.ts";

const [FIRST, MORE, SEED] = [9, 3, 41];
/** Matrices that are mapped are not packed, so that sums are made in another order: as much as the check allows for that. */
const ALLOWED = 1e-4;

/** What a model that was checked answers random inputs. */
export interface Answers {
  readonly passes: readonly Pass[];
  /** Undefined where the CPU provider has no kernels for it (bfloat16), or random inputs mean nothing to it. */
  readonly trace: Trace | undefined;
}

/** What a model can be asked. */
export interface Asking {
  /** One token a call alone. */
  readonly isStep?: boolean | undefined;
  /** The logits of the last position of each call alone. */
  readonly lastAlone?: boolean | undefined;
}

/** Asks a model whose session is open. */
export async function answersOf(
  model: Model,
  opening: Promise<Runner>,
  { isStep, lastAlone }: Asking,
): Promise<Answers> {
  const passes = randomPasses(model, isStep ? 1 : FIRST, MORE, SEED);
  const trace = await opening
    .then((runner) => traceOf(model.graph, runner, passes, lastAlone ? 1 : 0))
    .catch((error: unknown) => {
      if (!isFailedRun(error)) throw error;
    });
  return { passes, trace: trace && !hasNaN(trace) ? trace : undefined };
}

/** A file that is not in its place yet. */
export interface Staged extends Asking {
  /** Where it lies. */
  readonly file: string;
  /** What was written to it: the model that was checked, or that model in the dress of a driver. */
  readonly written: Model;
  /** What the model answered while it was checked; default: it is asked now. */
  readonly answers?: Answers | undefined;
}

/**
 * Runs the file on what the model that was checked was asked.
 * @throws LongConvError check-failed where they differ; runtime-failed where ONNX Runtime does not open the file
 */
export async function refuseOther(checked: Model, staged: Staged): Promise<void> {
  const { file, written, answers } = staged;
  const { passes, trace } = answers ?? (await asked(checked, staged));
  if (!trace) return;
  const types = new Map(written.graph.inputs.map(({ name, type }) => [name, type]));
  const inTypes = passes.map(({ length, inputs }) => ({
    length,
    inputs: Object.fromEntries(Object.entries(inputs).map(([name, ids]) => [name, idsAs(types.get(name), ids)])),
  }));
  const runner = await openFile(file);
  const got = await traceOf(written.graph, runner, inTypes).finally(() => runner.close());
  const { relative } = difference(trace, got);
  if (relative <= ALLOWED) return;
  throw new LongConvError(
    "check-failed",
    `the file that was written differs from the model that was checked by ${relative.toExponential(1)} of the largest output`,
    { file: checked.file || undefined },
    "Nothing was replaced. Please open an issue with the model.",
  );
}

async function asked(model: Model, asking: Asking): Promise<Answers> {
  const opening = openModel(model);
  const answers = await answersOf(model, opening, asking);
  await opening.then(
    (runner) => runner.close(),
    () => undefined,
  );
  return answers;
}
