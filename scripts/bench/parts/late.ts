/** A step far into a sequence against one at its start. */
import { readModel } from "../../../converter/file/read.ts";
import type { Cases } from "../../../src/bench/cases.ts";
import { type Opened, type Position, reader, start, withOpen } from "../../../src/bench/drive.ts";
import { interleave, ratioOf } from "../../../src/bench/measure.ts";
import { RUN_BY_RUN, type Suite } from "../part.ts";
import { atMost, type Row, rowOf } from "../row.ts";

/** Tokens of a slice of the long prompt that leads to the late step. */
const SLICE = 512;

export async function lateSteps({ files, cases, late, threads }: Suite): Promise<Row[]> {
  const measure = async (compact: Opened) => {
    const ten = await positionAt(compact, cases, 10, start(compact, 1));
    const steps = [
      await cases.step("position 10", compact, { from: ten }),
      await cases.step(`position ${late}`, compact, { from: await positionAt(compact, cases, late, ten) }),
    ];
    const [near, far] = await interleave(steps, RUN_BY_RUN);
    const what = `step at position ${late} against position 10`;
    return [rowOf(what, ratioOf(far!, near!), atMost(1.02), [far!, near!])];
  };
  return withOpen([await readModel(files.compact)], measure, threads);
}

/** The position after so many tokens, read in slices. */
async function positionAt(opened: Opened, cases: Cases, tokens: number, from: Position): Promise<Position> {
  let position = from;
  while (position.tokens < tokens) {
    const count = Math.min(SLICE, tokens - position.tokens);
    position = await reader(opened, cases.inputs(count), count, position)();
  }
  return position;
}
