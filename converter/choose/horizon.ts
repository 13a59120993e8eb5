/** How many lags of a kernel count: those that it has, that it keeps before it has died away, or that are asked for. */
import { LongConvError } from "../../src/errors.ts";
import type { EvaluatedKernels } from "../find/evaluation.ts";
import type { Region } from "../find/region.ts";
import type { KernelEnd, SourcedKernels } from "../find/source.ts";
import { significantLags } from "../solve/decay.ts";
import type { Kernels } from "../solve/form.ts";

/** A kernel is taken to have died away where what remains is below this part of it. */
export const NEGLIGIBLE = 1e-6;
/** Horizon of the exact form for a kernel that does not decay. */
const ENDLESS_LAGS = 2048;

/** @throws LongConvError no-horizon where the graph shows a single lag, which says nothing of a second */
export function refuseSingleLag({ lags, end }: SourcedKernels, { opening }: Region): void {
  if (end !== "exported length" || lags > 1) return;
  throw new LongConvError(
    "no-horizon",
    "the graph was exported for sequences of one position, which shows one lag of its kernel",
    { node: opening.name, operator: opening.op },
    "Export the model with a dynamic sequence length, or with a longer one.",
  );
}

/**
 * The exact form's horizon: what the user says; else the graph's end where it has one; else the training length; else
 * where the kernel has died away; else 2 048 lags.
 * @throws LongConvError no-horizon if more lags are asked for than the graph gives
 */
export function horizonOf(
  region: Region,
  seen: SourcedKernels,
  { horizon, trainingLength }: { readonly horizon?: number | undefined; readonly trainingLength?: number | undefined },
): { lags: number; because: string } {
  if (horizon !== undefined) return { lags: checkedHorizon(horizon, seen, region), because: "as asked" };
  if (seen.end) return { lags: seen.lags, because: ENDS[seen.end] };
  const significant = significantLags(seen, NEGLIGIBLE);
  if (trainingLength !== undefined && trainingLength < significant)
    return { lags: trainingLength, because: "the model's training length" };
  if (significant < seen.lags)
    return { lags: significant, because: `the kernel has died away after ${significant} lags` };
  return {
    lags: ENDLESS_LAGS,
    because: `the kernel does not die away within ${seen.lags} lags, so it is cut at ${ENDLESS_LAGS}`,
  };
}

/** What the number of lags means that a graph gives at most. */
const ENDS: Readonly<Record<KernelEnd, string>> = {
  "exported length": "the graph's fixed length",
  table: "the graph's tables end there",
  memory: "the graph's matrices leave no memory for more",
};

const REMEDIES: Readonly<Record<KernelEnd, string>> = {
  "exported length": "export the model with a dynamic sequence length",
  table: "export the model with longer tables",
  memory: "export the convolution as an FFT, whose kernel is a tensor of its own",
};

export function checkedHorizon(horizon: number, { lags, end }: SourcedKernels, region: Region): number {
  if (!end || horizon <= lags) return horizon;
  throw new LongConvError(
    "no-horizon",
    `a horizon of ${horizon} lags is asked for, but its kernel can be had for ${lags} only: ${ENDS[end]}`,
    { node: region.opening.name, operator: region.opening.op },
    `Ask for at most ${lags} lags, or ${REMEDIES[end]}.`,
  );
}

/** The first lags of kernels. */
export function firstLags({ channels, taps }: Kernels, lags: number): Kernels {
  return { lags, channels, taps: taps.subarray(0, lags * channels) };
}

/**
 * Where a kernel's last tap is, and whether it is far above what follows: zeros in a tensor of the graph, the rounding of a
 * transform in its response to an impulse.
 */
export function edgeOf({ lags, channels, taps, rounded }: EvaluatedKernels): { lags: number; sharp: boolean } {
  let largest = 0;
  for (let i = 0; i < taps.length; i++) largest = Math.max(largest, Math.abs(taps[i]!));
  const rounding = largest * 2 ** -20;
  const silent = rounded ? rounding : 0;
  const rowMax = (k: number) => {
    let max = 0;
    for (let c = 0; c < channels; c++) max = Math.max(max, Math.abs(taps[k * channels + c]!));
    return max;
  };
  let end = lags;
  while (end > 0 && rowMax(end - 1) <= silent) end--;
  return end === 0 ? { lags: 1, sharp: true } : { lags: end, sharp: rowMax(end - 1) > 64 * rounding };
}

/**
 * The number of lags of a kernel that ends with an edge. A kernel that dies away has none, and a window longer than half of
 * what was looked at may as well be a kernel that was cut.
 */
export function finiteLags(kernels: EvaluatedKernels): number | undefined {
  const { lags, sharp } = edgeOf(kernels);
  return sharp && (lags === 1 || lags <= kernels.lags / 2) ? lags : undefined;
}

/** What follows a number of lags, relative to all, Frobenius norm. */
export function restAfter({ channels, taps }: Kernels, lags: number): number {
  const squares = (values: Float64Array) => values.reduce((sum, tap) => sum + tap * tap, 0);
  const rest = squares(taps.subarray(lags * channels));
  return rest === 0 ? 0 : Math.sqrt(rest / squares(taps));
}
