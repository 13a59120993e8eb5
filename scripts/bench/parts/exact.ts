/** A decode step of compact states against exact ETSC, and of exact ETSC against the floor. */
import { readModel } from "../../../converter/file/read.ts";
import { nodeBackend } from "../../../runtime/node.ts";
import type { Backend } from "../../../runtime/sessions/backend.ts";
import { type Opened, withOpen } from "../../../src/bench/drive.ts";
import { interleave, ratioOf } from "../../../src/bench/measure.ts";
import type { Suite } from "../part.ts";
import { atLeast, atMost, type Row, rowOf } from "../row.ts";

export async function compactAgainstExact(
  { files, floor, cases, rounds, threads }: Suite,
  n: 512 | 2048,
  backend: Backend,
): Promise<Row[]> {
  const [compact, exact, must] =
    n === 512 ? ([files.compact, files.exact512, 3] as const) : ([files.compact2048, files.exact2048, 10] as const);
  const models = [await readModel(compact), await readModel(exact), floor] as const;
  const measure = async (small: Opened, large: Opened, none: Opened) => {
    const steps = [
      await cases.step(`compact, ${n}`, small),
      await cases.step(`exact, ${n}`, large),
      // no compact state is faster than the floor: exact over floor is the most that can be reached
      await cases.step("floor", none),
    ];
    const [own, other, least] = await interleave(steps, { rounds });
    const floorRow = rowOf(
      `decode, exact ETSC, n = ${n}, against the floor`,
      ratioOf(other!, least!),
      atMost(n === 512 ? 1.5 : 3),
      [other!, least!],
    );
    const through = backend === nodeBackend ? "" : ", through onnxruntime-node's own binding";
    const what = `decode, compact against exact ETSC, n = ${n}: times faster${through}`;
    const times = rowOf(what, ratioOf(other!, own!), atLeast(must), [own!, other!, least!]);
    return backend === nodeBackend ? [times, floorRow] : [times];
  };
  return withOpen(models, measure, threads, backend);
}
