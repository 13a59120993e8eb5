/**
 * Attention, with or without a softmax: kept, with rows of keys and values carried. What is read by its positions as keys gets the
 * past in front; functions of two positions are computed for all keys and the new queries.
 */
import { ATTENTION_MASK, BATCH_SIZE, type Claim, pastKeyValues, presentKeyValues } from "../../../src/contract.ts";
import type { Carried, Kind, Known, Place, Realisation, StatePorts, StateReport } from "../../find/carried.ts";
import { typeIn } from "../../find/graphs.ts";
import { arranged, dynamicShape, shapeOperand } from "../../find/layout.ts";
import { type Unclosed, unclosed } from "../../find/region.ts";
import { fixedSizes } from "../../find/shapes.ts";
import { type Port, sightOf, weightAhead } from "../../find/sight.ts";
import { openPosition, rowsOf } from "../../find/tables.ts";
import type { Builder } from "../../graph/build.ts";
import type { Node } from "../../graph/graph.ts";
import { DataType } from "../../graph/tensor.ts";
import { type Axis, channelsIn, type Layout } from "../../time/facts/fact.ts";
import { hidesFuture } from "./future.ts";
import { type Hiding, hidesPadding } from "./hiding.ts";
import { type Pairs, pairsFrom } from "./pairs.ts";
import { positionsIn } from "./positions.ts";
import { ROWS, sameInRows } from "./rows.ts";

export const ATTENTION: Kind<Unclosed> = {
  name: "attention",
  isFirst: (_known, { node, reason }) => node.op === "MatMul" && reason.startsWith("combines every position"),
  async find(known, opening) {
    const { node, reason } = opening;
    const refuse = (at: Node, code: Unclosed["code"], why: string) => unclosed(node, code, why, { at });
    const pairs = pairsFrom(known, node);
    if (!pairs) return ATTENTION.isFirst(known, opening) ? refuse(node, "mixes-time", reason) : undefined;
    if ("reason" in pairs) return refuse(pairs.node, "mixes-time", `${reason}: '${pairs.node.name}' ${pairs.reason}`);
    if (pairs.keyed.size === 0 || pairs.exits.length === 0) return undefined;
    const inRows = await sameInRows(known, pairs);
    if ("different" in inRows)
      return refuse(node, "mixes-batch", `reads '${inRows.different}', which is not the same for all rows of a batch`);
    const entries = entriesOf(known, pairs);
    const exits = pairs.exits.map((tensor): Port => ({ tensor, axes: pairs.layouts.get(tensor)! }));
    const width = Math.max(...[...pairs.layouts.values()].filter(isPair).map(numbersIn));
    const perRow = inRows.seen < Number.POSITIVE_INFINITY;
    const proven = !perRow && fixedSizes(known.graphs.inputs).time === undefined && hidesFuture(known, pairs);
    // what is known by rule is looked at once
    const sight = await sightOf(known, entries, exits, proven ? Infinity : width);
    if ("code" in sight) return refuse(node, sight.code, sight.reason);
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
      return refuse(node, "unsupported-layout", "reads keys that are no floats with a row for each sequence");
    const seen = Math.min(sight.seen, weights?.length ?? sight.seen, inRows.seen);
    const claim: Claim = proven
      ? { kind: "proven" }
      : {
          kind: "seen",
          positions: seen,
          ...(perRow && { rows: ROWS }),
          node: node.name,
          because: "later positions were changed and left out up to there",
        };
    const seesPadding = (await areShifted(known, pairs)) ? undefined : (true as const);
    return {
      ...{ opening: node, nodes: new Set(pairs.nodes), reason, seesPadding },
      exits: exits.map(({ tensor, axes }) => ({ tensor, fact: { kind: "stream" as const, axes } })),
      plan: async () => realised(known, node, { pairs, caches: caches as Cache[], columns }, claim),
    } satisfies Carried;
  },
};

const isPair = (axes: Layout): boolean => axes.flat().includes("keys") && axes.flat().includes("time");
const numbersIn = (axes: Layout): number => axes.reduce((product, axis) => product * channelsIn(axis), 1);

/** Tensors of pairs that a product sums over the keys. */
function weightsOf({ nodes, layouts }: Pairs): Port[] {
  const isWeights = (name: string) => isPair(layouts.get(name) ?? []);
  const sums = nodes.filter(
    ({ op, outputs }) => op === "MatMul" && !(layouts.get(outputs[0]!) ?? []).flat().includes("keys"),
  );
  return sums.flatMap(({ inputs }) =>
    inputs.filter(isWeights).map((tensor) => ({ tensor, axes: layouts.get(tensor)! })),
  );
}

/** The streams that enter, as they are in the graph. */
function entriesOf({ time }: Known, { keyed, queried }: Pairs): Port[] {
  const names = new Set([...keyed.keys(), ...queried]);
  return [...names].map((tensor) => {
    const fact = time.facts.get(tensor)!;
    return { tensor, axes: "axes" in fact && fact.axes ? fact.axes : [] };
  });
}

/** Rows that are carried of a stream. */
interface Cache {
  readonly tensor: string;
  /** In the graph, with `keys` in the place of time. */
  readonly axes: Layout;
  /** [batch, heads, keys, width] */
  readonly stored: Layout;
  readonly heads: number;
  readonly width: number;
}

function cacheOf({ graphs }: Known, tensor: string, axes: Layout): Cache | undefined {
  const type = typeIn(graphs, tensor);
  const factors = axes.flat();
  if (type !== DataType.FLOAT || !factors.includes("batch") || factors.filter((f) => f === "keys").length !== 1)
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

/** A length at which functions of two positions are looked at. */
const SHORT = 24;

/** Whether functions of two positions are functions of their difference: padding in front moves both. */
async function areShifted({ graphs, constants }: Known, { positions }: Pairs): Promise<boolean> {
  for (const [name, axes] of positions) {
    const [rows, keys] = ["time" as const, "keys" as const].map((factor) =>
      axes.findIndex((axis) => axis.includes(factor)),
    );
    if (constants.has(name) || (rows! < 0 && keys! < 0)) continue;
    if (rows! < 0 || keys! < 0) return false;
    const reader = await openPosition(graphs, name);
    const tensor = await reader.at(SHORT).finally(() => reader.close());
    const matrix = rowsOf(tensor, rows!);
    const inner = tensor.dims.slice(keys! + 1).reduce((a, c) => a * c, 1);
    const outer = tensor.dims.slice(0, keys!).reduce((a, c, k) => (k === rows ? a : a * c), 1);
    for (let i = 0; i + 1 < SHORT; i++)
      for (let o = 0; o < outer; o++)
        for (let j = 0; j + 1 <= i; j++)
          for (let k = 0; k < inner; k++) {
            const at = (row: number, key: number) => matrix[row]![(o * SHORT + key) * inner + k];
            if (!Object.is(at(i, j), at(i + 1, j + 1))) return false;
          }
  }
  return true;
}

/** Whether a tensor is made of the mask that drivers give alone: its columns are there for all positions. */
function isMaskAlone({ graphs, constants, time }: Known, name: string): boolean {
  if (name === graphs.driven.mask) return true;
  const node = graphs.index.producer.get(name);
  if (!node) return false;
  const rest = node.inputs.filter((input) => input && !constants.has(input) && time.facts.get(input)?.kind !== "shape");
  return rest.length > 0 && rest.every((input) => isMaskAlone({ graphs, constants, time }, input));
}

/** An attention, with what is carried of it. */
interface Found {
  readonly pairs: Pairs;
  readonly caches: readonly Cache[];
  /** Tensors made of the mask, which is given for all positions. */
  readonly columns: readonly string[];
}

/** Names that transformers.js and GenAI know. */
const NAMES = ["key", "value", "more"];

function realised(known: Known, node: Node, found: Found, claim: Claim): Realisation {
  const { pairs, caches } = found;
  const report = ({ heads, width }: Cache): StateReport => ({
    ...{ state: "cache", form: "cache", channels: heads * width, lags: 0, order: 0 },
    because: "rows of keys and values are carried, one for each position",
  });
  return {
    ...{ opening: node, nodes: new Set(pairs.nodes), reports: caches.map(report), needsStart: false },
    claim,
    add: (b, place) => addAttention(b, known, found, place),
  };
}

const nameOf = (i: number): string => NAMES[i] ?? `${NAMES.at(-1)}_${i}`;

function addAttention(b: Builder, known: Known, { pairs, caches, columns }: Found, place: Place): StatePorts[] {
  const ports = caches.map(({ heads, width }, i): StatePorts => {
    const info = (name: string, length: string) => ({
      name,
      type: DataType.FLOAT,
      dims: [BATCH_SIZE, heads, length, width],
    });
    return {
      past: info(pastKeyValues(place.index, nameOf(i)), "past_sequence_length"),
      present: info(presentKeyValues(place.index, nameOf(i)), "total_sequence_length"),
    };
  });
  const size = (tensor: string) =>
    b.one("Gather", [b.one("Shape", [tensor], {}, { hint: "shape" }), b.ints("axis", [2])], {}, { hint: "length" });
  const past = size(ports[0]!.past.name);
  const keys = b.one("Add", [past, place.symbols.time()], {}, { hint: "keys" });
  const symbols = { batch: place.symbols.batch, time: place.symbols.time, keys: () => keys };
  const tensors = new Map<string, string>();
  for (const [i, cache] of caches.entries()) {
    const type = place.typeOf(cache.tensor);
    const own = type === DataType.FLOAT ? cache.tensor : b.one("Cast", [cache.tensor], { to: DataType.FLOAT });
    const asTime = (axes: Layout): Layout => axes.map((axis) => axis.map((f) => (f === "keys" ? "time" : f)));
    const rows = arranged(b, own, asTime(cache.axes), asTime(cache.stored), symbols);
    const fresh = place.mask === undefined ? rows : withoutPadding(b, rows, place.mask);
    const { past, present } = ports[i]!;
    b.one("Concat", [past.name, fresh], { axis: 2 }, { outputs: [present.name] });
    const whole = arranged(b, present.name, cache.stored, cache.axes, symbols);
    tensors.set(cache.tensor, type === DataType.FLOAT ? whole : b.one("Cast", [whole], { to: type }, { hint: "rows" }));
  }
  const { mask } = known.graphs.driven;
  const given = mask === undefined ? [] : [[mask, wholeMask(b, known, mask)] as const];
  const compute = positionsIn(b, known, place.model, { symbols, keys, past }, new Map(given));
  for (const name of columns) tensors.set(name, compute(name, undefined));
  const hiding = place.mask === undefined ? undefined : hidesPadding(b, pairs, symbols);
  addNodes(b, pairs, place, { tensors, compute, symbols, hiding });
  return ports;
}

/** Rows [batch, heads, time, width], zeros where the mask [batch, time, 1] is 0: what is left of padding may be no number. */
function withoutPadding(b: Builder, rows: string, mask: string): string {
  const columns = b.one("Unsqueeze", [mask, b.ints("axis", [1])], {}, { hint: "mask" });
  const shown = b.one("Cast", [columns], { to: DataType.BOOL }, { hint: "shown" });
  return b.one("Where", [shown, rows, b.floats("zero", [1], [0])], {}, { hint: "rows" });
}

/** The mask for all positions, in the type of the export's own. */
function wholeMask(b: Builder, { graphs }: Known, name: string): string {
  const { type } = graphs.model.graph.inputs.find((input) => input.name === name)!;
  return b.one("Cast", [ATTENTION_MASK], { to: type }, { hint: "mask" });
}

interface Inside {
  readonly tensors: Map<string, string>;
  readonly compute: ReturnType<typeof positionsIn>;
  readonly symbols: Parameters<typeof shapeOperand>[2];
  readonly hiding: Hiding | undefined;
}

/** The nodes between queries and keys, on all keys and the new queries. */
function addNodes(b: Builder, pairs: Pairs, place: Place, { tensors, compute, symbols, hiding }: Inside): void {
  const exits = new Set(pairs.exits);
  const keyedIn = (node: Node, name: string) =>
    pairs.keyed.has(name) && !(pairs.queried.has(name) && readsAsQuery(pairs, node, name));
  for (const each of pairs.nodes) {
    const node = place.original(each);
    const inputs = node.inputs.map((name) => {
      const layout = pairs.positions.get(name);
      if (layout) return compute(name, rowsAxis(layout));
      if (keyedIn(each, name)) return tensors.get(name)!;
      return pairs.layouts.has(name) ? tensors.get(name)! : name;
    });
    const target = pairs.layouts.get(node.outputs[0]!)!;
    if (node.op === "Reshape") inputs[1] = shapeOperand(b, target, symbols);
    if (node.op === "Expand") inputs[1] = dynamicShape(b, target, symbols);
    const before = hiding?.before(each, inputs) ?? inputs;
    const named = node.outputs.map((name) => (exits.has(name) ? name : ""));
    const outputs = b.copy(
      node,
      before,
      node.outputs.map((name, i) => (name ? named[i] || b.name(name) : "")),
    );
    for (const [i, name] of node.outputs.entries())
      if (name) tensors.set(name, hiding?.after(each, outputs[i]!) ?? outputs[i]!);
  }
}

/** A stream that is read both ways meets the pairs at its own positions in a product only as the first operand. */
const readsAsQuery = (_pairs: Pairs, node: Node, name: string): boolean =>
  node.op === "MatMul" && node.inputs[0] === name;

const rowsAxis = (layout: Layout): number | undefined => {
  const axis = layout.findIndex((own) => own.includes("time"));
  return axis < 0 ? undefined : axis;
};
