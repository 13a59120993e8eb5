/** What runs take of a processor: where others want it too, less than the clock says. */
import { median } from "../src/bench/measure.ts";

/** @returns milliseconds of a processor for each run, user and system: medians over rounds in which all have their turn */
export async function processorMs(
  runs: readonly (() => Promise<unknown>)[],
  { rounds, repeats }: { readonly rounds: number; readonly repeats: number },
): Promise<number[]> {
  const times = runs.map((): number[] => []);
  for (let round = 0; round < rounds; round++)
    for (const [kind, run] of runs.entries()) {
      const before = process.cpuUsage();
      for (let repeat = 0; repeat < repeats; repeat++) await run();
      const { user, system } = process.cpuUsage(before);
      times[kind]!.push((user + system) / 1000 / repeats);
    }
  return times.map(median);
}
