/** A decode step against the exported graph, which reads everything again. */
import { readModel } from "../../../converter/file/read.ts";
import { type Opened, withOpen } from "../../../src/bench/drive.ts";
import { interleave, ratioOf } from "../../../src/bench/measure.ts";
import type { Suite } from "../part.ts";
import { atLeast, type Row, rowOf } from "../row.ts";

export async function againstExported({ files, original, cases, rounds, threads }: Suite): Promise<Row[]> {
  const contexts = [[512, 100] as const, [2048, 400] as const];
  const measure = async (compact: Opened, exported: Opened) => {
    const runs = [
      await cases.step("converted", compact),
      ...contexts.map(([context]) => cases.whole(`exported, ${context}`, exported, context)),
    ];
    const [own, ...again] = await interleave(runs, { rounds: Math.max(2, Math.ceil(rounds / 4)) });
    return contexts.map(([context, must], i) => {
      const what = `decode against the exported graph again, context ${context}: times faster`;
      return rowOf(what, ratioOf(again[i]!, own!), atLeast(must), [own!, again[i]!]);
    });
  };
  return withOpen([await readModel(files.compact), original], measure, threads);
}
