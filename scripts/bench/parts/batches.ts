/** Many sequences at once. */
import { readModel } from "../../../converter/file/read.ts";
import { throughput } from "../../../src/bench/bench.ts";
import { type Opened, withOpen } from "../../../src/bench/drive.ts";
import { interleave } from "../../../src/bench/measure.ts";
import type { Suite } from "../part.ts";
import { atLeast, type Row, rowOf } from "../row.ts";

export async function batches({ files, floor, cases, rounds, threads }: Suite): Promise<Row[]> {
  const measure = async (compact: Opened, none: Opened) => {
    const steps = [
      await cases.step("one", compact),
      await cases.step("batch 32", compact, { batch: 32 }),
      // what the network around the recurrences allows
      await cases.step("floor, one", none),
      await cases.step("floor, batch 32", none, { batch: 32 }),
    ];
    const timings = await interleave(steps, { rounds });
    const [one, many] = timings;
    return [rowOf("tokens/s at B = 32 against B = 1", throughput(one!, many!, 32), atLeast(9), timings)];
  };
  return withOpen([await readModel(files.compact), floor], measure, threads);
}
