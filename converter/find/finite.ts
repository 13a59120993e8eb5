/** Kernels that overflow: growing without bound, they have no state that could carry them. */
import { LongConvError } from "../../src/errors.ts";
import type { Kernels } from "../form.ts";
import { whereOf } from "../onnx/graph.ts";
import type { Found } from "./find.ts";
import { type KernelSource, kernelSource } from "./kernel.ts";
import type { Region } from "./region.ts";

/** The source of a region's kernel, which refuses with the place of the convolution where a tap is not finite. */
export async function boundedSource(
  { graphs, time }: Pick<Found, "graphs" | "time">,
  region: Region,
): Promise<KernelSource> {
  const source = await kernelSource(graphs, time, region);
  const at = async (lags: number): Promise<Kernels> => {
    const kernels = await source.at(lags);
    const first = kernels.taps.findIndex((tap) => !Number.isFinite(tap));
    if (first < 0) return kernels;
    const [lag, channel] = [Math.floor(first / kernels.channels), first % kernels.channels];
    throw new LongConvError(
      "no-horizon",
      `its kernel grows without bound: that of channel ${channel} is not finite at lag ${lag}`,
      whereOf(graphs.model, region.opening),
      "A state carries kernels that stay bounded: a decay must be at most 1.",
    );
  };
  return { ...source, at };
}
