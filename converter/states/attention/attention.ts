/**
 * Attention, with or without a softmax: kept, with rows of keys and values carried. What is read by its positions as keys gets the
 * past in front; functions of two positions are computed for all keys and the new queries.
 */
import { type Claim, leastClaim } from "../../../src/contract.ts";
import type { Port } from "../../find/altered.ts";
import type { Carried, Kind, Known, Realisation } from "../../find/carried.ts";
import { type RefusedOpening, refuseOpening } from "../../find/region.ts";
import { sightOf, weightAhead } from "../../find/sight.ts";
import type { Node } from "../../graph/graph.ts";
import { DataType } from "../../graph/tensor.ts";
import { typeIn } from "../../parts/graphs.ts";
import { fixedSizes } from "../../parts/seen-shapes.ts";
import { type Axis, channelsIn, type Layout } from "../../time/facts/fact.ts";
import { COMBINES_POSITIONS } from "../../time/facts/rule.ts";
import { cachedRows, cacheReport } from "./cache.ts";
import { carriedMatrix } from "./carried.ts";
import { hidesFuture, tablesEnd, windowOf } from "./future.ts";
import { type Held, heldRows } from "./held.ts";
import { addInside, type Cache, type Found } from "./inside.ts";
import { linearOf } from "./linear.ts";
import { type Pairs, pairsFrom } from "./pairs.ts";
import { ROWS, sameInRows } from "./rows.ts";
import { areShifted } from "./shifted.ts";
import { windowReports, windowRows } from "./window.ts";

export const ATTENTION: Kind<RefusedOpening> = {
  name: "attention",
  isFirst: (_known, { node, reason }) => node.op === "MatMul" && reason.startsWith(COMBINES_POSITIONS),
  async find(known, opening) {
    const { node, reason } = opening;
    const refuse = (at: Node, code: RefusedOpening["code"], why: string) => refuseOpening(node, code, why, { at });
    const pairs = pairsFrom(known, node);
    if (!pairs) return ATTENTION.isFirst(known, opening) ? refuse(node, "mixes-time", reason) : undefined;
    if ("reason" in pairs) {
      const stuck = refuse(pairs.node, "mixes-time", `${reason}: '${pairs.node.name}' ${pairs.reason}`);
      return { ...stuck, waits: pairs.waits };
    }
    if (pairs.keyed.size === 0 || pairs.exits.length === 0) return undefined;
    const { time } = fixedSizes(known.graphs.inputs);
    if (time !== undefined && [...pairs.positions.values()].some(isPair))
      return refuse(
        node,
        "mixes-time",
        `${reason}: what depends on two positions is made for the ${time} positions of the fixed-length export`,
      );
    const inRows = await sameInRows(known, pairs);
    if ("different" in inRows)
      return refuse(node, "mixes-batch", `reads '${inRows.different}', which is not the same for all rows of a batch`);
    const entries = entriesOf(known, pairs);
    const exits = pairs.exits.map((tensor): Port => ({ tensor, axes: pairs.layouts.get(tensor)! }));
    const width = Math.max(...[...pairs.layouts.values(), ...pairs.positions.values()].filter(isPair).map(numbersIn));
    const perRow = inRows.seen < Number.POSITIVE_INFINITY;
    const proven = !perRow && time === undefined && hidesFuture(known, pairs);
    // what is known by rule is looked at once
    const sight = await sightOf(known, entries, exits, proven ? Infinity : width);
    if ("code" in sight) {
      const mask = sight.code === "not-causal" ? maskOfData(known, pairs) : undefined;
      return refuse(
        node,
        sight.code,
        mask ? `${sight.reason}: what its mask '${mask}' shows depends on the data` : sight.reason,
      );
    }
    const weights = proven ? undefined : await weightAhead(known, entries, weightsOf(pairs), width);
    if (weights?.at) {
      const [position, later] = weights.at;
      return refuse(node, "not-causal", `lets position ${position} see position ${later}, which comes later`);
    }
    const columns = [...pairs.keyed.keys()].filter((tensor) => isMaskAlone(known, tensor));
    const caches = [...pairs.keyed]
      .filter(([tensor]) => !columns.includes(tensor))
      .map(([tensor, axes]) => cacheOf(known, tensor, axes));
    if (caches.length === 0 || caches.some((cache) => cache === undefined))
      return refuse(
        node,
        "unsupported-layout",
        "reads keys that are neither floats nor truth values with a row for each sequence",
      );
    const seen = Math.min(sight.seen, weights?.length ?? sight.seen, inRows.seen);
    const end = proven ? tablesEnd(known, pairs) : undefined;
    const ends = end && { positions: end.positions, node: node.name, because: `the table '${end.table}' ends` };
    const claim: Claim = proven
      ? { kind: "proven", ...ends }
      : {
          kind: "seen",
          positions: seen,
          ...(perRow && { rows: ROWS }),
          node: node.name,
          because: "later positions were changed and left out up to there",
        };
    const linear = columns.length === 0 && !perRow ? await linearOf(known, pairs) : undefined;
    const window = proven && !linear ? windowOf(known, pairs) : undefined;
    const found: Found = { known, pairs, caches: caches as Cache[], columns };
    const seesPadding = window || (await areShifted(known, pairs)) ? undefined : (true as const);
    return {
      ...{ opening: node, nodes: new Set(pairs.nodes), reason, seesPadding },
      exits: exits.map(({ tensor, axes }) => ({ tensor, fact: { kind: "stream" as const, axes } })),
      plan: async ({ cacheCapacity } = {}) =>
        linear
          ? carriedMatrix(known, node, pairs, linear, claim)
          : realised(node, found, heldRows(found, node, window, cacheCapacity), claim),
    } satisfies Carried;
  },
};

const isPair = (axes: Layout): boolean => axes.flat().includes("keys") && axes.flat().includes("time");
const numbersIn = (axes: Layout): number => axes.reduce((product, axis) => product * channelsIn(axis), 1);

/** Tensors of pairs that a product sums over the keys. */
function weightsOf({ nodes, layouts, positions }: Pairs): Port[] {
  const layoutOf = (name: string): Layout => layouts.get(name) ?? positions.get(name) ?? [];
  const sums = nodes.filter(
    ({ op, outputs }) => op === "MatMul" && !(layouts.get(outputs[0]!) ?? []).flat().includes("keys"),
  );
  return sums.flatMap(({ inputs }) =>
    inputs.map((tensor) => ({ tensor, axes: layoutOf(tensor) })).filter(({ axes }) => isPair(axes)),
  );
}

/** The streams that enter, as they are in the graph. */
function entriesOf(known: Known, { keyed, queried }: Pairs): Port[] {
  const names = new Set([...keyed.keys(), ...queried]);
  return [...names].map((tensor) => {
    const fact = known.time.facts.get(tensor)!;
    const isData = isMaskAlone(known, tensor) ? undefined : (true as const);
    return { tensor, axes: "axes" in fact && fact.axes ? fact.axes : [], isData };
  });
}

/** Truth values or whole numbers of the data that stand between queries and keys: what is shown, or for how long. */
function maskOfData(known: Known, { nodes, layouts }: Pairs): string | undefined {
  const isData = (name: string) => ["stream", "still"].includes(known.time.facts.get(name)?.kind ?? "");
  const isMask = (name: string) =>
    name !== "" &&
    !layouts.has(name) &&
    isData(name) &&
    MASKS.has(typeIn(known.graphs, name)) &&
    !isMaskAlone(known, name);
  return nodes.flatMap(({ inputs }) => inputs).find(isMask);
}

const MASKS = new Set<number>([DataType.BOOL, DataType.INT32, DataType.INT64]);

/** What states of float32 carry: numbers in float32, and truth values. */
const CARRIED = new Set<number>([DataType.FLOAT, DataType.BOOL]);

function cacheOf({ graphs }: Known, tensor: string, axes: Layout): Cache | undefined {
  const type = typeIn(graphs, tensor);
  const factors = axes.flat();
  if (!CARRIED.has(type) || !factors.includes("batch") || factors.filter((f) => f === "keys").length !== 1)
    return undefined;
  const channels = factors.filter((factor): factor is number => typeof factor === "number");
  // a head is what comes before the last channels
  const width = channels.at(-1) ?? 1;
  const heads = channels.slice(0, -1);
  const axis = (sizes: readonly number[]): Axis => sizes.filter((size) => size !== 1);
  return {
    ...{ tensor, axes, width, heads: heads.reduce((a, c) => a * c, 1) },
    stored: [["batch"], axis(heads), ["keys"], axis([width])],
  };
}

/** Whether a tensor is made of the mask that drivers give alone: its columns are there for all positions. */
function isMaskAlone({ graphs, constants, time }: Known, name: string): boolean {
  if (name === graphs.driven.mask) return true;
  const node = graphs.index.producer.get(name);
  if (!node) return false;
  const rest = node.inputs.filter((input) => input && !constants.has(input) && time.facts.get(input)?.kind !== "shape");
  return rest.length > 0 && rest.every((input) => isMaskAlone({ graphs, constants, time }, input));
}

function realised(node: Node, found: Found, held: Held | undefined, claim: Claim): Realisation {
  const { pairs, caches } = found;
  return {
    ...{ opening: node, nodes: new Set(pairs.nodes), needsStart: false },
    claim: held ? leastClaim([claim, held.claim]) : claim,
    reports: held ? windowReports(caches, held.rows, held.because) : caches.map(cacheReport),
    add: (b, place) => {
      const rows = held ? windowRows(b, found, place, held.rows) : cachedRows(b, found, place);
      addInside(b, found, place, rows);
      return rows.ports;
    },
  };
}
