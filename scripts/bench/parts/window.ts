/** The window form: every convolution carries its last inputs, as many as the horizon has lags. */
import { assemble } from "../../../converter/assemble/assemble.ts";
import { type Candidate, candidatesOf } from "../../../converter/find/candidates.ts";
import type { Realisation } from "../../../converter/find/carried.ts";
import type { Found } from "../../../converter/find/found.ts";
import type { Model } from "../../../converter/graph/graph.ts";
import { convolution } from "../../../converter/states/convolution/convolution.ts";
import { positionsOf, withCounter } from "../../../converter/states/counter/counter.ts";

/** A converted model whose convolutions are windows of so many lags. */
export async function windowModel(found: Found, lags: number): Promise<Model> {
  const { candidates } = await candidatesOf(found, lags);
  const realise = async ({ region, source }: Candidate): Promise<Realisation> => {
    const kernels = await source.at(lags);
    const report = { state: "conv", form: "window", channels: kernels.channels, lags: kernels.lags } as const;
    const order = kernels.lags - 1;
    return convolution(region, { kind: "window", kernels }, { ...report, order, because: "asked for" });
  };
  const realisations: Realisation[] = [];
  for (const each of candidates) realisations.push(await realise(each));
  const positions = await positionsOf(found);
  const inputs = { attentionMask: true, numLogitsToKeep: true } as const;
  const counted = withCounter(found, realisations, positions);
  return assemble(found, counted, { ...inputs, path: "both", tables: positions.tables, metadata: new Map() });
}
