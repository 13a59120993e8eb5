/** A process of the fuzzing: judges the seeds that `workers.ts` sends, one after the other. */
import { judged } from "./campaign.ts";

/** What a worker is asked. */
export interface Task {
  readonly seed: number;
  readonly overclaim: string | undefined;
}

process.on("message", ({ seed, overclaim }: Task) => {
  void judged(seed, overclaim).then((verdicts) => process.send!(verdicts));
});
