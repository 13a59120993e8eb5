/** What a model is, as everybody who needs to know it is told: inlined, followed through time, with all that carries a state. */
import { LongConvError } from "../src/errors.ts";
import { BATCH_NAME, refuseConverted, refuseStateful, refuseStatefulByShape, TIME_NAME } from "../src/stateful.ts";
import { withBatch } from "./batch/batch.ts";
import { decided } from "./expand/decided.ts";
import { expanded } from "./expand/index.ts";
import { inlineFunctions } from "./expand/inline.ts";
import type { Kind } from "./find/carried.ts";
import { type FindOptions, findCarried } from "./find/find.ts";
import { type Found, isConvertible } from "./find/found.ts";
import type { RefusedOpening } from "./find/region.ts";
import { seenSame, unfilled } from "./find/rounded.ts";
import type { Model, ValueInfo } from "./graph/graph.ts";
import { lift } from "./lift/lift.ts";
import { withScans } from "./loop/loop.ts";
import { asLoopError } from "./loop/unranked.ts";
import { KINDS } from "./states/index.ts";
import { timeAxis } from "./time/facts/fact.ts";
import { SUMS_OVER_TIME } from "./time/facts/rule.ts";
import { foldConstants } from "./time/fold.ts";

export interface AnalyseOptions extends Omit<FindOptions, "kinds"> {
  /** Kinds of state beside those of {@link KINDS}. */
  readonly kinds?: readonly Kind<RefusedOpening>[] | undefined;
}

/**
 * Follows time through a model and finds every state that it must carry, and what stands in the way. Where the first input's
 * dimensions do not say which axis is time, and nothing runs along the usual one, the axis along which all of it runs is time.
 * A model of one sequence, whose inputs have no batch, is analysed with one in front.
 * @throws LongConvError already-converted; usage for names that a language model cannot have; where the model cannot be run or
 * its inputs have no time axis
 */
export async function analyse(model: Model, options: AnalyseOptions = {}): Promise<Found> {
  refuseConverted(model);
  refuseStateful(model.graph.inputs, model.graph.outputs, model.file);
  if (!options.timeAxis) refuseStatefulByShape(model.graph.inputs, model.graph.outputs, model.file);
  const kinds = [...(options.kinds ?? []), ...KINDS];
  const own = new Set(kinds.flatMap(({ operators = {} }) => Object.keys(operators)));
  const lifted = await decided(lift(inlineFunctions(model, own)), foldConstants);
  const plain = expanded(withScans(lifted));
  const all = { ...options, kinds };
  const found = await findCarried(plain, all).catch(async (error: unknown) => {
    const other = isUnreadable(error) ? await withoutBatch(plain, all) : undefined;
    if (other) return other;
    throw asLoopError(error, lifted);
  });
  if (isConvertible(found) || found.batchAdded) return found;
  const other = await withoutBatch(plain, all);
  if (other && isConvertible(other)) return other;
  const plainly = unfilled(plain, found);
  if (plainly) {
    const other = await findCarried(plainly.model, { ...options, kinds });
    const seen = isConvertible(other) ? await seenSame(plainly, found, other) : undefined;
    if (seen) return { ...other, unfilled: seen };
  }
  if (options.timeAxis !== undefined) return found;
  const { main, layouts } = found.graphs.inputs;
  const usual = timeAxis(layouts.get(main.name)!);
  // names of axes are believed
  const others = main.dims!.flatMap((dim, k) =>
    k > 0 && k !== usual && dim !== 1 && typeof dim !== "string" ? [k] : [],
  );
  if (typeof main.dims![usual] === "string") return found;
  const along: Found[] = [];
  const refused: Found[] = [];
  for (const axis of others) {
    const tried = await findCarried(plain, { ...options, kinds, timeAxis: { [main.name]: axis } }).catch(
      () => undefined,
    );
    if (tried) (isConvertible(tried) ? along : refused).push(tried);
  }
  const [only] = along;
  if (along.length > 1) return found;
  if (only) return { ...only, timeBecause: `${axisOf(only)} is time: it is the only one along which all of it runs` };
  // what is summed over is channels: what stands in the way is said of the axis that is not
  const whole = refused.filter((each) => each.refusals.length > 0 && !isSummed(each));
  if (!isSummed(found) || whole.length !== 1) return found;
  return { ...whole[0]!, timeBecause: `${axisOf(whole[0]!)} is taken for time: the usual one is summed over` };
}

/** "axis 2 of 'x'": the time axis of the first input. */
function axisOf({ graphs: { inputs } }: Found): string {
  return `axis ${timeAxis(inputs.layouts.get(inputs.main.name)!)} of '${inputs.main.name}'`;
}

/** Whether the first thing in the way is that channels would be time. */
const isSummed = ({ refusals: [first] }: Found): boolean => first?.reason.includes(SUMS_OVER_TIME) === true;

const isUnreadable = (error: unknown): boolean => error instanceof LongConvError && error.code === "unsupported-layout";

/** The same of a model of one sequence, whose inputs have a batch in front then; undefined for any other. */
async function withoutBatch(plain: Model, options: FindOptions): Promise<Found | undefined> {
  const { inputs } = plain.graph;
  const named = (dim: unknown, by: RegExp) => typeof dim === "string" && by.test(dim);
  // the length is open, and called so where the batch would be
  const isSequence = ({ dims = [] }: ValueInfo) =>
    dims.length <= 2 && (named(dims[0], TIME_NAME) || typeof dims[1] === "string");
  if (inputs.some(({ dims = [] }) => dims.some((dim) => named(dim, BATCH_NAME))) || !inputs.some(isSequence))
    return undefined;
  const made = await withBatch(plain);
  if (!made) return undefined;
  const given = Object.entries(options.timeAxis ?? {}).map(([name, axis]) => [name, axis + 1]);
  const timeAxis = options.timeAxis && Object.fromEntries(given);
  // a product of pairs is one only with a batch in front
  const found = await findCarried(expanded(made), { ...options, ...(timeAxis && { timeAxis }) }).catch(() => undefined);
  return found && { ...found, batchAdded: true };
}
