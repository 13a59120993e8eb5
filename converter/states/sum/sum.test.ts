/** Running sums of whole numbers: of truth values they count, and float32 holds the count; of anything else they are refused. */
import { expect, test } from "vitest";
import { CHANNELS, ofIds } from "../../../test/small.ts";
import { convertModel } from "../../convert.ts";
import type { Builder } from "../../graph/build.ts";
import { DataType } from "../../graph/tensor.ts";

/** The table's row of a running sum over the ids, at most 7. */
const looked = (addends: (b: Builder) => string) =>
  ofIds(DataType.INT64, CHANNELS, (b) => {
    const sum = b.one("CumSum", [addends(b), b.ints("along", 1)]);
    const table = b.floats(
      "table",
      [8, CHANNELS],
      Float32Array.from({ length: 8 * CHANNELS }, (_, i) => Math.sin(i * i)),
    );
    b.one("Gather", [table, b.one("Min", [sum, b.ints("most", 7)])], {}, { outputs: ["y"] });
  });

const isThree = (b: Builder) => b.one("Equal", ["ids", b.ints("three", 3)]);
const whole = (b: Builder, x: string) => b.one("Cast", [x], { to: DataType.INT64 });

test.each<[string, (b: Builder) => string]>([
  ["of truth values", (b) => whole(b, isThree(b))],
  ["cast twice", (b) => whole(b, b.one("Cast", [isThree(b)], { to: DataType.INT32 }))],
])("counts are carried: %s", async (_, addends) => {
  const { claim, layers, check } = await convertModel(looked(addends));
  expect(claim).toEqual({ kind: "proven" });
  expect(layers.map(({ form }) => form)).toEqual(["sum"]);
  expect(check.largest).toBe(0);
});

test.each<[string, (b: Builder) => string]>([
  ["the ids themselves", () => "ids"],
  ["truth values, times a number", (b) => b.one("Mul", [whole(b, isThree(b)), b.ints("large", 2 ** 25)])],
])("sums of other whole numbers are refused: %s", async (_, addends) => {
  await expect(convertModel(looked(addends))).rejects.toMatchObject({
    code: "mixes-time",
    reason: expect.stringContaining("in int64"),
  });
});
