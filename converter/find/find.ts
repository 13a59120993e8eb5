/** Finds everything that carries a state in a model: follows time, closes the first opening, and follows again. */

import { refuseUnbounded } from "../bound/refuse.ts";
import { indexGraph, type Model, type Node } from "../graph/graph.ts";
import { drivenInputs, type GivenNames } from "../graph/language.ts";
import { prune } from "../graph/prune.ts";
import { hasHalves, widened } from "../ort/widen.ts";
import type { Graphs } from "../parts/graphs.ts";
import { sizesIn } from "../parts/part.ts";
import { positionRows } from "../parts/position-rows.ts";
import { fixedSizes, runSizes, shapesAt } from "../parts/seen-shapes.ts";
import { provePosition, proveRegion } from "../prove/prove.ts";
import { planCounter } from "../time/counter.ts";
import type { Layout } from "../time/facts/fact.ts";
import type { Rule } from "../time/facts/rule.ts";
import { foldConstants } from "../time/fold.ts";
import { type Closed, followTime, type Opening, type Refusal } from "../time/follow.ts";
import { type InputAxes, type InputOptions, inputAxes } from "../time/inputs.ts";
import { lackingOutputs, lengthOutputs } from "../time/outputs.ts";
import { lengthThresholds } from "../time/thresholds.ts";
import { newWalked } from "../time/walked.ts";
import { closeBranches } from "./branches.ts";
import type { Kept, Kind, Known } from "./carried.ts";
import { unrolled } from "./cause.ts";
import type { Found } from "./found.ts";
import { castsToHalf, decidingHalves } from "./halves.ts";
import { shapesWhereItRuns } from "./lengths.ts";
import { type Renamed, withKnownNames } from "./names.ts";
import { isWithinProven, type Proofs, provenTogether } from "./proven.ts";
import { closeRegion, type RefusedOpening, type Region } from "./region.ts";
import { withFloatShifts } from "./shifted-ids.ts";

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
  const whole: Graphs = {
    model,
    sizes: new Map(),
    driven,
    inputs,
    index: indexGraph(model.graph),
    shapes: await shapesWhereItRuns(model, inputs, constants),
  };
  // the twin that is analysed counts further, in float32
  const typeOf = (tensor: string) => halves.get(tensor) ?? whole.shapes.seen.get(tensor)?.type;
  const brought = Object.assign({}, ...options.kinds.map(({ operators }) => operators)) as Record<string, Rule>;
  const walked = newWalked(inputs, constants);
  const closed: Closed[] = [];
  const tables = new Map<string, Layout>();
  const regions: Region[] = [];
  const kept: Kept[] = [];
  const refused: Refusal[] = [];
  /** Openings that read what others make. */
  const waiting = new Map<Node, readonly Result[]>();
  for (;;) {
    const time = followTime(model, inputs, constants, closed, tables, typeOf, brought, walked);
    const graphs: Graphs = { ...whole, sizes: sizesIn(model, time.facts) };
    const opening = time.openings.find(({ node }) => !waiting.has(node)) ?? time.openings[0];
    const known = { graphs, time, constants };
    if (!opening) {
      const isLanguage = language !== undefined;
      const concluded = concludedFrom(known, { tables, regions, closed, refused, typeOf, isLanguage });
      return { original, renamed, language, graphs, constants, tables, time, regions, kept, ...concluded };
    }
    const rows = await positionRows(graphs, time, opening.node);
    if (rows.size > 0) {
      for (const [name, axes] of rows) tables.set(name, axes);
      continue;
    }
    const { node } = opening;
    const results = waiting.get(node) ?? (await close(known, closed, opening, options.kinds));
    if (!waiting.has(node) && results.some((each) => "waits" in each && each.waits)) {
      waiting.set(node, results);
      continue;
    }
    if (results.some((each) => !("code" in each))) waiting.clear();
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

type Result = Region | Kept | RefusedOpening;

/** What closes an opening: a state of some kind, a convolution, several that branch, or the reason why nothing does. */
async function close(
  known: Known,
  closed: readonly Closed[],
  opening: Opening,
  kinds: readonly Kind<RefusedOpening>[],
): Promise<readonly Result[]> {
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
): Promise<Kept | RefusedOpening | undefined> {
  for (const kind of kinds) {
    const found = await kind.find(known, opening);
    if (found) return "plan" in found ? { ...found, kind: kind.name } : found;
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

/** What was found on the way, once nothing is open any more. */
interface Followed {
  readonly tables: ReadonlyMap<string, Layout>;
  readonly regions: readonly Region[];
  readonly closed: readonly Closed[];
  /** Of what was closed. */
  readonly refused: readonly Refusal[];
  readonly typeOf: (tensor: string) => number | undefined;
  readonly isLanguage: boolean;
}

/** What is counted and what is proven of a model that was followed to its end, and all that stands in its way. */
function concludedFrom(known: Known, followed: Followed): Pick<Found, "lacking" | "counter" | "proofs" | "refusals"> {
  const { graphs, time, constants } = known;
  const { tables, closed, refused, isLanguage } = followed;
  const { model, index, inputs } = graphs;
  const { refusals: uncounted, ...counter } = planCounter({ index, time, tables, constants });
  const thresholds = lengthThresholds(model, time.facts, constants);
  const outputs = lengthOutputs(model, index, time, isLanguage);
  const proofs = proofsOf(known, followed);
  const loop = unrolled(
    closed.filter((each) => "code" in each),
    fixedSizes(inputs).time,
  );
  const refusals = [
    ...[...(loop ? [loop] : refused), ...time.refusals, ...uncounted, ...outputs],
    ...thresholds.filter(({ node }) => !isWithinProven(index, time, proofs, node)),
  ];
  return { lacking: lackingOutputs(model, time), counter, proofs, refusals };
}

/** Proofs of all that was seen to be a convolution, or a table with a row for each position. */
function proofsOf({ graphs: { model, index }, time, constants }: Known, { tables, regions, typeOf }: Followed): Proofs {
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
