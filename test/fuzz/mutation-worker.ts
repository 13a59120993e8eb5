/** A process that reads damaged models, one after the other, and says what came of each. */
import { writeFileSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { convert } from "../../converter/convert.ts";
import { inspect } from "../../converter/inspect.ts";
import { generate } from "../../runtime/generate/generate.ts";
import { load } from "../../runtime/node.ts";
import { LongConvError } from "../../src/errors.ts";
import { mutated } from "./mutations.ts";

export type Work = "inspect" | "convert" | "generate";

/** What is asked: a damaged copy of `source` is written to `file` and worked on. */
export interface MutationTask {
  readonly seed: number;
  readonly work: Work;
  readonly source: string;
  readonly file: string;
}

/** What came of it: "fine", the code of an error, or "unnamed" with its stack. */
export interface MutationOutcome {
  readonly result: string;
  readonly message: string;
  /** The most that the process has had so far. */
  readonly bytes: number;
  /** Processor time of this file. */
  readonly ms: number;
}

async function worked({ seed, work, source, file }: MutationTask): Promise<void> {
  writeFileSync(file, mutated(await readFile(source), seed));
  if (work === "inspect") await inspect(file);
  else if (work === "convert") await convert(file);
  else {
    const model = await load(file, { onRemark: () => undefined });
    try {
      for await (const _ of generate(model, { inputIds: [1, 2, 3], maxNewTokens: 4, seed, beyond: true }));
    } finally {
      await model.close();
    }
  }
}

process.on("message", (task: MutationTask) => {
  const began = process.cpuUsage();
  const said = (result: string, message = "") => {
    const { user, system } = process.cpuUsage(began);
    const bytes = 1024 * process.resourceUsage().maxRSS;
    const outcome: MutationOutcome = { result, message, bytes, ms: (user + system) / 1e3 };
    process.send!(outcome);
  };
  worked(task).then(
    () => said("fine"),
    (error: unknown) => {
      const named = error instanceof LongConvError && error.code !== "internal";
      if (named) said(error.code, error.message);
      else
        said(
          "unnamed",
          String(
            (error as LongConvError).cause instanceof Error
              ? ((error as Error).cause as Error).stack
              : ((error as Error).stack ?? error),
          ),
        );
    },
  );
});
