/** Shapes and cuts of a fixed export, made again for any length. */
import { expect, test } from "vitest";
import { CHANNELS, close, conv, converted, signal, small, steps } from "../../test/small.ts";
import { toNumbers } from "../graph/tensor.ts";
import { openModel } from "../ort/run.ts";

test("a cut of time and channels 'to the end', the largest int64, keeps its channels where time is left out", async () => {
  const end = 2n ** 63n - 1n;
  const model = small({
    ...{ time: 6, outputDims: [1, 6, CHANNELS - 1] },
    build: (b) => {
      const ends = b.constant("ends", { type: 7, dims: [2], data: BigInt64Array.of(end, end) });
      b.one("Slice", [conv(b, "x"), b.ints("starts", [0, 1]), ends, b.ints("axes", [1, 2])], {}, { outputs: ["y"] });
    },
  });
  const x = signal(6);
  const original = await openModel(model);
  const wanted = toNumbers((await original.run({ x })).y!);
  await original.close();
  const rows = await steps(await converted(model), x);
  expect(wanted).toHaveLength(6 * (CHANNELS - 1));
  close(Float64Array.from(rows.flatMap((row) => [...row])), wanted);
});
