/** Seeds judged in processes of their own: each is given the next once it is done; one that dies is a crash of its seed. */
import { type ChildProcess, fork } from "node:child_process";
import { fileURLToPath } from "node:url";
import { judged, type Verdict } from "./campaign.ts";
import type { Task } from "./worker.ts";

interface Answer {
  readonly lane: number;
  readonly verdicts: Verdict[];
  /** Whether the worker lives on. */
  readonly alive: boolean;
}

const WORKER = fileURLToPath(new URL("./worker.js", import.meta.url));

/**
 * The verdicts of each seed, as they come.
 * @param overclaim name of one that must be in every graph
 * @param workers processes; 1: this one
 */
export async function* inWorkers(
  seeds: readonly number[],
  overclaim: string | undefined,
  workers: number,
): AsyncGenerator<Verdict[]> {
  if (workers === 1) {
    for (const seed of seeds) yield await judged(seed, overclaim);
    return;
  }
  const waiting = [...seeds];
  const lanes = new Map<number, ChildProcess>();
  const running = new Map<number, Promise<Answer>>();
  const next = (lane: number) => {
    running.delete(lane);
    const seed = waiting.shift();
    if (seed === undefined) return;
    const worker = lanes.get(lane) ?? fork(WORKER);
    lanes.set(lane, worker);
    running.set(lane, answer(worker, lane, { seed, overclaim }));
  };
  try {
    for (let lane = 0; lane < workers; lane++) next(lane);
    while (running.size > 0) {
      const { lane, verdicts, alive } = await Promise.race(running.values());
      if (!alive) lanes.delete(lane);
      next(lane);
      yield verdicts;
    }
  } finally {
    for (const worker of lanes.values()) worker.kill();
  }
}

function answer(worker: ChildProcess, lane: number, task: Task): Promise<Answer> {
  return new Promise((resolve) => {
    const done = (verdicts: Verdict[], alive: boolean) => {
      worker.off("message", onMessage).off("exit", onExit);
      resolve({ lane, verdicts, alive });
    };
    const onMessage = (verdicts: unknown) => done(verdicts as Verdict[], true);
    const onExit = (code: number | null, signal: string | null) =>
      done([death(task, `the process ended with ${signal ?? `exit code ${code}`}`)], false);
    worker.once("message", onMessage).once("exit", onExit);
    worker.send(task);
  });
}

const death = ({ seed, overclaim }: Task, message: string): Verdict => ({
  graph: {
    seed,
    kind: overclaim === undefined ? "causal" : "overclaim",
    pieces: overclaim === undefined ? [] : [overclaim],
    length: undefined,
    batch: undefined,
  },
  form: "exact",
  outcome: { kind: "crashed", message },
});
