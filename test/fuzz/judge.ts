/** Converts a graph and judges the result: refused, or right as far as its claim reaches. */
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { toleranceFor } from "../../converter/compare/compare.ts";
import type { Conversion, ConvertOptions } from "../../converter/conversion.ts";
import { convert } from "../../converter/convert.ts";
import { writeModel } from "../../converter/file/write.ts";
import { openModel, type Runner } from "../../converter/ort/run.ts";
import { ATTENTION_MASK, type Claim, describeClaim, METADATA } from "../../src/contract.ts";
import { ERROR_EXIT_CODES, type ErrorCode, LongConvError } from "../../src/errors.ts";
import { type Converted, openConverted } from "../converted.ts";
import { preciseTransforms } from "../precise.ts";
import {
  allFinite,
  differenceOf,
  type Feeds,
  firstOf,
  inputsOf,
  maskOf,
  nudged,
  rowOf,
  shownOf,
  withNudgedWeights,
} from "./feeds.ts";
import type { FuzzGraph } from "./generate.ts";
import { type Random, random } from "./random.ts";
import { cutsOf, type Trial, trialsOf } from "./trials.ts";
import { axesOfForm, inReferenceForm } from "./worn.ts";

export type Outcome =
  | { readonly kind: "right"; readonly largest: number; readonly claim: Claim }
  | { readonly kind: "refused"; readonly code: ErrorCode; readonly message: string }
  /** Not what the original is within its claim, or an error that is none of ours. */
  | { readonly kind: "wrong" | "crashed"; readonly message: string }
  /** Rounding in the original graph alone is larger than what is asked for: nothing can be said. */
  | { readonly kind: "unstable"; readonly message: string; readonly claim: Claim }
  /** The generator made a graph that ONNX Runtime does not run. */
  | { readonly kind: "invalid"; readonly message: string };

/** How a graph is converted: exactly, up to a horizon, or as nobody asked for anything. */
export type FormAsked = "exact" | "default";

/** Beyond this no rounding excuses a difference. */
const UNSTABLE = 5e-3;
/** How often last bits are changed: an answer that tips over on some of them does not on others. */
const NUDGES = 4;
/** Lags of the kernels in the exact form. */
const HORIZONS = [256, 256, 256, 64, 100, 333, 500, 8];
/** Exit codes of what cannot run token by token, and of what the check found: a sound graph has no other fault. */
const REFUSALS: ReadonlySet<number> = new Set([4, 5]);
/** How often a conversion is compared far out: always where no horizon ends it. */
const FAR: Readonly<Record<FormAsked, number>> = { exact: 0.15, default: 1 };
/** Below this many positions a graph may not run: some spellings need a few. */
const SHORT = 24;

/** Converts a graph in each of the forms, and compares each. */
export async function judge(graph: FuzzGraph, forms: readonly FormAsked[]): Promise<Map<FormAsked, Outcome>> {
  const every = (outcome: Outcome) => new Map(forms.map((form) => [form, outcome]));
  const original = await openModel(preciseTransforms(graph.reference)).catch((error: Error) => error);
  if (original instanceof Error) return every({ kind: "invalid", message: original.message });
  const folder = await mkdtemp(path.join(tmpdir(), "longconv-fuzz-"));
  try {
    const size = { batch: graph.batch ?? 1, length: graph.length ?? SHORT };
    const refused = await runReference(graph, original, inputsOf(graph, size, 1, random(graph.seed))).then(
      (outputs) => (allFinite(outputs) ? undefined : "values that are not finite"),
      (error: Error) => error.message,
    );
    if (refused !== undefined) return every({ kind: "invalid", message: refused });
    const file = path.join(folder, "model.onnx");
    await writeModel(graph.model, file);
    const outcomes = new Map<FormAsked, Outcome>();
    for (const form of forms) outcomes.set(form, await outcomeOf(graph, original, file, form));
    return outcomes;
  } finally {
    await original.close();
    await rm(folder, { recursive: true, force: true });
  }
}

function optionsFor(graph: FuzzGraph, form: FormAsked): ConvertOptions {
  const inputs = new Set(graph.model.graph.inputs.map(({ name }) => name));
  const axes = Object.entries(graph.axes).filter(([name, axis]) => axis > 1 && inputs.has(name));
  const horizon = graph.length === undefined ? random(graph.seed + 0x40).pick(HORIZONS) : undefined;
  return { timeAxis: Object.fromEntries(axes), ...(form === "exact" && { exact: true, horizon }) };
}

async function outcomeOf(graph: FuzzGraph, original: Runner, file: string, form: FormAsked): Promise<Outcome> {
  try {
    const conversion = await convert(file, optionsFor(graph, form));
    const renamed = new Map(conversion.renamed);
    // the mask of padding is given under its own name
    if (graph.masked) renamed.delete(ATTENTION_MASK);
    const opened = await openConverted(conversion.model, renamedAxes(axesOfForm(graph), renamed));
    const converted = inReferenceForm(underOldNames(opened, renamed), graph.worn);
    try {
      return await compareAll(graph, original, conversion, converted, FAR[form]);
    } finally {
      await converted.close();
    }
  } catch (error) {
    if (error instanceof LongConvError && REFUSALS.has(ERROR_EXIT_CODES[error.code]))
      return { kind: "refused", code: error.code, message: error.message.split("\n")[0]! };
    return { kind: "crashed", message: error instanceof Error ? (error.stack ?? error.message) : String(error) };
  }
}

const claimOf = ({ model }: Conversion): Claim => JSON.parse(model.metadata.get(METADATA.claim)!) as Claim;

async function compareAll(
  graph: FuzzGraph,
  original: Runner,
  conversion: Conversion,
  converted: Converted,
  far: number,
): Promise<Outcome> {
  const claim = claimOf(conversion);
  const wrong = (message: string): Outcome => ({ kind: "wrong", message: `${message}; ${describeClaim(claim)}` });
  if ((claim.positions ?? Infinity) > (graph.ends ?? Infinity))
    return wrong(`nothing is known of the original beyond ${graph.ends} positions`);
  const r = random(graph.seed + 0x5eed);
  const tolerance = toleranceFor(stateErrorOf(conversion));
  let largest = 0;
  for (const trial of trialsOf(graph, claim, r, far)) {
    const feeds = inputsOf(graph, trial, trial.amplitude, r);
    const whole = await runReference(graph, original, feeds).catch((error: Error) => error);
    if (whole instanceof Error) {
      if (trial.length < SHORT) continue;
      return wrong(`batch ${trial.batch}, length ${trial.length}: the original does not run`);
    }
    if (!allFinite(shownOf(whole, maskOf(graph, feeds)))) continue;
    const { got, wanted } = await answers(graph, converted, feeds, whole, trial, claim, r);
    for (const { way, row, outputs } of got) {
      const mask = maskOf(graph, feeds);
      const own = mask && row !== undefined ? rowOf({ mask }, row).mask : mask;
      const due = shownOf(row === undefined ? wanted : rowOf(wanted, row), own);
      const difference = differenceOf(shownOf(outputs, own), due, shownOf(wanted, mask), trial.amplitude);
      if (difference <= tolerance) {
        largest = Math.max(largest, difference);
        continue;
      }
      const { batch, length, amplitude } = trial;
      const what = `${way}, batch ${batch}, length ${length}, amplitude ${amplitude}: off by ${difference.toExponential(1)}`;
      const noise = await rounding(graph, feeds, whole, r);
      if (difference <= Math.min(20 * noise, UNSTABLE))
        return {
          kind: "unstable",
          message: `${what}; the original's own rounding is ${noise.toExponential(1)}`,
          claim,
        };
      return wrong(what);
    }
  }
  return { kind: "right", largest, claim };
}

interface Answers {
  readonly wanted: Feeds;
  readonly got: readonly { readonly way: string; readonly row?: number; readonly outputs: Feeds }[];
}

type Named<T> = Readonly<Record<string, T>>;

const renamedAxes = (axes: Named<number>, renamed: ReadonlyMap<string, string>): Named<number> =>
  Object.fromEntries(Object.entries(axes).map(([name, axis]) => [renamed.get(name) ?? name, axis]));

/** A converted model that is fed and read by the names of the export. */
function underOldNames(converted: Converted, renamed: ReadonlyMap<string, string>): Converted {
  const old = new Map([...renamed].map(([from, to]) => [to, from]));
  const mapped = <T>(values: Named<T>, names: ReadonlyMap<string, string>): Record<string, T> =>
    Object.fromEntries(Object.entries(values).map(([name, value]) => [names.get(name) ?? name, value]));
  return { ...converted, run: async (feeds, cuts) => mapped(await converted.run(mapped(feeds, renamed), cuts), old) };
}

/** What the converted model makes of the inputs, in all the ways of a trial. */
async function answers(
  graph: FuzzGraph,
  converted: Converted,
  feeds: Feeds,
  whole: Feeds,
  trial: Trial,
  { positions = Infinity }: Claim,
  r: Random,
): Promise<Answers> {
  // an export of a fixed length that is claimed for fewer positions is fed no more
  const length = Math.min(trial.length, positions);
  const fewer = (tensors: Feeds) => (length < trial.length ? firstOf(tensors, graph.axes, length) : tensors);
  const [given, wanted] = [fewer(feeds), fewer(whole)];
  const got: Answers["got"][number][] = [];
  for (const way of trial.ways) {
    if (way !== "each row alone") got.push({ way, outputs: await converted.run(given, cutsOf(way, length, r)) });
    // three rows of many
    else if (graph.batch === undefined)
      for (const row of new Set([0, Math.floor((3 * trial.batch) / 4), trial.batch - 1])) {
        const outputs = await converted.run(rowOf(given, row), [...new Set([Math.ceil(length / 2), length])]);
        got.push({ way, row, outputs });
      }
  }
  return { wanted, got };
}

const stateErrorOf = ({ layers }: Conversion): number =>
  layers.reduce(
    (sum, { form, error }) => sum + (form === "compact" || form === "diagonal" || form === "mixed" ? error : 0),
    0,
  );

/** How far rounding alone moves the original's outputs: its inputs and weights changed in their last bits, several times. */
async function rounding(graph: FuzzGraph, feeds: Feeds, wanted: Feeds, r: Random): Promise<number> {
  let largest = 0;
  for (let i = 0; i < NUDGES; i++) {
    const other = await openModel(preciseTransforms(withNudgedWeights(graph.reference, r)));
    try {
      const moved = differenceOf(await runReference(graph, other, nudged(feeds, r)), wanted, wanted);
      largest = Math.max(largest, moved);
    } finally {
      await other.close();
    }
  }
  return largest;
}

/** Runs the reference on the model's inputs; outputs under the model's names. */
async function runReference({ renamed }: FuzzGraph, original: Runner, feeds: Feeds): Promise<Feeds> {
  const theirs = (name: string) => renamed.get(name) ?? name;
  const ours = new Map([...renamed].map(([own, other]) => [other, own]));
  const given = Object.entries(feeds).map(([name, tensor]) => [theirs(name), tensor]);
  const outputs = await original.run(Object.fromEntries(given));
  return Object.fromEntries(Object.entries(outputs).map(([name, tensor]) => [ours.get(name) ?? name, tensor]));
}
