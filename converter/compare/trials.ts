/** What the check runs: inputs at the sizes at which both models can be run, and the ways in which the converted one reads them. */
import { LongConvError } from "../../src/errors.ts";
import { uniform } from "../../src/random.ts";
import type { Found } from "../find/found.ts";
import { bytesAt } from "../find/memory.ts";
import { integerTensor } from "../graph/integers.ts";
import { joinRows } from "../graph/join.ts";
import type { Tensor } from "../graph/tensor.ts";
import { randomInputs } from "../parts/feeds.ts";
import type { Graphs } from "../parts/graphs.ts";
import { fixedSizes } from "../parts/seen-shapes.ts";
import { axisOf, channelCount, type Layout, type Sizes, timeAxis } from "../time/facts/fact.ts";
import { paddingOf } from "./padding.ts";

/** How the converted model reads a sequence. */
export type Way = "whole" | "last position" | "token by token" | "cut at random" | "padded" | "step file";

/** Positions of padding before a sequence that is read with some. */
export const PADDING = 3;
/** Sequences that are compared in every batch. */
const LENGTHS = [16, 128] as const;
/** Others, of odd lengths and batches of more rows. */
const ODD: readonly Sizes[] = [
  { batch: 1, time: 1 },
  { batch: 1, time: 2 },
  { batch: 1, time: 3 },
  { batch: 5, time: 7 },
  { batch: 17, time: 9 },
  { batch: 12, time: 31 },
  { batch: 1, time: 67 },
];
/** The longest, for what sets in late: the first at which the original's tensors take no more than so many bytes. */
const LATE = [
  { length: 2048, bytes: 2 ** 27 },
  { length: 512, bytes: 2 ** 29 },
] as const;
/** One set of inputs, and how the converted model reads it. */
export interface Trial {
  readonly sizes: Sizes;
  readonly feeds: Record<string, Tensor>;
  /** What the original reads: the same, or its parts where it has a fixed batch size. */
  readonly parts: readonly Record<string, Tensor>[];
  readonly ways: readonly Way[];
}

/** Outputs of a trial that are kept at most; of those of odd lengths, what is cheap. */
const LARGEST_OUTPUT = 2 ** 23;
const ODD_OUTPUT = 2 ** 21;

/** Inputs of the converted model that say which ways there are. */
export interface Takes {
  /** `num_logits_to_keep`. */
  readonly keeps: boolean;
  /** `attention_mask`. */
  readonly masks: boolean;
}

export function trialsOf(found: Found, reach: number, outputAxes: ReadonlyMap<string, Layout>, takes: Takes): Trial[] {
  const layouts = [...outputAxes.values()];
  const channels = layouts.reduce((most, axes) => Math.max(most, channelCount(axes)), 1);
  const outputs = ({ batch, time }: Sizes) => batch * time * channels;
  const cases = casesOf(found, reach, layouts).filter((sizes, i) => {
    if (ODD.includes(sizes)) return outputs(sizes) <= ODD_OUTPUT;
    return i === 0 || sizes.batch === 1 || outputs(sizes) <= LARGEST_OUTPUT;
  });
  const trials = cases.map((own, i): Trial => {
    const sizes = lengthened(found, own, reach);
    const feeds = withPadding(found.graphs, randomInputs(found.graphs, found.constants, sizes, 1000 + i), sizes);
    return { sizes, feeds, parts: [feeds], ways: waysOf(own, takes, i) };
  });
  const { batch } = fixedSizes(found.graphs.inputs);
  // rows of what both give are joined position by position
  const isBatchFirst = layouts.every((axes) => axes.filter((axis) => axis.join() !== "time")[0]?.[0] === "batch");
  if (batch === undefined || !isBatchFirst) return trials;
  // a fixed batch size is one no more: two runs of the original against one of the converted model
  const parts = [11, 12].map((seed) => randomInputs(found.graphs, found.constants, cases[0]!, seed));
  const feeds = stackInputs(found, parts[0]!, parts[1]!);
  return [...trials, { sizes: { batch: 2 * batch, time: cases[0]!.time }, feeds, parts, ways: ["cut at random"] }];
}

/** By as many positions longer as an output lacks at most: it has as many rows as there are positions then. */
function lengthened({ graphs, lacking }: Found, { batch, time }: Sizes, reach: number): Sizes {
  const most = Math.max(0, ...[...lacking.values()].map(({ front, behind }) => front + behind));
  const isFixed = fixedSizes(graphs.inputs).time !== undefined;
  return { batch, time: isFixed ? time : Math.max(time, Math.min(time + most, reach)) };
}

/** The export's own mask and positions for rows with padding in front. */
function withPadding(graphs: Graphs, feeds: Record<string, Tensor>, { time }: Sizes): Record<string, Tensor> {
  const { mask, positions } = graphs.driven;
  if (mask === undefined) return feeds;
  const before = (i: number) => paddingOf(graphs, Math.floor(i / time), time);
  const { type, dims } = feeds[mask]!;
  const masked = integerTensor(type, dims, (i) => (i % time < before(i) ? 0 : 1));
  const placed = positions && integerTensor(feeds[positions]!.type, dims, (i) => Math.max(0, (i % time) - before(i)));
  return { ...feeds, [mask]: masked, ...(placed && { [positions]: placed }) };
}

/**
 * The sizes at which both can be run, within reach.
 * @throws LongConvError no-horizon where the graph has one length, its output is that of the last position, and the
 * forms do not reach so far
 */
function casesOf(found: Found, reach: number, outputs: readonly Layout[]): Sizes[] {
  const fixed = fixedSizes(found.graphs.inputs);
  const batches = fixed.batch !== undefined ? [fixed.batch] : [1, 3];
  if (fixed.time !== undefined && fixed.time > reach && outputs.every((axes) => timeAxis(axes) < 0))
    throw new LongConvError(
      "no-horizon",
      `the graph was exported for ${fixed.time} positions and gives the output of the last one, and a horizon of ${reach} lags is asked for`,
      { file: found.original.file || undefined },
      `Ask for at least ${fixed.time} lags.`,
    );
  const within = (length: number) => Math.min(length, 2 ** Math.floor(Math.log2(reach)));
  const lengths = fixed.time !== undefined ? [fixed.time] : [...new Set(LENGTHS.map(within))];
  const cases = lengths.flatMap((time) => batches.map((batch) => ({ batch, time })));
  if (fixed.time !== undefined) return cases;
  const { shapes, model } = found.graphs;
  const odd = ODD.filter(({ time, batch }) => time <= reach && (fixed.batch === undefined || batch === fixed.batch));
  const late = LATE.find(({ length, bytes }) => length <= reach && bytesAt(shapes, model.graph.nodes, length) <= bytes);
  return [...cases, ...odd, ...(late ? [{ batch: batches[0]!, time: late.length }] : [])];
}

/** Inputs of two runs as one batch; what has no batch axis is taken from the first. */
function stackInputs(found: Found, a: Record<string, Tensor>, b: Record<string, Tensor>): Record<string, Tensor> {
  return Object.fromEntries(
    Object.entries(a).map(([name, tensor]) => {
      const axis = axisOf(found.graphs.inputs.layouts.get(name)!, "batch");
      if (axis < 0) return [name, tensor];
      const rows = [tensor, b[name]!].map((each) => ({ tensor: each, from: 0, to: each.dims[axis]! }));
      return [name, joinRows(rows, axis)];
    }),
  );
}

function waysOf({ batch, time }: Sizes, { keeps, masks }: Takes, place: number): Way[] {
  if (LATE.some(({ length }) => length === time)) return ["cut at random"];
  // a single token has no places to cut at
  if (time <= 3) return ["whole", "token by token"];
  if (ODD.some((odd) => odd.time === time)) return ["whole", "cut at random"];
  const whole: Way[] = keeps ? ["whole", "last position"] : ["whole"];
  const pieces: Way[] = batch === 1 ? ["token by token", "cut at random"] : ["cut at random"];
  // the shortest of them, of one row and of more
  return [...whole, ...pieces, ...(masks && place < 2 ? (["padded"] as const) : [])];
}

/** Positions that are read one by one at the beginning, in the middle and at the end of a longer sequence. */
const [FIRST, MIDDLE, LAST] = [24, 16, 24];

/** A step reads its state, its token and its place: longer rows of them show nothing that these do not, and take most of the check. */
function singles(length: number): number[] {
  const middle = (length - MIDDLE) >> 1;
  const isSingle = (i: number) => i < FIRST || (i >= middle && i < middle + MIDDLE) || i >= length - LAST;
  const ends = Array.from({ length }, (_, i) => i + 1);
  // a piece ends where single steps begin
  return ends.filter((end) => isSingle(end - 1) || isSingle(end));
}

export function cutsOf(way: Way, length: number, seed: number): number[] {
  if (way === "whole" || way === "last position") return [length];
  if (way === "padded") return [Math.ceil(length / 2), length];
  if (way === "step file") return Array.from({ length }, (_, i) => i + 1);
  if (way === "token by token") return singles(length);
  const next = uniform(seed);
  const cuts: number[] = [];
  for (let at = 0; at < length; ) {
    at = Math.min(length, at + (next() < 0.3 ? 1 : 1 + Math.floor((next() * length) / 3)));
    cuts.push(at);
  }
  return cuts;
}
