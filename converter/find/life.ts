/** Whether a kernel that has died away, or ended, stays dead: looked at far beyond the lags that a form is chosen by. */
import { DataType, makeTensor, type Tensor, toNumbers } from "../graph/tensor.ts";
import type { Graphs } from "../parts/graphs.ts";
import { openPart } from "../parts/part.ts";
import { fixedSizes, zeroInputs } from "../parts/seen-shapes.ts";
import { timeAxis } from "../time/facts/fact.ts";
import type { TimeFacts } from "../time/follow.ts";
import { type KernelTensor, tapsIn } from "./evaluation.ts";

/** Lags to which every kernel is looked at, where it does not end by rule and the graph reaches so far. */
export const LIFE_LAGS = 131_072;
/** Taps that are looked at at most; beyond, lags are sampled. */
const MOST_TAPS = 2 ** 25;
/** Lags of one run. */
const CHUNK = 4096;

/** A kernel that can be evaluated at any lags, one by one. */
export interface LagReader {
  /** Taps [lags.length × channels]. */
  read(lags: readonly number[]): Promise<Float64Array>;
  close(): Promise<void>;
}

/** Where the counting of positions begins: the outputs of Range that a tensor is made of; undefined where rows come from elsewhere. */
function rangesOf(graphs: Graphs, time: TimeFacts, tensor: string): readonly string[] | undefined {
  const { index } = graphs;
  const ranges: string[] = [];
  const visited = new Set<string>();
  const queue = [tensor];
  for (let name = queue.pop(); name !== undefined; name = queue.pop()) {
    const fact = time.facts.get(name);
    if (visited.has(name) || fact?.kind !== "position") continue;
    visited.add(name);
    const node = index.producer.get(name);
    if (!fact.axes || !node) return undefined;
    if (timeAxis(fact.axes) < 0) continue;
    if (node.op === "Range") {
      // lags are counted from 0
      if (numberOf(graphs, node.inputs[0]!) !== 0 || numberOf(graphs, node.inputs[2]!) !== 1) return undefined;
      ranges.push(name);
      continue;
    }
    // rows that are looked up, or made of those before them, do not follow from the place alone
    const inputs = node.inputs.filter((input) => {
      const of = time.facts.get(input);
      return of?.kind === "position" && of.axes && timeAxis(of.axes) >= 0;
    });
    if (inputs.length === 0 || node.op === "CumSum" || node.op === "CumProd") return undefined;
    queue.push(...node.inputs.filter(Boolean));
  }
  return ranges.length > 0 ? ranges : undefined;
}

/** The value of a constant of one number; undefined where it is computed. */
function numberOf({ model, index }: Graphs, name: string): number | undefined {
  const { value } = index.producer.get(name)?.attributes ?? {};
  const given =
    model.graph.initializers.get(name)?.tensor() ?? (typeof value === "object" && "data" in value ? value : undefined);
  return given && given.data.length === 1 ? Number(given.data[0]) : undefined;
}

/** Opens a kernel that is a tensor of the graph, made row by row from the position; undefined where it is made otherwise. */
export async function openLags(graphs: Graphs, time: TimeFacts, holder: KernelTensor): Promise<LagReader | undefined> {
  const { tensor, channels } = holder;
  const ranges = rangesOf(graphs, time, tensor);
  if (!ranges) return undefined;
  const { model, inputs, shapes } = graphs;
  const typeOf = (name: string) => shapes.seen.get(name)?.type ?? DataType.FLOAT;
  const given = ranges.map((name) => ({ name, type: typeOf(name), dims: undefined }));
  const part = await openPart(graphs, given, [tensor]);
  const read = async (lags: readonly number[]): Promise<Float64Array> => {
    const sizes = { batch: fixedSizes(inputs).batch ?? 1, time: lags.length };
    const places = Object.fromEntries(given.map(({ name, type }) => [name, placesOf(type, lags)]));
    const values = toNumbers((await part.run({ ...zeroInputs(model, inputs, sizes), ...places }, sizes))[tensor]!);
    if (values.length !== lags.length * channels) return new Float64Array(0);
    return tapsIn(holder, values, lags.length);
  };
  return { read, close: () => part.close() };
}

function placesOf(type: number, lags: readonly number[]): Tensor {
  const dims = [lags.length];
  if (type === DataType.INT64) return makeTensor(type, dims, BigInt64Array.from(lags, BigInt));
  if (type === DataType.INT32) return makeTensor(type, dims, Int32Array.from(lags));
  if (type === DataType.DOUBLE) return makeTensor(type, dims, Float64Array.from(lags));
  return makeTensor(DataType.FLOAT, dims, Float32Array.from(lags));
}

/** Lags from `from` on before {@link LIFE_LAGS}: all, or as many as are worth it, spread and never in step. */
function lagsToRead(from: number, channels: number): number[] {
  const all = LIFE_LAGS - from;
  const count = Math.min(all, Math.floor(MOST_TAPS / channels));
  return Array.from({ length: count }, (_, i) => from + Math.floor(((i + ((i * 0.618_033_988_75) % 1)) * all) / count));
}

/** Looks through taps that should count for nothing, piece by piece. */
export interface Look {
  /**
   * The place in a piece [lags × channels] from which on something lives: a tap larger than its channel's limit, or more in
   * the sum of squares of all that was looked through. Undefined: nothing does.
   * @param weight lags that each one read stands for
   */
  firstAlive(taps: Float64Array, weight: number): number | undefined;
}

/**
 * @param limits what a tap, or the norm of all of them, may be in each channel
 * @param rounding part of the limit by which every tap may be off, where it was read through a transform
 */
export function lookFor(limits: Float64Array, rounding = 0): Look {
  const channels = limits.length;
  const energies = new Float64Array(channels);
  return {
    firstAlive(taps, weight) {
      for (let i = 0; i < taps.length; i++) {
        const c = i % channels;
        const [tap, limit] = [Math.abs(taps[i]!), limits[c]!];
        energies[c]! += weight * Math.max(0, tap ** 2 - (rounding * limit) ** 2);
        if (!(tap <= limit && energies[c]! <= limit ** 2)) return Math.floor(i / channels);
      }
      return undefined;
    },
  };
}

/** The first lag from `from` on, of those that are read, at which a kernel is seen to live; undefined: none. */
export async function firstAlive(reader: LagReader, from: number, limits: Float64Array): Promise<number | undefined> {
  const lags = lagsToRead(from, limits.length);
  const look = lookFor(limits);
  for (let at = 0; at < lags.length; at += CHUNK) {
    const chunk = lags.slice(at, at + CHUNK);
    const place = look.firstAlive(await reader.read(chunk), (LIFE_LAGS - from) / lags.length);
    if (place !== undefined) return chunk[place]!;
  }
  return undefined;
}
