/** Drives the network of million.ts for so many steps and says how far it is from float64, and what memory it takes. */
import { convertModel } from "../converter/convert.ts";
import { encodeModel } from "../converter/file/encode.ts";
import { loadModel, nodeBackend, step, zeroState } from "../runtime/node.ts";
import { CHANNELS, OUTPUTS, sums, sumsModel } from "./million.ts";

export interface LongRun {
  /** Largest relative difference from float64 at any step that was looked at, by output. */
  readonly apart: Readonly<Record<string, number>>;
  /** Bytes of the process after a tenth of the steps, and at the end. */
  readonly early: number;
  readonly late: number;
}

/** @param each after how many steps outputs are compared */
export async function longRun(steps: number, each: number, random: () => number): Promise<LongRun> {
  const { model } = await convertModel(sumsModel());
  const loaded = await loadModel(nodeBackend, encodeModel(model), { session: { intraOpNumThreads: 1 } });
  const { Tensor } = nodeBackend;
  const source = sums(random);
  const apart = Object.fromEntries(OUTPUTS.map((name) => [name, 0]));
  let early = 0;
  let [state, spare] = [zeroState(loaded), zeroState(loaded)];
  for (let t = 1; t <= steps; t++) {
    const signal = new Tensor("float32", source.next(), [1, 1, CHANNELS]);
    const { outputs, state: next } = await step(loaded, { signal }, state, { overwrite: spare });
    [spare, state] = [state, next];
    if (t === Math.ceil(steps / 10)) early = process.memoryUsage.rss();
    if (t % each !== 0 && t !== steps) continue;
    const wanted = source.wanted();
    for (const name of OUTPUTS)
      for (const [c, value] of wanted[name].entries())
        apart[name] = Math.max(apart[name]!, Math.abs((outputs[name]!.data as Float32Array)[c]! / value - 1));
  }
  const late = process.memoryUsage.rss();
  await loaded.close();
  return { apart, early, late };
}
