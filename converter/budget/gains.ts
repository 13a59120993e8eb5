/** What an error of each convolution does to the outputs, measured: its answers are disturbed a little, and the outputs compared. */
import { uniform } from "../../src/random.ts";
import type { Found } from "../find/found.ts";
import type { Region } from "../find/region.ts";
import { makeTensor, type Tensor, toNumbers } from "../graph/tensor.ts";
import { openModel } from "../ort/run.ts";
import { fromLayout, toLayout } from "../parts/canonical.ts";
import { randomInputs } from "../parts/feeds.ts";
import { precise } from "../parts/graphs.ts";
import type { End } from "../parts/open-region.ts";
import { fixedSizes } from "../parts/seen-shapes.ts";
import { dimsOf, type Layout, type Sizes, timeAxis } from "../time/facts/fact.ts";
import { disturbable } from "./disturb.ts";

/** Of the root mean square of a channel's answers: far above the rounding of float32, and small beside what it disturbs. */
const DISTURBANCE = 1 / 64;
/** Channels below this part of their layer are disturbed as if they were so large. */
const SILENT = 1 / 64;
/** Groups of channels of a layer that are disturbed one by one, at most. */
const GROUPS = 128;
/** Runs for a layer, at most: fewer groups where the graph takes few rows. */
const RUNS = 16;
/** Numbers that one run gives, at most. */
const FLOATS = 2 ** 24;

/** An output whose rows are its sequences. */
interface Output {
  readonly name: string;
  readonly axes: Layout;
}

/**
 * The gains of all convolutions, [channels] each: what the outputs change by, root mean square and relative to themselves, for
 * an error of norm 1 (‖e‖₂) in the kernel of that channel. Measured on random inputs, where a kernel's error times the root mean
 * square of its input is what its answer is off by. Channels beyond {@link GROUPS} are disturbed in groups that share a gain.
 *
 * @param found convertible
 * @returns 0 for what no output with a batch axis depends on
 */
export async function measureGains(
  found: Found,
  onProgress?: (done: number, total: number) => void,
): Promise<ReadonlyMap<Region, Float64Array>> {
  const { graphs, constants, regions } = found;
  const outputs = outputsOf(found);
  const sizes = sizesOf(found, outputs);
  const { model, names } = disturbable(graphs.model, regions);
  const runner = await openModel(precise(graphs, model));
  try {
    const still = Object.fromEntries(regions.map(({ exit }, i) => [names[i]!, signalOf(exit, sizes)]));
    const feeds = { ...randomInputs(graphs, constants, sizes, 5), ...still };
    const before = await runner.run(feeds);
    const gains = new Map<Region, Float64Array>();
    for (const [i, region] of regions.entries()) {
      onProgress?.(i, regions.length);
      // kernels that mix channels keep a tolerance of their own
      if (region.mixing) continue;
      const answers = channelSizes(before[region.exit.tensor]!, region.exit, region.channels, sizes);
      const least = SILENT * Math.sqrt(answers.reduce((sum, size) => sum + size * size, 0) / answers.length) || 1;
      const disturbances = answers.map((size) => DISTURBANCE * Math.max(size, least));
      const groups = Math.min(region.channels, GROUPS, RUNS * sizes.batch);
      const [squares, rows] = [new Float64Array(groups), new Float64Array(groups)];
      for (let first = 0; first < groups; first += sizes.batch) {
        const signal = signalOf(region.exit, sizes, (row, c) =>
          c % groups === (first + row) % groups ? disturbances[c]! : 0,
        );
        const after = await runner.run({ ...feeds, [names[i]!]: signal });
        const changes = changesOf(before, after, outputs, sizes);
        changes.forEach((change, row) => {
          squares[(first + row) % groups]! += change;
          rows[(first + row) % groups]! += 1;
        });
      }
      const inputs = channelSizes(before[region.entry.tensor]!, region.entry, region.entryChannels, sizes);
      const disturbed = new Float64Array(groups);
      disturbances.forEach((size, c) => {
        disturbed[c % groups]! += size * size;
      });
      const gainOf = (source: number, c: number) =>
        Math.sqrt(squares[c % groups]! / rows[c % groups]! / disturbed[c % groups]!) * inputs[source]!;
      gains.set(region, Float64Array.from(region.sources, gainOf));
    }
    return gains;
  } finally {
    await runner.close();
  }
}

const outputsOf = ({ graphs, time }: Found): Output[] =>
  graphs.model.graph.outputs.flatMap(({ name }) => {
    const fact = time.facts.get(name);
    const axes = fact && "axes" in fact ? fact.axes : undefined;
    return axes?.some((axis) => axis.includes("batch")) ? [{ name, axes }] : [];
  });

/** A length at which the graph is known to run, and as many rows as it takes and memory allows. */
function sizesOf({ graphs }: Found, outputs: readonly Output[]): Sizes {
  const { time } = graphs.shapes.runs.at(-1)!;
  const fixed = fixedSizes(graphs.inputs).batch;
  const floats = outputs.reduce(
    (sum, { axes }) => sum + dimsOf(axes, { batch: 1, time }).reduce((a, b) => a * b, 1),
    1,
  );
  return { time, batch: fixed ?? Math.max(1, Math.min(GROUPS, Math.floor(FLOATS / floats))) };
}

/** Random signs times the size for each row and channel, at every position; without a size, zeros. */
function signalOf({ axes, type }: End, sizes: Sizes, sizeOf?: (row: number, channel: number) => number): Tensor {
  const dims = dimsOf(axes, sizes);
  const values = new Float64Array(dims.reduce((a, b) => a * b, 1));
  const channels = values.length / (sizes.batch * sizes.time);
  const next = uniform(11);
  for (let i = 0; sizeOf && i < values.length; i++) {
    const size = sizeOf(Math.floor(i / (sizes.time * channels)), i % channels);
    if (size > 0) values[i] = next() < 0.5 ? -size : size;
  }
  return makeTensor(type, dims, toLayout(values, axes, sizes));
}

/** By row: what the outputs changed by, mean square, over what they are; the mean over the outputs. What is not finite is left out. */
function changesOf(
  before: Record<string, Tensor>,
  after: Record<string, Tensor>,
  outputs: readonly Output[],
  { batch, time }: Sizes,
): Float64Array {
  const changes = new Float64Array(batch);
  for (const { name, axes } of outputs) {
    const sizes = { batch, time: timeAxis(axes) < 0 ? 1 : time };
    const [was, is] = [before, after].map((run) => fromLayout(toNumbers(run[name]!), axes, sizes)) as [
      Float64Array,
      Float64Array,
    ];
    const width = was.length / batch;
    const changed = new Float64Array(batch);
    let all = 0;
    was.forEach((value, k) => {
      const difference = is[k]! - value;
      if (!Number.isFinite(difference)) return;
      all += value * value;
      changed[Math.floor(k / width)]! += difference * difference;
    });
    for (let row = 0; row < batch; row++) changes[row]! += (changed[row]! * batch) / (all || 1) / outputs.length;
  }
  return changes;
}

/** The root mean square of each channel of a stream. */
function channelSizes(tensor: Tensor, { axes }: End, channels: number, sizes: Sizes): Float64Array {
  const values = fromLayout(toNumbers(tensor), axes, sizes);
  const squares = new Float64Array(channels);
  for (let i = 0; i < values.length; i++) squares[i % channels]! += values[i]! ** 2;
  return squares.map((sum) => Math.sqrt((sum * channels) / values.length));
}
