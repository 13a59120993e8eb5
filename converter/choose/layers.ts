/**
 * Several layers at a time, in worker threads where the compiled worker is at hand. Not by tinypool: its 2.2 waits for ever for a
 * thread that ends by itself, and a task must not be made before a thread is free for it.
 */

import { availableParallelism } from "node:os";
import { Worker } from "node:worker_threads";
import { releaseFreed } from "../../src/free-memory.ts";
import { uncarried } from "../../src/process/carried-error.ts";
import { type ContestResult, type ContestTask, contest } from "./contest.ts";
import type { Answer } from "./worker.ts";

/** How to share out the layers. */
export interface LayersOptions {
  /** Threads at most; default 2 (each holds one layer's kernels). 0: everything in this thread. */
  readonly threads?: number | undefined;
  /** Called after each layer, and with done = 0 at the start. */
  readonly progress?: ((done: number, total: number) => void) | undefined;
}

/**
 * {@link contest} for every layer. A task is asked for only when a thread is free, so no more kernels are in memory than
 * there are threads. Run from TypeScript sources there is no compiled worker, and this thread does the work.
 *
 * @param tasks one function for each layer
 * @returns results in the order of the tasks
 * @throws LongConvError the first error of any layer
 */
export async function contestLayers(
  tasks: readonly (() => ContestTask | Promise<ContestTask>)[],
  { threads = 2, progress }: LayersOptions = {},
): Promise<ContestResult[]> {
  const results: ContestResult[] = [];
  let [next, done] = [0, 0];
  const work = async (run: (task: ContestTask) => ContestResult | Promise<ContestResult>) => {
    while (next < tasks.length) {
      const index = next++;
      results[index] = await run(await tasks[index]!());
      progress?.(++done, tasks.length);
    }
  };
  progress?.(0, tasks.length);
  const count = import.meta.url.endsWith(".js") ? Math.min(threads, tasks.length, availableParallelism()) : 0;
  if (count < 2) {
    await work(contest);
    return results;
  }
  const workers = Array.from({ length: count }, () => new Worker(new URL("./worker.js", import.meta.url)));
  try {
    await Promise.all(workers.map((worker) => work((task) => ask(worker, task))));
  } finally {
    await Promise.all(workers.map((worker) => worker.terminate()));
    releaseFreed();
  }
  return results;
}

/** Sends a task and waits for its answer. */
function ask(worker: Worker, task: ContestTask): Promise<ContestResult> {
  return new Promise((resolve, reject) => {
    // taken off one by one: removeAllListeners would take the worker's own as well, and no later answer would arrive
    const settle = (act: () => void) => {
      worker.off("error", failed).off("exit", ended).off("message", answered);
      act();
    };
    const failed = (error: unknown) => settle(() => reject(error));
    const ended = (code: number) => settle(() => reject(new Error(`the reducing worker ended with code ${code}`)));
    const answered = (answer: Answer) =>
      settle(() => {
        if ("result" in answer) resolve(answer.result);
        else reject(uncarried(answer.error));
      });
    worker.on("error", failed).on("exit", ended).on("message", answered);
    worker.postMessage(task);
  });
}
