/** Exports of one length: proven to their end where the region is answered on a basis, refused where one answer differs. */
import { expect, test } from "vitest";
import { leastClaim } from "../../src/contract.ts";
import { small } from "../../test/small.ts";
import { convertModel } from "../convert.ts";
import { float32Tensor } from "../graph/tensor.ts";

const LENGTH = 24;

/** A sum over a constant matrix that all channels share. @param change of one entry below the diagonal */
const byMatrix = (change: number) =>
  small({
    time: LENGTH,
    build(b) {
      const matrix = Float32Array.from({ length: LENGTH ** 2 }, (_, at) => {
        const lag = Math.floor(at / LENGTH) - (at % LENGTH);
        return lag < 0 ? 0 : 0.8 ** lag;
      });
      matrix[17 * LENGTH + 11]! += change;
      b.one("MatMul", [b.constant("matrix", float32Tensor([LENGTH, LENGTH], matrix)), "x"], {}, { outputs: ["y"] });
    },
  });

test("every impulse is answered by the convolution: proven to the end of the export", async () => {
  const { claim } = await convertModel(byMatrix(0));
  expect(claim).toMatchObject({
    kind: "proven",
    positions: LENGTH,
    because: `the graph was exported for ${LENGTH} positions`,
  });
});

test("one answer differs", async () => {
  await expect(convertModel(byMatrix(1e-3))).rejects.toMatchObject({ code: "not-time-invariant" });
});

test("of a whole no more is claimed up to the end of a proof than of its weakest part", () => {
  const ends = { kind: "proven", positions: 48, because: "it ends" } as const;
  expect(leastClaim([ends, { kind: "proven" }])).toEqual(ends);
  expect(leastClaim([{ kind: "seen", positions: 512, rows: 64 }, ends])).toEqual({ ...ends, kind: "seen", rows: 64 });
  expect(leastClaim([{ kind: "seen", positions: 16, because: "seen" }, ends])).toEqual({
    ...{ kind: "seen", positions: 16, because: "seen" },
  });
});
