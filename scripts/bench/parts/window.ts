/** The window form: every convolution carries its last inputs, as many as the horizon has lags. */
import { assemble } from "../../../converter/assemble/assemble.ts";
import { positionLimit } from "../../../converter/assemble/limit.ts";
import { evaluatePositionTables } from "../../../converter/assemble/position-tables.ts";
import { type Candidate, candidatesOf } from "../../../converter/find/candidates.ts";
import type { Realisation } from "../../../converter/find/carried.ts";
import type { Found } from "../../../converter/find/found.ts";
import type { Model } from "../../../converter/graph/graph.ts";
import { convolution } from "../../../converter/states/convolution/convolution.ts";
import { counter } from "../../../converter/states/counter/counter.ts";

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
  const tables = await evaluatePositionTables(found);
  const counted = counter(found, realisations, { tables, limit: positionLimit(found, tables) });
  if (counted) realisations.push(counted);
  const inputs = { attentionMask: true, numLogitsToKeep: true } as const;
  return assemble(found, realisations, { ...inputs, path: "both", tables, metadata: new Map() });
}
