/** The worker thread of layers.ts: a layer's task in, its result or its error out. */

import { parentPort } from "node:worker_threads";
import { type CarriedError, carried } from "../../src/process/carried-error.ts";
import { type ContestResult, type ContestTask, contest } from "./contest.ts";

/** What a worker answers. */
export type Answer = { readonly result: ContestResult } | { readonly error: CarriedError };

parentPort?.on("message", (task: ContestTask) => {
  let answer: Answer;
  try {
    answer = { result: contest(task) };
  } catch (error) {
    answer = { error: carried(error) };
  }
  parentPort?.postMessage(answer);
});
