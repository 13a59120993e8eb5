/** The worker thread of layers.ts: a layer's task in, its result or its error out. */

import { parentPort } from "node:worker_threads";
import { LongConvError } from "../../src/errors.ts";
import { type ContestResult, type ContestTask, contest } from "./contest.ts";

/** What a worker answers; errors travel as data because a structured clone forgets their class. */
export type Answer =
  | { readonly result: ContestResult }
  | { readonly error: Pick<LongConvError, "code" | "reason" | "where" | "remedy"> | { readonly message: string } };

parentPort?.on("message", (task: ContestTask) => {
  let answer: Answer;
  try {
    answer = { result: contest(task) };
  } catch (error) {
    const { code, reason, where, remedy } = error as LongConvError;
    answer = { error: error instanceof LongConvError ? { code, reason, where, remedy } : { message: String(error) } };
  }
  parentPort?.postMessage(answer);
});
