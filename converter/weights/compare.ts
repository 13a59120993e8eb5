/** What weights in fewer bits cost: the reduced models against the same models with float32 weights. */
import { LongConvError } from "../../src/errors.ts";
import { larger } from "../compare/differences.ts";
import { drive, outputLayouts, type Trace } from "../compare/drive.ts";
import type { Found } from "../find/found.ts";
import type { Model } from "../graph/graph.ts";
import { openModel, type Runner } from "../ort/run.ts";
import { randomInputs } from "../parts/feeds.ts";
import { fixedSizes } from "../parts/seen-shapes.ts";
import type { FewerBits, Models } from "./fewer-bits.ts";
import type { Reduced, WeightKind } from "./weights.ts";

/** The comparison, on random inputs; `verify` compares on a text. */
export interface WeightsReport {
  readonly kind: WeightKind;
  /** Matrices that were changed. */
  readonly matrices: number;
  /** Bytes of all initializers. */
  readonly bytes: { readonly before: number; readonly after: number };
  readonly positions: number;
  /** Root mean square of the outputs' difference over that of the outputs. */
  readonly rms: number;
  /** Largest |difference| over largest |output|. */
  readonly largest: number;
  /** Share of the positions with the same largest logit; undefined for models that are not language models. */
  readonly sameArgmax: number | undefined;
}

/** Differences (rms) beyond which something is broken rather than rounded: two unrelated outputs differ by 1.4. */
const SANE_RMS: Readonly<Record<WeightKind, number>> = { float16: 0.02, int8: 0.15, int4: 0.7 };

const POSITIONS = 64;

/**
 * Runs the models of a conversion over the same random inputs before and after, in passes of many and of one token; the model for one
 * token a call in passes of one.
 * @param onCompared is given each model once it has answered, its session still open
 * @throws LongConvError check-failed where they have nothing to do with each other
 */
export async function compareWeights(
  found: Found,
  before: Models,
  after: FewerBits,
  onCompared?: (model: Model, runner: Runner) => Promise<void>,
): Promise<WeightsReport> {
  const fixed = fixedSizes(found.graphs.inputs);
  const sizes = { batch: fixed.batch ?? 1, time: fixed.time ?? POSITIONS };
  const feeds = randomInputs(found.graphs, found.constants, sizes, 77);
  const axes = outputLayouts(found);
  const half = Math.ceil(sizes.time / 2);
  const cutsFrom = (first: number) => Array.from({ length: sizes.time - first + 1 }, (_, i) => first + i);
  const traceOf = async (each: Model, cuts: readonly number[]): Promise<Trace> => {
    const runner = await openModel(each);
    try {
      const trace = await drive(each, runner, found.graphs, axes, feeds, cuts, sizes.batch);
      await onCompared?.(each, runner);
      return trace;
    } finally {
      await runner.close();
    }
  };
  const logits = sizes.batch === 1 ? found.language?.logits : undefined;
  const of = { ...{ kind: after.kind, reduced: after, positions: sizes.time }, logits, file: before.model.file };
  const report = reported(
    [await traceOf(before.model, cutsFrom(half)), await traceOf(after.model, cutsFrom(half))],
    of,
  );
  if (before.step && after.step && sizes.batch === 1)
    reported([await traceOf(before.step, cutsFrom(1)), await traceOf(after.step, cutsFrom(1))], of);
  return report;
}

/**
 * What the traces of the two models say.
 * @param of.logits name of a language model's logits
 * @throws LongConvError check-failed where they have nothing to do with each other
 */
export function reported(
  [wanted, got]: readonly [Trace, Trace],
  of: {
    readonly kind: WeightKind;
    readonly reduced: Pick<Reduced, "matrices" | "bytes">;
    readonly positions: number;
    readonly logits: string | undefined;
    readonly file: string;
  },
): WeightsReport {
  const { kind, reduced, positions, logits, file } = of;
  const report: WeightsReport = {
    ...{ kind, matrices: reduced.matrices, bytes: reduced.bytes, positions },
    ...differenceOf(wanted, got),
    sameArgmax: logits === undefined ? undefined : sameArgmaxOf(wanted, got, logits),
  };
  if (report.rms <= SANE_RMS[kind]) return report;
  throw new LongConvError(
    "check-failed",
    `with ${kind} weights the outputs differ by ${report.rms.toPrecision(2)} of their size (rms)`,
    { file: file || undefined },
    "Nothing was written. Such a model needs weights of more bits.",
  );
}

function differenceOf(wanted: Trace, got: Trace): { rms: number; largest: number } {
  let [squares, all, apart, most] = [0, 0, 0, 0];
  for (const [name, rows] of wanted)
    for (const [i, row] of rows.entries()) {
      const other = got.get(name)![i]!;
      for (let k = 0; k < row.length; k++) {
        const difference = Math.abs(row[k]! - other[k]!);
        squares += difference ** 2;
        all += row[k]! ** 2;
        apart = larger(apart, difference);
        most = Math.max(most, Math.abs(row[k]!));
      }
    }
  return { rms: Math.sqrt(squares / all), largest: apart / most };
}

function sameArgmaxOf(wanted: Trace, got: Trace, name: string): number {
  const rows = wanted.get(name)!;
  const others = got.get(name)!;
  const argmax = (row: ArrayLike<number>) => {
    let best = 0;
    for (let k = 1; k < row.length; k++) if (row[k]! > row[best]!) best = k;
    return best;
  };
  return rows.filter((row, i) => argmax(row) === argmax(others[i]!)).length / rows.length;
}
