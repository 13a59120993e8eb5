/** Closes an opening: the smallest region around it that probes show to be a causal convolution, or the reason why none is. */
import type { ErrorCode } from "../../src/errors.ts";
import type { Node } from "../graph/graph.ts";
import { DataType, typeName } from "../graph/tensor.ts";
import { type Graphs, typeIn } from "../parts/graphs.ts";
import { type End, isFailedRun, openKernels } from "../parts/open-region.ts";
import { fixedSizes, possibleLayouts } from "../parts/seen-shapes.ts";
import type { Kernels, Mixing } from "../solve/form.ts";
import { channelCount, type Layout } from "../time/facts/fact.ts";
import type { Closed, Opening, TimeFacts } from "../time/follow.ts";
import { isOffset } from "../time/offset.ts";
import { causeAt } from "./cause.ts";
import { coneOf, type Exit } from "./cone.ts";
import { grow } from "./grow.ts";
import { addsUp } from "./mixing.ts";
import { type ProbeRefusal, type ProbeResult, probe } from "./probe.ts";

/** A long convolution: one stream in, one stream out. */
export interface Region extends Closed {
  readonly reason: string;
  readonly entry: End;
  readonly exit: End;
  /** Channels that enter. */
  readonly entryChannels: number;
  /** Channels that leave; where it mixes channels, kernels from one that enters to one that leaves. */
  readonly channels: number;
  /** Undefined where each channel that leaves is made of one that enters. */
  readonly mixing: Mixing | undefined;
  /** Of each channel that leaves, the one that enters and is answered there: in any order, and by several kernels. */
  readonly sources: readonly number[];
  /** What is added to every position, [channels]; the same for all kernels of a channel that leaves; undefined where nothing is. */
  readonly bias: Float64Array | undefined;
  /** Kernels as probed, at the longest probed length. */
  readonly probed: Kernels;
  /** Lags that the graph can give at most: its length, where that is fixed. */
  readonly maxLags: number | undefined;
}

/** An opening that no region closes. */
export interface RefusedOpening extends Closed {
  readonly at: Node;
  readonly code: ErrorCode;
  readonly reason: string;
  readonly remedy?: string | undefined;
  /** It reads what another opening makes, and may be closed once that is. */
  readonly waits?: true | undefined;
}

/** The answer of a kind of state that refuses an opening. @param at the node to be named, where it is another one */
export const refuseOpening = (
  opening: Node,
  code: ErrorCode,
  reason: string,
  { at = opening, remedy }: { readonly at?: Node; readonly remedy?: string | undefined } = {},
): RefusedOpening => ({ opening, nodes: new Set([opening]), exits: [], at, code, reason, remedy });

/** What a state of float32 carries as it is computed; half precision is analysed in float32. */
const FLOATS = new Set<number>([DataType.FLOAT]);

/** Kernels of a region that mixes channels: each is read, and reduced with the others. */
const MOST_KERNELS = 1024;

/** Lengths at which a dynamic region is probed: even and odd ones, and the shortest. */
const PROBE_LENGTHS = [32, 64, 19, 3, 2, 1] as const;

/** @returns a region, or the refusal that is most telling */
export async function closeRegion(
  graphs: Graphs,
  time: TimeFacts,
  closed: readonly Closed[],
  opening: Opening,
): Promise<Region | RefusedOpening> {
  const { model, index, shapes } = graphs;
  const cone = coneOf(model.graph.nodes, index, time, closed, opening);
  const fact = time.facts.get(cone.entry);
  const refuse = (at: Node, code: ErrorCode, reason: string) => refuseOpening(opening.node, code, reason, { at });
  if (fact?.kind !== "stream" || isOffset(fact)) return refuse(opening.node, "mixes-time", opening.reason);
  const entry: End = { tensor: cone.entry, axes: fact.axes, type: typeIn(graphs, cone.entry) };

  if (entry.type === DataType.BOOL)
    return refuse(
      opening.node,
      "mixes-time",
      `${opening.reason}; what the mask '${cone.entry}' shows depends on the data`,
    );
  if (!FLOATS.has(entry.type))
    return refuse(
      opening.node,
      "mixes-time",
      `${opening.reason}, in ${typeName(entry.type)}, which a float32 state does not carry as it is`,
    );
  let telling: (ProbeRefusal & { exit: Exit }) | undefined;
  for (const [i, exit] of cone.exits.entries()) {
    const seen = shapes.seen.get(exit.tensor);
    if (!seen) continue;
    for (const axes of orderedLayouts(possibleLayouts(seen, shapes.runs), entry.axes)) {
      const end: End = { tensor: exit.tensor, axes, type: seen.type };
      // what it grows to is probed first: where that is a convolution, nothing more need be known
      const grown = grow(graphs, time, cone, i, { entry, exit: end, nodes: exit.nodes });
      const grew = grown && (await probeRegion(graphs, opening, grown.entry, grown.exit, grown.nodes));
      if (grew && !("code" in grew)) return grew;
      const found = await probeRegion(graphs, opening, entry, end, exit.nodes);
      if (!("code" in found)) return found;
      // what channels make alone tells more than that they influence one another
      const mixed =
        found.code === "mixes-channels" && (await probeRegion(graphs, opening, entry, end, exit.nodes, true));
      if (mixed && !("code" in mixed)) return mixed;
      const refusal = mixed || found;
      if (!telling || refusal.stage > telling.stage) telling = { ...refusal, exit };
    }
  }
  const first = time.openings.find((other) => other.node === opening.node) ?? opening;
  const cause = causeAt(first, time.facts.get(first.stream));
  if (cause && (!telling || telling.stage < 2)) return refuseOpening(opening.node, cause.code, cause.reason, cause);
  if (telling && (telling.stage >= 2 || !cone.refusal))
    return refuse(opening.node, telling.code, `${first.reason}, and ${telling.reason}`);
  if (cone.refusal)
    return refuse(
      cone.refusal.node,
      cone.refusal.code,
      `${cone.refusal.reason} (time is mixed from '${opening.node.name}' on: ${first.reason})`,
    );
  return refuse(opening.node, "mixes-time", `${first.reason}, and what comes out of it is no stream again`);
}

/** The convolution from the entry to one exit, in the first layout in which it is one; else what spoke against it last. */
export async function probedAt(
  graphs: Graphs,
  time: TimeFacts,
  opening: Opening,
  tensor: string,
  exit: Exit,
): Promise<Region | ProbeRefusal> {
  const fact = time.facts.get(tensor);
  const seen = graphs.shapes.seen.get(exit.tensor);
  let refusal: ProbeRefusal = { code: "mixes-time", reason: opening.reason, stage: 0 };
  if (fact?.kind !== "stream" || isOffset(fact) || !seen || !FLOATS.has(typeIn(graphs, tensor))) return refusal;
  const entry: End = { tensor, axes: fact.axes, type: typeIn(graphs, tensor) };
  for (const axes of orderedLayouts(possibleLayouts(seen, graphs.shapes.runs), entry.axes)) {
    const end: End = { tensor: exit.tensor, axes, type: seen.type };
    const found = await probeRegion(graphs, opening, entry, end, exit.nodes);
    if (!("code" in found)) return found;
    refusal = found;
  }
  return refusal;
}

/** The same layout as the entry's first, then the same rank. */
function orderedLayouts(layouts: readonly Layout[], entry: Layout): Layout[] {
  const score = (axes: Layout) =>
    axes.length === entry.length && axes.every((axis, k) => axis.join() === entry[k]!.join())
      ? 0
      : axes.length === entry.length
        ? 1
        : 2;
  return [...layouts].sort((a, b) => score(a) - score(b));
}

/** Probes a region at every length that the graph allows. @param apart each channel that enters alone */
async function probeRegion(
  graphs: Graphs,
  opening: Opening,
  entry: End,
  exit: End,
  nodes: readonly Node[],
  apart = false,
): Promise<Region | ProbeRefusal> {
  const entryChannels = channelCount(entry.axes);
  const outputs = channelCount(exit.axes);
  const mixing = apart ? { inputs: entryChannels, outputs } : undefined;
  const channels = apart ? entryChannels * outputs : outputs;
  if (apart && channels > MOST_KERNELS) {
    const reason = `mixes ${entryChannels} channels into ${outputs}, and no more than ${MOST_KERNELS} kernels are followed`;
    return { code: "mixes-channels", reason, stage: 3 };
  }
  const fixed = fixedSizes(graphs.inputs).time;
  const opened = await openKernels(graphs, { entry, exit, mixing });
  try {
    let known: ProbeResult | undefined;
    let failed: unknown;
    for (const time of fixed ? [fixed] : PROBE_LENGTHS) {
      const result = await probe(opened.runRows, time, entryChannels, known === undefined, known).catch(
        (error: unknown) => {
          // some graphs do not take every length: not below their reach, only multiples of some number
          if (fixed !== undefined || !isFailedRun(error)) throw error;
          failed = error;
        },
      );
      if (!result) continue;
      if ("code" in result) return result;
      const other = known && (compareLengths(known.kernels, result.kernels) ?? compareBiases(known.bias, result.bias));
      if (other) return other;
      const kernels = known && known.kernels.lags >= result.kernels.lags ? known.kernels : result.kernels;
      known = { kernels, bias: known?.bias ?? result.bias, sources: result.sources };
    }
    if (!known) throw failed;
    const { kernels: probed, bias, sources } = known;
    const alone = mixing && (await addsUp(graphs, { entry, exit }, opened.runRows, known, probed.lags));
    if (alone) return alone;
    return {
      opening: opening.node,
      reason: opening.reason,
      nodes: new Set(nodes),
      exits: [{ tensor: exit.tensor, fact: { kind: "stream", axes: exit.axes } }],
      entry,
      exit,
      entryChannels,
      channels,
      mixing,
      sources: sources.map((source, c) =>
        apart ? c % entryChannels : (source ?? Math.floor((c * entryChannels) / channels)),
      ),
      bias: bias.some((value) => value !== 0) ? bias : undefined,
      probed,
      maxLags: fixed,
    };
  } finally {
    await opened.close();
  }
}

/** What is added to every position must not depend on the length either. */
function compareBiases(a: Float64Array, b: Float64Array): ProbeRefusal | undefined {
  const c = a.findIndex((value, k) => !(Math.abs(value - b[k]!) <= 64 * 2 ** -24 * Math.abs(value) + 1e-36));
  if (c < 0) return undefined;
  const reason = `what it adds to every position changes with the length (channel ${c})`;
  return { code: "depends-on-length", reason, stage: 5 };
}

/** The kernel must not depend on the length of the sequence. */
export function compareLengths(a: Kernels, b: Kernels): ProbeRefusal | undefined {
  const lags = Math.min(a.lags, b.lags);
  for (let c = 0; c < a.channels; c++) {
    let norm = 0;
    for (let k = 0; k < a.lags; k++) norm += a.taps[k * a.channels + c]! ** 2;
    const tolerance = 256 * 2 ** -24 * Math.sqrt(norm) + 1e-36;
    for (let k = 0; k < lags; k++) {
      const difference = Math.abs(a.taps[k * a.channels + c]! - b.taps[k * b.channels + c]!);
      if (!(difference <= tolerance))
        return {
          code: "depends-on-length",
          reason: `its kernel is another one at length ${a.lags} than at ${b.lags} (lag ${k}, channel ${c})`,
          stage: 5,
        };
    }
  }
  return undefined;
}
