/** A process of the fuzzing: judges the seeds that `fuzz-workers.ts` sends, one after the other. */
import { judged } from "../test/fuzz/campaign.ts";
import type { Task } from "./fuzz-workers.ts";

process.on("message", ({ seed, overclaim }: Task) => {
  void judged(seed, overclaim).then((verdicts) => process.send!(verdicts));
});
