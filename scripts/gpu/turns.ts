/** Cases by turns, so that what else the machine does falls on all of them alike, until their share of the time is up. */
import { median, quantile, type Timing } from "../../src/bench/measure.ts";
import { until } from "./place.ts";

/** Something to time on a place. */
export interface Case {
  readonly name: string;
  readonly kind: "step" | "prompt";
  readonly batch: number;
  readonly graphCapture: boolean;
  /** Milliseconds of each of `count` times. */
  run(count: number): Promise<number[]>;
}

/** Times of one case, ms for each step of all sequences or for each prompt: median, quartiles, and the whole range. */
export interface Spread extends Timing, Omit<Case, "run"> {
  readonly name: string;
  readonly least: number;
  readonly most: number;
}

/** A window of steps takes about so long. */
const WINDOW_MS = 100;
const MOST_REPEATS = 200;
/** Shaders are compiled when they first run, and buffers made. */
const WARM_UP = 3;

/**
 * A window of each case in every round, the order turning; fewer rounds where the time is up, but at least one.
 * @param share when no more rounds begin, as Date.now() says
 * @param last when a call that has not come back has hung
 * @throws Error where a call fails or hangs
 */
export async function byTurns(cases: readonly Case[], rounds: number, share: number, last: number): Promise<Spread[]> {
  const samples = cases.map((): number[] => []);
  const repeats: number[] = [];
  for (const { name, run } of cases) {
    const once = (await until(last, run(WARM_UP), name)).at(-1)!;
    repeats.push(Math.max(1, Math.min(MOST_REPEATS, Math.round(WINDOW_MS / once))));
  }
  for (let round = 0; round < rounds && (round === 0 || Date.now() < share); round++) {
    const order = cases.map((_, i) => (round % 2 ? cases.length - 1 - i : i));
    for (const i of order) {
      const { name, run } = cases[i]!;
      samples[i]!.push(median(await until(last, run(repeats[i]!), name)));
    }
  }
  return cases.map(({ name, kind, batch, graphCapture }, i) => {
    const [least, low, ms, high, most] = [0, 0.25, 0.5, 0.75, 1].map((part) => quantile(samples[i]!, part));
    const spread = { ms: ms!, low: low!, high: high!, least: least!, most: most! };
    const taken = { rounds: samples[i]!.length, repeats: repeats[i]!, samples: samples[i]! };
    return { name, kind, batch, graphCapture, ...spread, ...taken };
  });
}
