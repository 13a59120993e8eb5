/** Finds everything that carries a state in a model: follows time, closes the first opening, and follows again. */

import { type Claim, type LanguageNames, METADATA, pairStates } from "../../src/contract.ts";
import { LongConvError } from "../../src/errors.ts";
import { refuseUnbounded } from "../bound/refuse.ts";
import { indexGraph, type Model, whereOf } from "../graph/graph.ts";
import { prune } from "../graph/prune.ts";
import { hasHalves, widened } from "../ort/widen.ts";
import { provePosition, proveRegion } from "../prove/prove.ts";
import { type CounterPlan, planCounter } from "../time/counter.ts";
import type { Layout } from "../time/facts/fact.ts";
import type { Rule } from "../time/facts/rule.ts";
import { type Constant, foldConstants } from "../time/fold.ts";
import { type Closed, followTime, type Opening, type Refusal, type TimeFacts } from "../time/follow.ts";
import { type InputAxes, type InputOptions, inputAxes } from "../time/inputs.ts";
import { lengthOutputs } from "../time/outputs.ts";
import { lengthThresholds } from "../time/thresholds.ts";
import { closeBranches } from "./branches.ts";
import type { Carried, Kind, Known } from "./carried.ts";
import { unrolled } from "./cause.ts";
import type { Graphs } from "./graphs.ts";
import { castsToHalf, decidingHalves } from "./halves.ts";
import { drivenInputs, type GivenNames } from "./language.ts";
import { lengthError } from "./lengths.ts";
import { type Renamed, withKnownNames } from "./names.ts";
import { sizesIn } from "./part.ts";
import { positionRows } from "./position-rows.ts";
import { isWithinProven, type Proofs, provenTogether } from "./proven.ts";
import { closeRegion, type RefusedOpening, type Region } from "./region.ts";
import { remedyOf } from "./remedies.ts";
import { fixedSizes, runSizes, shapesAt, shapesByRunning } from "./seen-shapes.ts";
import { withFloatShifts } from "./shifted-ids.ts";

/** What is known of a model once time was followed to its end. */
export interface Found {
  /** The model as it is given, but for names that drivers know or take for something else, and shifted token ids between casts. */
  readonly original: Model;
  /** Inputs and outputs that have other names in it than in the export, old -> new. */
  readonly renamed: Renamed;
  /** Why another axis is time than is usual; undefined where it is the usual one, or was given. */
  readonly timeBecause?: string | undefined;
  /** The export has no batch: `original` has one in front of every input and output. */
  readonly batchAdded?: true | undefined;
  /** Names of its ids and logits, where it is a language model. */
  readonly language: LanguageNames | undefined;
  /** What was analysed: the model, or its float32 twin where it computes in half precision. */
  readonly graphs: Graphs;
  readonly constants: ReadonlyMap<string, Constant>;
  /** Functions of the position that are looked up rather than computed, with their layout. */
  readonly tables: ReadonlyMap<string, Layout>;
  readonly time: TimeFacts;
  /** Its long convolutions. */
  readonly regions: readonly Region[];
  /** Operators that carry a state of another kind. */
  readonly kept: readonly Carried[];
  /** Of each region, and of each table: what rules say of it at every length, or why they say nothing. */
  readonly proofs: Proofs;
  /** What is computed from a carried counter, where streams meet the absolute position. */
  readonly counter: Omit<CounterPlan, "refusals">;
  /** How far it was seen to be what was given, where that fills its sequences up to a multiple of some number. */
  readonly unfilled?: Claim | undefined;
  /** What stands in the way of running token by token; empty for a model that can be converted. */
  readonly refusals: readonly Refusal[];
}

export interface FindOptions extends InputOptions, GivenNames {
  /** Kinds of state beside convolutions, in the order in which they are asked. */
  readonly kinds: readonly Kind<RefusedOpening>[];
  readonly onProgress?: ((done: number, what: string) => void) | undefined;
}

/**
 * @param given inlined: no model-local functions left
 * @throws LongConvError already-converted; usage for names that a language model cannot have; where the model cannot be run or its inputs have no time axis
 */
export async function findCarried(given: Model, options: FindOptions): Promise<Found> {
  const { model: named, renamed, language } = withKnownNames(withoutUnused(given), options);
  const original = withFloatShifts(named);
  const halves = castsToHalf(original);
  const model = hasHalves(original) ? widened(original, decidingHalves(original, halves.keys())) : original;
  const inputs: InputAxes = inputAxes(model, { timeAxis: renamedKeys(options.timeAxis, renamed) });
  refuseUnbounded(model, shapesAt(model, inputs, runSizes(model, inputs).at(-1)!));
  const constants = await foldConstants(model);
  const driven = language ? drivenInputs(original.graph, renamed) : { mask: undefined, positions: undefined };
  const known: Graphs = {
    model,
    sizes: new Map(),
    driven,
    inputs,
    index: indexGraph(model.graph),
    shapes: await shapesByRunning(model, inputs, constants).catch(async (error: unknown) => {
      throw await lengthError(model, inputs, error);
    }),
  };
  // the twin that is analysed counts further, in float32
  const typeOf = (tensor: string) => halves.get(tensor) ?? known.shapes.seen.get(tensor)?.type;
  const brought = Object.assign({}, ...options.kinds.map(({ operators }) => operators)) as Record<string, Rule>;
  const closed: Closed[] = [];
  const tables = new Map<string, Layout>();
  const regions: Region[] = [];
  const kept: Carried[] = [];
  const refused: Refusal[] = [];
  for (;;) {
    const time = followTime(model, inputs, constants, closed, tables, typeOf, brought);
    const graphs: Graphs = { ...known, sizes: sizesIn(model, time.facts) };
    const opening = time.openings[0];
    if (!opening) {
      const { refusals: uncounted, ...counter } = planCounter({ index: graphs.index, time, tables, constants });
      const proofs = proofsOf(typeOf, graphs, time, constants, tables, regions);
      const thresholds = lengthThresholds(model, time.facts, constants).filter(
        ({ node }) => !isWithinProven(graphs.index, time, proofs, node),
      );
      const loop = unrolled(
        closed.filter((each) => "code" in each),
        fixedSizes(inputs).time,
      );
      const refusals = [
        ...[...(loop ? [loop] : refused), ...time.refusals, ...uncounted],
        ...[...lengthOutputs(model, graphs.index, time), ...thresholds],
      ];
      return { original, renamed, language, graphs, constants, tables, time, regions, kept, proofs, counter, refusals };
    }
    const rows = await positionRows(graphs, time, opening.node);
    if (rows.size > 0) {
      for (const [name, axes] of rows) tables.set(name, axes);
      continue;
    }
    const results = await close({ graphs, time, constants }, closed, opening, options.kinds);
    closed.push(...results);
    for (const each of results) {
      if ("code" in each) refused.push({ node: each.at, code: each.code, reason: each.reason, remedy: each.remedy });
      else {
        if ("plan" in each) kept.push(each);
        else regions.push(each);
        options.onProgress?.(regions.length + kept.length, opening.node.name);
      }
    }
  }
}

/** What closes an opening: a state of some kind, a convolution, several that branch, or the reason why nothing does. */
async function close(
  known: Known,
  closed: readonly Closed[],
  opening: Opening,
  kinds: readonly Kind<RefusedOpening>[],
): Promise<readonly (Region | Carried | RefusedOpening)[]> {
  const { graphs, time } = known;
  const first = kinds.filter((kind) => kind.isFirst(known, opening));
  const early = await firstClosing(first, known, opening);
  if (early) return [early];
  const region = await closeRegion(graphs, time, closed, opening);
  if (!("code" in region)) return [region];
  const branches = await closeBranches(graphs, time, closed, opening);
  if (branches) return branches;
  const late = await firstClosing(
    kinds.filter((kind) => !first.includes(kind)),
    known,
    opening,
  );
  return [late ?? region];
}

/** The answer of the first kind that has one. */
async function firstClosing(
  kinds: readonly Kind<RefusedOpening>[],
  known: Known,
  opening: Opening,
): Promise<Carried | RefusedOpening | undefined> {
  for (const kind of kinds) {
    const found = await kind.find(known, opening);
    if (found) return found;
  }
  return undefined;
}

/** What no output needs is neither run nor in the way. */
const withoutUnused = (model: Model): Model => ({
  ...model,
  graph: {
    ...model.graph,
    nodes: prune(
      model.graph.nodes,
      model.graph.outputs.map(({ name }) => name),
    ),
  },
});

const renamedKeys = <T>(values: Readonly<Record<string, T>> = {}, renamed: Renamed): Record<string, T> =>
  Object.fromEntries(Object.entries(values).map(([name, value]) => [renamed.get(name) ?? name, value]));

/** Proofs of all that was seen to be a convolution, or a table with a row for each position. */
function proofsOf(
  typeOf: (tensor: string) => number | undefined,
  { model, index }: Graphs,
  time: TimeFacts,
  constants: ReadonlyMap<string, Constant>,
  tables: ReadonlyMap<string, Layout>,
  regions: readonly Region[],
): Proofs {
  const seen = new Set(tables.keys());
  for (const { inputs, outputs } of model.graph.nodes)
    if (inputs.some((name) => seen.has(name)))
      for (const name of outputs) if (time.facts.get(name)?.kind === "position") seen.add(name);
  const known = { model, index, time, constants, seen, typeOf };
  // a graph of one length is probed at that length, and nothing is claimed of others
  const proven = regions.filter(({ maxLags }) => maxLags === undefined);
  const ofRegion = (region: Region, longest?: number) =>
    proveRegion({ ...known, mixesChannels: region.mixing !== undefined }, region, longest);
  return {
    regions: provenTogether(new Map(proven.map((region) => [region, ofRegion(region)])), ofRegion),
    tables: new Map([...tables].map(([name, layout]) => [name, provePosition(known, name, layout)])),
  };
}

/** Whether a model gains from a state and nothing stands in the way of it. */
export const isConvertible = ({
  regions,
  kept,
  counter,
  refusals,
}: Pick<Found, "regions" | "kept" | "counter" | "refusals">): boolean =>
  refusals.length === 0 && (regions.length > 0 || kept.length > 0 || counter.uses.length > 0);

/**
 * A converted model would be refused for its states' layout, which says nothing to whoever took it for the export.
 * @throws LongConvError already-converted
 */
export function refuseConverted({ file, metadata, graph }: Model): void {
  if (!metadata.has(METADATA.version)) return;
  const [inputs, outputs] = [graph.inputs, graph.outputs].map((values) => values.map(({ name }) => name));
  const states = pairStates(inputs!, outputs!).map(({ past }) => past);
  const named = [...states.slice(0, 3), ...(states.length > 3 ? ["…"] : [])].join(", ");
  throw new LongConvError(
    "already-converted",
    `it is a converted model: it carries ${named}`,
    { file: file || undefined },
    "Give the exported model that it was made from. `longconv-ssm check` shows its states, `longconv-ssm generate` runs it.",
  );
}

/** The first refusal as an error, with the others in its remedy. */
export function refusalError(model: Model, refusals: readonly Refusal[]): LongConvError {
  const [first, ...others] = refusals;
  const also = others.slice(0, 3).map((other) => `'${other.node.name}' (${other.node.op}) ${other.reason}`);
  const remedy = [remedyOf(first!), also.length ? `Also: ${also.join("; ")}` : undefined].filter(Boolean).join(" ");
  return new LongConvError(first!.code, `${first!.reason}`, whereOf(model, first!.node), remedy || undefined);
}
