/** At which lengths a graph runs, found by trying: some declare any number of positions and take only a few. */
import { type ErrorCode, LongConvError } from "../../src/errors.ts";
import { IN_TRIALS, refuseUnbounded } from "../bound/refuse.ts";
import { type Model, whereOf } from "../graph/graph.ts";
import { DataType } from "../graph/tensor.ts";
import { openModel } from "../ort/run.ts";
import { fixedSizes, runSizes, type Shapes, shapesAt, shapesByRunning, zeroInputs } from "../parts/seen-shapes.ts";
import type { Sizes } from "../time/facts/fact.ts";
import { OTHER_RATE } from "../time/facts/rule.ts";
import type { Constant } from "../time/fold.ts";
import type { InputAxes } from "../time/inputs.ts";
import { mergedAt } from "./pieces.ts";
import { RATE } from "./remedies.ts";

const RECURRENT = new Set(["RNN", "GRU", "LSTM"]);

/** Every length up to here is tried, then some longer ones. */
const SHORT = 64;
const LONGER = [96, 128, 192, 256, 384, 512, 768, 1024, 2048];
/** A number of the graph above it is not taken for a length. */
const LONGEST = 4096;

/** What was found: a sentence without its subject, and what helps. */
interface Answer {
  readonly reason: string;
  readonly remedy: string;
  /** It runs at multiples of this number alone. */
  readonly step?: number;
  /** It runs at so many positions and at more. */
  readonly least?: number;
}

/**
 * {@link shapesByRunning} at lengths at which the graph runs: convolutions without padding need as many positions as they reach.
 * @throws LongConvError that says at which lengths it runs, or which node does not run at all; what running it gave where neither is the reason
 */
export async function shapesWhereItRuns(
  model: Model,
  inputs: InputAxes,
  constants: ReadonlyMap<string, Constant>,
): Promise<Shapes> {
  try {
    return await shapesByRunning(model, inputs, constants);
  } catch (error) {
    const { least, why } = await lengthError(model, inputs, error);
    if (least === undefined) throw why;
    return shapesByRunning(model, inputs, constants, undefined, runSizes(model, inputs, least)).catch(() => {
      throw why;
    });
  }
}

/** Why it did not run, and how many positions it takes at least, where more are always enough. */
interface Why {
  readonly why: unknown;
  readonly least?: number | undefined;
}

/**
 * Why a graph that declares any length could not be run at one.
 * @param error what running it gave
 * @returns an error that says at which lengths it runs, or which node does not run at all; the error itself where neither is the reason
 */
async function lengthError(model: Model, inputs: InputAxes, error: unknown): Promise<Why> {
  const { batch = 1, time } = fixedSizes(inputs);
  if (!(error instanceof LongConvError) || error.code !== "runtime-failed") return { why: error };
  const batchwise = model.graph.nodes.find(({ op, attributes }) => RECURRENT.has(op) && attributes.layout === 1);
  if (batchwise) {
    const reason = "has its batch on axis 0 (layout = 1), which ONNX Runtime does not run";
    const remedy = "Export it with layout = 0 between two Transposes, as PyTorch does for batch_first.";
    return { why: new LongConvError("unsupported-layout", reason, whereOf(model, batchwise), remedy, error) };
  }
  if (time !== undefined) return { why: error };
  const runs = await tried(model, inputs, batch);
  const answer = answerOf(runs);
  if (!answer) return { why: error };
  const { step, least } = answer;
  const merged = step === undefined ? undefined : await mergedAt(model, inputs, { batch, step, error });
  if (merged) {
    const reason = `${OTHER_RATE}: one position for each ${step} of its input's, so that the graph ${answer.reason}`;
    return { why: new LongConvError("mixes-time", reason, whereOf(model, merged), RATE, error) };
  }
  const code: ErrorCode = "depends-on-length";
  const where = { file: model.file || undefined };
  return { why: new LongConvError(code, answer.reason, where, answer.remedy, error), least };
}

/** Whether the graph runs, by length; none at which its tensors would be large. */
async function tried(model: Model, inputs: InputAxes, batch: number): Promise<Map<number, boolean>> {
  const lengths = new Set([...Array(SHORT).keys()].map((k) => k + 1).concat(LONGER, numbersOf(model)));
  const runner = await openModel(model);
  try {
    const runs = new Map<number, boolean>();
    for (const time of [...lengths].sort((a, b) => a - b)) {
      if (isLarge(model, inputs, { batch, time })) break;
      const run = runner.run(zeroInputs(model, inputs, { batch, time }));
      runs.set(time, await run.then(() => true, refused));
    }
    return runs;
  } finally {
    await runner.close();
  }
}

function isLarge(model: Model, inputs: InputAxes, sizes: Sizes): boolean {
  try {
    refuseUnbounded(model, shapesAt(model, inputs, sizes), IN_TRIALS);
    return false;
  } catch (error) {
    if (error instanceof LongConvError && error.code === "too-large") return true;
    throw error;
  }
}

function refused(error: unknown): false {
  if (error instanceof LongConvError && error.code === "runtime-failed") return false;
  throw error;
}

/** Numbers that may be the length which a graph has stored: sizes of its tables, and values of its small constants. */
function numbersOf({ graph }: Model): number[] {
  const numbers = [...graph.initializers.values()].flatMap((initializer) => {
    const size = initializer.dims.reduce((a, b) => a * b, 1);
    const isShape = initializer.type === DataType.INT64 && size <= 8;
    const values = isShape ? Array.from(initializer.tensor().data as BigInt64Array, Number) : [];
    return [...initializer.dims, ...values];
  });
  return numbers.filter((value) => value > SHORT && value <= LONGEST);
}

function answerOf(runs: ReadonlyMap<number, boolean>): Answer | undefined {
  const lengths = [...runs.keys()];
  const good = lengths.filter((length) => runs.get(length));
  if (good.length === 0 || good.length === lengths.length) return undefined;
  const [least, most] = [good[0]!, good.at(-1)!];
  const dynamic = "Export it with a dynamic length: sizes from x.shape, never from a stored number.";
  // a single row broadcasts against a table of any length
  const many = good.filter((length) => length > 1);
  if (many.length <= 1)
    return { reason: `runs at ${good.join(" and at ")} position${most === 1 ? "" : "s"} only`, remedy: dynamic };
  if (lengths.every((length) => runs.get(length) === length >= least))
    return {
      reason: `runs at ${least} positions or more only, and token by token there is one at a time`,
      remedy: `Pad the sequence on the left, by ${least - 1} positions, inside the model.`,
      least,
    };
  if (lengths.every((length) => runs.get(length) === length <= most))
    return { reason: `runs at no more than ${most} positions`, remedy: dynamic };
  const step = good.reduce(commonDivisor);
  if (step > 1 && lengths.every((length) => runs.get(length) === (length % step === 0)))
    return {
      reason: `runs at multiples of ${step} positions only, and token by token there is one at a time`,
      remedy: `Take out what cuts the sequence into pieces of ${step}, or pad it inside the model.`,
      step,
    };
  const some = `${good.slice(0, 4).join(", ")}${good.length > 4 ? ", …" : ""}`;
  return { reason: `runs at some lengths only: of those tried, ${some}`, remedy: dynamic };
}

function commonDivisor(a: number, b: number): number {
  return b === 0 ? a : commonDivisor(b, a % b);
}
