/**
 * What is seen of a region that no rule proves: compared with the convolution at lengths of every kind, far beyond the
 * probes', and in batches of many rows. It is claimed as far as this and no further.
 */
import { signed } from "../../src/random.ts";
import type { Graphs } from "../parts/graphs.ts";
import { isFailedRun, openKernels, type RunRows } from "../parts/open-region.ts";
import { fixedSizes } from "../parts/seen-shapes.ts";
import type { Kernels } from "../solve/form.ts";
import { answerAt, departure } from "./afar.ts";
import { bytesOf } from "./memory.ts";
import { convolve, type ProbeRefusal, toleranceOf } from "./probe.ts";
import type { Region } from "./region.ts";

/** How far a region was compared. */
export interface Evidence {
  readonly positions: number;
  /** A length beyond at which it could not be run, or gave fewer positions than it took; undefined: none. */
  readonly failsAt: number | undefined;
  /** Undefined where the graph has one batch size. */
  readonly rows: number | undefined;
}

/** Every residue of small numbers; then powers of two, their neighbours and primes. */
export const LENGTHS: readonly number[] = [
  ...[5, 7, 12, 17, 31],
  ...Array.from({ length: 34 }, (_, i) => 63 + i),
  ...[127, 128, 129, 251, 256, 257, 509, 512, 513, 1000, 1021, 1024, 1025, 2039, 2048, 2049, 3001, 4093, 4096, 4097],
  ...[5003, 6007, 8191, 8192, 8193, 10_007, 12_289, 16_381, 16_384],
];
/** The longest of them. */
export const SEEN_POSITIONS = 16_384;
/** Lengths at which a region takes more memory are compared where they are powers of two. */
const CHEAP_BYTES = 2 ** 26;
/** Rows of the largest batch, and of others that are no power of two. */
export const SEEN_ROWS = 64;
const BATCHES = [12, 17, SEEN_ROWS] as const;
/** Length of the sequences of a batch. */
const BATCH_LENGTH = 29;

/**
 * Compares a region with the convolution with these kernels.
 * @param kernels as many lags as the longest comparison may have
 * @returns how it departs from it, with the length at which it does; else how far it was compared
 */
export async function compareWidely(
  graphs: Graphs,
  region: Region,
  kernels: Kernels,
): Promise<Evidence | (ProbeRefusal & { readonly length: number })> {
  const { runRows, close } = await openKernels(graphs, region);
  try {
    const apart = await compareRows(runRows, region, kernels, fixedSizes(graphs.inputs).batch !== undefined);
    if (apart) return { ...apart, length: BATCH_LENGTH };
    let positions = region.probed.lags;
    let failsAt: number | undefined;
    const bytes = bytesOf(graphs, region);
    const isWorth = (length: number) => bytes(length) <= CHEAP_BYTES || Number.isInteger(Math.log2(length));
    for (const length of LENGTHS.filter((each) => each <= kernels.lags && isWorth(each))) {
      const answer = await answerAt(runRows, region, kernels, length).catch((error: unknown) => {
        if (!isFailedRun(error)) throw error;
      });
      // some graphs take some lengths only
      if (!answer) {
        failsAt ??= length;
        continue;
      }
      failsAt = undefined;
      const refusal = departure(region, kernels, answer);
      if (refusal) return { ...refusal, length };
      positions = Math.max(positions, length);
    }
    return { positions, failsAt, rows: fixedSizes(graphs.inputs).batch === undefined ? SEEN_ROWS : undefined };
  } finally {
    await close();
  }
}

/** Batches whose rows all differ: each must be answered as if it were alone. */
async function compareRows(
  runRows: RunRows,
  region: Region,
  kernels: Kernels,
  fixedBatch: boolean,
): Promise<ProbeRefusal | undefined> {
  if (fixedBatch) return undefined;
  const { entryChannels, channels, sources, bias } = region;
  for (const batch of BATCHES) {
    const random = signed(batch);
    const rows = Array.from({ length: batch }, () =>
      Float64Array.from({ length: BATCH_LENGTH * entryChannels }, () => random()),
    );
    const answers = await runRows(rows, BATCH_LENGTH).catch((error: unknown) => {
      if (!isFailedRun(error)) throw error;
    });
    for (const [row, answer] of (answers ?? []).entries()) {
      const expected = convolve(rows[row]!, kernels, entryChannels, sources);
      for (let c = 0; c < channels; c++) {
        const own = bias?.[c] ?? 0;
        // a kernel that was read off a transform is rounded by the size of all of it
        const norms =
          normOf(kernels.taps, c, channels, kernels.lags) *
          normOf(rows[row]!, sources[c]!, entryChannels, BATCH_LENGTH);
        const tolerance = toleranceOf(BATCH_LENGTH, norms, own);
        for (let i = 0; i < BATCH_LENGTH; i++)
          if (!(Math.abs(answer[i * channels + c]! - own - expected[i * channels + c]!) <= tolerance))
            return {
              code: "mixes-batch",
              reason: `row ${row} of a batch of ${batch} is treated otherwise than a sequence alone (position ${i}, channel ${c})`,
              stage: 5,
            };
      }
    }
  }
  return undefined;
}

function normOf(values: Float64Array, at: number, stride: number, count: number): number {
  let sum = 0;
  for (let i = 0; i < count; i++) sum += (values[i * stride + at] ?? 0) ** 2;
  return Math.sqrt(sum);
}
