/** The convolutions of a model with their kernels' sources, or what stands in the way. */
import { ERROR_EXIT_CODES, LongConvError } from "../../src/errors.ts";
import type { Refusal } from "../time/follow.ts";
import type { Found } from "./found.ts";
import { kernelSource } from "./kernel.ts";
import type { Region } from "./region.ts";
import type { KernelSource } from "./source.ts";

/** A convolution and where its kernel can be had. */
export interface Candidate {
  readonly region: Region;
  readonly source: KernelSource;
}

/**
 * Every convolution's kernel source, in the order of the graph; a region that turns out to be no convolution at greater
 * lengths is a refusal.
 * @param horizon lags that will be used; undefined: until the kernels have died away
 */
export async function candidatesOf(
  found: Found,
  horizon?: number,
  onProgress?: (done: number, total: number) => void,
): Promise<{ candidates: readonly Candidate[]; refusals: readonly Refusal[] }> {
  const { regions } = found;
  const candidates: Candidate[] = [];
  const refusals: Refusal[] = [];
  for (const [i, region] of regions.entries()) {
    onProgress?.(i, regions.length);
    try {
      candidates.push({
        region,
        source: await kernelSource(found, region, horizon),
      });
    } catch (error) {
      if (!(error instanceof LongConvError) || ERROR_EXIT_CODES[error.code] !== ERROR_EXIT_CODES["mixes-time"])
        throw error;
      refusals.push({ node: region.opening, code: error.code, reason: error.reason, remedy: error.remedy });
    }
  }
  return { candidates, refusals };
}
