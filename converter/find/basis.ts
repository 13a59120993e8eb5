/**
 * A region of one length, answered on a basis: it is affine by rule, so its answers to an impulse at every position of every
 * channel are all of it. What a probe samples is then known, to rounding, for the only length that there is.
 */

import type { Graphs } from "../parts/graphs.ts";
import { openKernels } from "../parts/open-region.ts";
import { fixedSizes } from "../parts/seen-shapes.ts";
import type { Kernels } from "../solve/form.ts";
import { bytesOf } from "./memory.ts";
import { convolve, type ProbeRefusal, toleranceOf } from "./probe.ts";
import type { Region } from "./region.ts";

/** Impulses, and bytes of all tensors of all runs, that are worth it. */
const MOST_IMPULSES = 4096;
const MOST_BYTES = 2 ** 32;

/**
 * Compares the answers to a basis with those of the convolution with these kernels.
 * @param kernels over the one length, as an impulse at the first position has shown them
 * @returns "all" where they are the same; "too many" where not all were looked at; else how they differ
 */
export async function onBasis(
  graphs: Graphs,
  region: Region,
  kernels: Kernels,
): Promise<"all" | "too many" | ProbeRefusal> {
  const { entryChannels, sources, maxLags, bias } = region;
  const time = maxLags ?? 0;
  const impulses = time * entryChannels;
  // other rows of a batch could have their say
  const isAlone = fixedSizes(graphs.inputs).batch === 1;
  if (!isAlone || time === 0 || impulses > MOST_IMPULSES || impulses * bytesOf(graphs, region)(time) > MOST_BYTES)
    return "too many";
  const { channels, taps } = kernels;
  const norms = Array.from({ length: channels }, (_, c) =>
    Math.hypot(...Array.from({ length: kernels.lags }, (_, k) => taps[k * channels + c]!)),
  );
  const { runRows, close } = await openKernels(graphs, region);
  try {
    for (let place = 0; place < impulses; place++) {
      const values = new Float64Array(impulses);
      values[place] = 1;
      const [answer] = await runRows([values], time);
      const expected = convolve(values, kernels, entryChannels, sources);
      const [at, source] = [Math.floor(place / entryChannels), place % entryChannels];
      for (let i = 0; i < expected.length; i++) {
        const [row, c] = [Math.floor(i / channels), i % channels];
        const own = bias?.[c] ?? 0;
        if (Math.abs(answer![i]! - own - expected[i]!) <= toleranceOf(time, norms[c]!, own)) continue;
        return {
          code: row < at ? "not-causal" : sources[c] === source ? "not-time-invariant" : "mixes-channels",
          reason: `an impulse at position ${at} of channel ${source} is answered otherwise at position ${row} of channel ${c}`,
          stage: 5,
        };
      }
    }
    return "all";
  } finally {
    await close();
  }
}
