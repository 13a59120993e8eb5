/** The kernel of a region at any number of lags: from the tensor that holds it in the graph, or by an impulse. */
import { LongConvError } from "../../src/errors.ts";
import type { Kernels } from "../form.ts";
import { cut } from "../onnx/cut.ts";
import { whereOf } from "../onnx/graph.ts";
import { openModel } from "../onnx/run.ts";
import { toNumbers } from "../onnx/tensor.ts";
import type { TimeFacts } from "../time/follow.ts";
import { compareLengths, type Graphs, type Region } from "./region.ts";
import { openRegion } from "./respond.ts";
import { type Seen, zeroInputs } from "./shapes.ts";

/** Where a kernel comes from. */
export interface KernelSource {
  /** The tensor [lags, channels] or [channels, lags] that was found to hold it; undefined: an impulse through the region. */
  readonly tensor: string | undefined;
  /** Lags that can be had; undefined: any number. */
  readonly maxLags: number | undefined;
  /** @param lags at most `maxLags` */
  at(lags: number): Promise<Kernels>;
}

/**
 * Finds the source of a region's kernel. A function of the position with one row for each lag whose values are those of
 * the probed impulse response is the kernel itself, free of the transform's rounding, and cheap at any length.
 */
export async function kernelSource(graphs: Graphs, time: TimeFacts, region: Region): Promise<KernelSource> {
  if (region.maxLags !== undefined)
    return { tensor: undefined, maxLags: region.maxLags, at: (lags) => byImpulse(graphs, region, lags) };
  for (const candidate of kernelCandidates(graphs, time, region)) {
    const at = (lags: number) => evaluate(graphs, candidate, lags);
    const direct = matches(await at(region.probed.lags), region.probed);
    if (!direct) continue;
    return bounded(graphs, region, candidate.tensor, async (lags) => {
      const kernels = await at(lags);
      // a table that ends before the sequence does has fewer rows than asked for
      return kernels.taps.length === lags * region.channels
        ? withDirect(kernels, direct)
        : byImpulse(graphs, region, lags);
    });
  }
  return bounded(graphs, region, undefined, (lags) => byImpulse(graphs, region, lags));
}

/** Lags at which it is tried whether a graph has an end. */
const TRIED_LAGS = 4096;
const TABLE_LOOKUPS = new Set(["Slice", "Gather", "GatherElements", "GatherND"]);

/**
 * A source that knows up to how many lags the graph can be run, where tables of so many rows set an end, and that
 * refuses kernels that begin otherwise at other lengths than they were probed at.
 */
async function bounded(
  { model }: Graphs,
  region: Region,
  tensor: string | undefined,
  evaluated: (lags: number) => Promise<Kernels>,
): Promise<KernelSource> {
  const at = async (lags: number) => {
    const kernels = await evaluated(lags);
    const failure = compareLengths(region.probed, kernels, 1);
    if (failure) throw new LongConvError(failure.code, failure.reason, whereOf(model, region.opening));
    return kernels;
  };
  const rows = model.graph.nodes.flatMap(({ op, inputs }) =>
    TABLE_LOOKUPS.has(op) ? (model.graph.initializers.get(inputs[0]!)?.dims ?? []) : [],
  );
  const mayEnd = rows.some((size) => size >= region.probed.lags && size < TRIED_LAGS);
  if (!mayEnd || (await at(TRIED_LAGS).catch(ifItFails))) return { tensor, maxLags: undefined, at };
  let [works, fails] = [region.probed.lags, TRIED_LAGS];
  while (fails - works > 1) {
    const middle = Math.floor((works + fails) / 2);
    if (await at(middle).catch(ifItFails)) works = middle;
    else fails = middle;
  }
  return { tensor, maxLags: works, at };
}

function ifItFails(error: unknown): undefined {
  if (!(error instanceof LongConvError) || error.code !== "runtime-failed") throw error;
}

interface Candidate {
  readonly tensor: string;
  /** Time comes before the channels. */
  readonly timeFirst: boolean;
  readonly channels: number;
}

/** Functions of the position that reach into the region and have one row or column for each position. */
function kernelCandidates({ index, shapes }: Graphs, time: TimeFacts, region: Region): Candidate[] {
  const found: Candidate[] = [];
  const visited = new Set<string>();
  const queue = [...region.nodes].flatMap((node) => node.inputs);
  for (let name = queue.shift(); name !== undefined; name = queue.shift()) {
    if (visited.has(name) || time.facts.get(name)?.kind !== "position") continue;
    visited.add(name);
    const seen = shapes.seen.get(name);
    const timeFirst =
      seen &&
      orientation(
        seen,
        shapes.runs.map((run) => run.time),
        region.channels,
      );
    if (timeFirst !== undefined) found.push({ tensor: name, timeFirst, channels: region.channels });
    queue.push(...(index.producer.get(name)?.inputs ?? []));
  }
  return found;
}

/** Whether a tensor is [time, channels] (true) or [channels, time] (false), axes of size 1 aside. */
function orientation(seen: Seen, lengths: readonly number[], channels: number): boolean | undefined {
  const fits = (arrange: (time: number) => number[]) =>
    lengths.every((length, run) => {
      const dims = seen.dims[run]!.filter((size) => size !== 1);
      const wanted = arrange(length).filter((size) => size !== 1);
      const product = (sizes: readonly number[]) => sizes.reduce((a, b) => a * b, 1);
      const place = dims.indexOf(length);
      if (place < 0 || product(dims) !== product(wanted)) return false;
      return wanted[0] === length ? place === 0 : place === dims.length - 1;
    });
  if (fits((time) => [time, channels])) return true;
  return fits((time) => [channels, time]) ? false : undefined;
}

async function evaluate(graphs: Graphs, { tensor, timeFirst, channels }: Candidate, lags: number): Promise<Kernels> {
  const runner = await openModel(cut(graphs.model, graphs.model.graph.inputs, [tensor]));
  try {
    const wanted = new Set(runner.inputs);
    const feeds = Object.entries(zeroInputs(graphs.model, graphs.inputs, { batch: 1, time: lags })).filter(([name]) =>
      wanted.has(name),
    );
    const values = toNumbers((await runner.run(Object.fromEntries(feeds)))[tensor]!);
    if (timeFirst) return { lags, channels, taps: values };
    const taps = new Float64Array(values.length);
    for (let c = 0; c < channels; c++) for (let k = 0; k < lags; k++) taps[k * channels + c] = values[c * lags + k]!;
    return { lags, channels, taps };
  } finally {
    await runner.close();
  }
}

/** What lag 0 has beyond the candidate (a skip term), if all other lags agree to what the transform rounds. */
function matches(candidate: Kernels, probed: Kernels): Float64Array | undefined {
  const { lags, channels, taps } = probed;
  if (candidate.taps.length !== taps.length) return undefined;
  const direct = new Float64Array(channels);
  for (let c = 0; c < channels; c++) {
    let norm = 0;
    for (let k = 0; k < lags; k++) norm += taps[k * channels + c]! ** 2;
    const tolerance = 64 * 2 ** -24 * (Math.sqrt(norm) + 1e-30);
    for (let k = 0; k < lags; k++) {
      const difference = taps[k * channels + c]! - candidate.taps[k * channels + c]!;
      if (k === 0) direct[c] = Math.abs(difference) <= tolerance ? 0 : difference;
      else if (!(Math.abs(difference) <= tolerance)) return undefined;
    }
  }
  return direct;
}

function withDirect(kernels: Kernels, direct: Float64Array): Kernels {
  for (let c = 0; c < kernels.channels; c++) kernels.taps[c]! += direct[c]!;
  return kernels;
}

/** One run with an impulse in every channel, at a power of two, where ORT's DFT is precise. */
async function byImpulse(graphs: Graphs, region: Region, lags: number): Promise<Kernels> {
  const time = region.maxLags ?? 2 ** Math.ceil(Math.log2(Math.max(lags, region.probed.lags)));
  const { entryChannels, channels, bias } = region;
  const row = new Float64Array(time * entryChannels).fill(1, 0, entryChannels);
  const responder = await openRegion(graphs.model, graphs.inputs, region.entry, region.exit);
  try {
    const [answer] = await responder.respond([row], time);
    const taps = answer!.slice(0, lags * channels);
    if (bias) for (let i = 0; i < taps.length; i++) taps[i]! -= bias[i % channels]!;
    return { lags, channels, taps };
  } finally {
    await responder.close();
  }
}
