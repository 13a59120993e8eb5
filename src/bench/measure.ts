/** Interleaved timing: every round runs each case, so that what else the machine does falls on all of them alike. */
import { availableParallelism, cpus } from "node:os";
import { setTimeout as pause } from "node:timers/promises";
import * as d3 from "d3-array";

/** Something to time; `run` does it once. */
export interface Case {
  readonly name: string;
  run(): Promise<unknown>;
  /** Does it once, and says how many ms it took: for what runs in another process, whose messages are no part of it. */
  readonly timed?: (() => Promise<number>) | undefined;
}

/** Times of one case over all rounds, ms. */
export interface Timing {
  readonly name: string;
  /** Median over the rounds. */
  readonly ms: number;
  /** First and third quartile. */
  readonly low: number;
  readonly high: number;
  readonly rounds: number;
  /** Runs in a round, of which the round keeps the median. */
  readonly repeats: number;
  /** One for each round, in their order. */
  readonly samples: readonly number[];
}

/** How many times longer one case takes than another: median and quartiles over the rounds, each round a pair. */
export interface Ratio {
  readonly ratio: number;
  readonly low: number;
  readonly high: number;
}

export interface MeasureOptions {
  readonly rounds: number;
  /** A round repeats a case for about so long, but at least once; default 100. */
  readonly roundMs?: number;
  /** Idle time before each case has its turn, ms; default {@link PAUSE_MS}. 0: the cases follow one another at once. */
  readonly pauseMs?: number;
  readonly onProgress?: ((done: number, total: number) => void) | undefined;
}

const MOST_REPEATS = 200;
/**
 * After a run ONNX Runtime's threads wait for the next in a busy loop, 65 ms as measured (EPYC, 2 cores). On few cores
 * the session of the last case would take a core from that of the next.
 */
export const PAUSE_MS = 100;
/** Runs shorter than this are run once, untimed, after a pause: the threads sleep, and the caches hold something else. */
const SHORT_MS = 500;

/** Times all cases, interleaved; the order turns round from round to round. A round before the first warms up. */
export async function interleave(cases: readonly Case[], options: MeasureOptions): Promise<Timing[]> {
  const { rounds, roundMs = 100, pauseMs = PAUSE_MS, onProgress } = options;
  const samples = cases.map((): number[] => []);
  const repeats: number[] = [];
  const warmUp: boolean[] = [];
  for (const each of cases) {
    if (pauseMs > 0) await pause(pauseMs);
    await each.run();
    const once = await time(each);
    repeats.push(Math.max(1, Math.min(MOST_REPEATS, Math.round(roundMs / once))));
    warmUp.push(pauseMs > 0 && once < SHORT_MS);
  }
  for (let round = 0; round < rounds; round++) {
    const order = cases.map((_, i) => (round % 2 ? cases.length - 1 - i : i));
    for (const i of order) {
      const times: number[] = [];
      if (pauseMs > 0) await pause(pauseMs);
      if (warmUp[i]) await cases[i]!.run();
      for (let k = 0; k < repeats[i]!; k++) times.push(await time(cases[i]!));
      samples[i]!.push(median(times));
    }
    onProgress?.(round + 1, rounds);
  }
  return cases.map(({ name }, i) => ({
    name,
    ...quartiles(samples[i]!, "ms"),
    rounds,
    repeats: repeats[i]!,
    samples: samples[i]!,
  }));
}

async function time({ run, timed }: Case): Promise<number> {
  if (timed) return timed();
  const start = performance.now();
  await run();
  return performance.now() - start;
}

/** Paired by rounds. */
export function ratioOf(over: Timing, under: Timing): Ratio {
  return quartiles(
    over.samples.map((value, round) => value / under.samples[round]!),
    "ratio",
  );
}

/** Between neighbours where the place is between them; of at least one value. */
export const quantile = (values: readonly number[], at: number): number => d3.quantile(values, at)!;

export const median = (values: readonly number[]): number => quantile(values, 0.5);

const quartiles = <K extends string>(values: readonly number[], key: K) =>
  ({ [key]: median(values), low: quantile(values, 0.25), high: quantile(values, 0.75) }) as Record<
    K | "low" | "high",
    number
  >;

/** Where the times were taken. */
export interface Machine {
  readonly cpu: string;
  readonly cores: number;
  readonly node: string;
}

export const thisMachine = (): Machine => ({
  cpu: cpus()[0]?.model.trim() ?? "unknown",
  cores: availableParallelism(),
  node: process.version,
});
