/** Regions that mix channels: whether what each channel makes alone adds up to what all of them make together. */
import { signed } from "../../src/random.ts";
import type { Graphs } from "../parts/graphs.ts";
import { type End, openRegion, type RunRows } from "../parts/open-region.ts";
import { channelCount } from "../time/facts/fact.ts";
import { type ProbeRefusal, type ProbeResult, toleranceOf } from "./probe.ts";

/**
 * Compares a dense signal's answer with the sum of its channels' answers.
 * @param apart the region's answers, each channel alone
 * @returns how they differ; undefined where they do not
 */
export async function addsUp(
  graphs: Graphs,
  { entry, exit }: { readonly entry: End; readonly exit: End },
  apart: RunRows,
  { bias, kernels }: ProbeResult,
  time: number,
): Promise<ProbeRefusal | undefined> {
  const [inputs, outputs] = [channelCount(entry.axes), channelCount(exit.axes)];
  const random = signed(time * 104_729 + inputs);
  const values = Float64Array.from({ length: time * inputs }, () => random());
  const whole = await openRegion(graphs, entry, exit);
  try {
    const [together] = await whole.runRows([values], time);
    const [each] = await apart([values], time);
    for (let o = 0; o < outputs; o++) {
      const own = bias[o * inputs]!;
      let squares = 0;
      for (let k = 0; k < kernels.lags; k++)
        for (let i = 0; i < inputs; i++) squares += kernels.taps[(k * outputs + o) * inputs + i]! ** 2;
      const norms = Math.sqrt(squares * values.reduce((sum, value) => sum + value * value, 0));
      for (let t = 0; t < time; t++) {
        let sum = own;
        for (let i = 0; i < inputs; i++) sum += each![(t * outputs + o) * inputs + i]! - own;
        if (Math.abs(sum - together![t * outputs + o]!) <= toleranceOf(time, norms, inputs * own)) continue;
        const reason = `what channels make alone does not add up to what they make together (position ${t}, channel ${o})`;
        return { code: "not-linear", reason, stage: 4 };
      }
    }
    return undefined;
  } finally {
    await whole.close();
  }
}
