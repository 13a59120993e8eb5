/** A part of a graph, run alone on random sequences that become other ones from some position on. */
import { uniform } from "../../src/random.ts";
import { DataType, makeTensor, type Tensor } from "../graph/tensor.ts";
import { typeIn } from "../parts/graphs.ts";
import { isFailedRun } from "../parts/open-region.ts";
import { openPart, type Part } from "../parts/part.ts";
import { bySequence } from "../parts/position-rows.ts";
import { zeroInputs } from "../parts/seen-shapes.ts";
import { channelsIn, dimsOf, type Layout, timeAxis } from "../time/facts/fact.ts";
import type { Known } from "./carried.ts";

/** A stream that enters, or an exit. */
export interface Port {
  readonly tensor: string;
  readonly axes: Layout;
  /** Truth values of data, and not of a mask that shows what is there. */
  readonly isData?: true | undefined;
}

/** The part, opened, with what enters and leaves it. */
export interface Bench {
  /** Truth values are the others. */
  readonly turned?: true;
  readonly known: Known;
  readonly part: Part;
  readonly entries: readonly Port[];
  readonly exits: readonly Port[];
  readonly typeOf: (tensor: string) => number;
}

/** Opens the part between entries and exits; whoever asks for it closes it. */
export async function openBench(known: Known, entries: readonly Port[], exits: readonly Port[]): Promise<Bench> {
  const { graphs } = known;
  const typeOf = (tensor: string) => typeIn(graphs, tensor);
  // ONNX Runtime asks for ranks inside of loops
  const given = entries.map(({ tensor, axes }) => ({
    ...{ name: tensor, type: typeOf(tensor) },
    dims: axes.map((axis, k) =>
      axis.every((factor) => typeof factor === "number") ? channelsIn(axis) : `${tensor}_${k}`,
    ),
  }));
  const part = await openPart(
    graphs,
    given,
    exits.map(({ tensor }) => tensor),
  );
  return { known, part, entries, exits, typeOf };
}

/**
 * The exits for random entries, [exit][sequence][position]; undefined where ONNX Runtime cannot run it.
 * @param changedFrom of each sequence, the position from which on it is another one
 * @param drawn the length for which entries are drawn, of which the first positions are taken
 */
export async function outputs(
  bench: Bench,
  batch: number,
  time: number,
  changedFrom: (row: number) => number,
  drawn = time,
): Promise<Float64Array[][][] | undefined> {
  const made = await ran(bench, batch, time, changedFrom, drawn);
  return made && bench.exits.map(({ tensor, axes }) => bySequence(made[tensor]!, axes, batch));
}

/** The exits as tensors. */
export async function ran(
  { known: { graphs }, part, entries, typeOf, turned }: Bench,
  batch: number,
  time: number,
  changedFrom: (row: number) => number,
  drawn: number,
): Promise<Record<string, Tensor> | undefined> {
  const sizes = { batch, time };
  const feeds: Record<string, Tensor> = { ...zeroInputs(graphs.model, graphs.inputs, sizes) };
  for (const [k, { tensor, axes, isData }] of entries.entries()) {
    const type = typeOf(tensor);
    const isTruth = type === DataType.BOOL && isData === true;
    const made = randomEntry(isTruth ? DataType.FLOAT : type, axes, sizes, changedFrom, k, drawn);
    feeds[tensor] = isTruth ? truthOf(made, axes, turned === true) : made;
  }
  try {
    return await part.run(feeds, sizes);
  } catch (error) {
    if (!isFailedRun(error)) throw error;
    return undefined;
  }
}

/** The first positions are all the same: a mask may hide them from themselves. */
const SAME_FIRST = 3;

/** Signs as truth values. */
function truthOf({ dims, data }: Tensor, axes: Layout, turned: boolean): Tensor {
  const along = timeAxis(axes);
  const inner = dims.slice(along + 1).reduce((a, c) => a * c, 1);
  const truths = Uint8Array.from(data as Float32Array, (value, at) => {
    const isFirst = Math.floor(at / inner) % dims[along]! < SAME_FIRST;
    return Number((isFirst ? false : value > 0) !== turned);
  });
  return makeTensor(DataType.BOOL, dims, truths);
}

/** Values that depend on the entry, the position and the place within it; from some position on, others. */
function randomEntry(
  type: number,
  axes: Layout,
  sizes: { readonly batch: number; readonly time: number },
  changedFrom: (row: number) => number,
  seed: number,
  drawn: number,
): Tensor {
  const dims = dimsOf(axes, sizes);
  const size = dims.reduce((a, c) => a * c, 1);
  if (type === DataType.INT64) return makeTensor(type, dims, new BigInt64Array(size).fill(1n));
  if (type === DataType.INT32) return makeTensor(type, dims, new Int32Array(size).fill(1));
  if (type === DataType.BOOL) return makeTensor(type, dims, new Uint8Array(size).fill(1));
  const channels = size / (sizes.batch * sizes.time);
  const draw = (which: number) => {
    const next = uniform(7919 * seed + which);
    return Float64Array.from({ length: drawn * channels }, () => 2 * next() - 1);
  };
  const [own, other] = [draw(1), draw(2)];
  const values = new Float64Array(size);
  const factors = axes.flat();
  const extents = factors.map((factor) =>
    typeof factor === "number" ? factor : factor === "batch" ? sizes.batch : sizes.time,
  );
  const index = new Array<number>(factors.length).fill(0);
  for (let at = 0; at < size; at++) {
    let [row, position, channel] = [0, 0, 0];
    for (const [k, factor] of factors.entries()) {
      if (factor === "batch") row = index[k]!;
      else if (typeof factor === "number") channel = channel * factor + index[k]!;
      else position = index[k]!;
    }
    values[at] = (position >= changedFrom(row) ? other : own)[position * channels + channel]!;
    for (let k = factors.length - 1; k >= 0 && ++index[k]! === extents[k]!; k--) index[k] = 0;
  }
  return type === DataType.DOUBLE
    ? makeTensor(type, dims, values)
    : makeTensor(DataType.FLOAT, dims, Float32Array.from(values));
}
