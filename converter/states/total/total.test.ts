/** Answers for a whole sequence: several that meet are carried; one that a position or the length reads is refused. */
import { describe, expect, test } from "vitest";
import { CHANNELS, small } from "../../../test/small.ts";
import { convertModel } from "../../convert.ts";
import type { Builder } from "../../graph/build.ts";
import { DataType } from "../../graph/tensor.ts";

const answering = (build: (b: Builder) => string) =>
  small({ outputDims: ["b", CHANNELS], build: (b) => b.one("Identity", [build(b)], {}, { outputs: ["y"] }) });
const over = (b: Builder, op: string, name: string) => b.one(op, [name, b.ints("axes", [1])], { keepdims: 0 });

describe("carried", () => {
  test.each<[string, number, (b: Builder) => string]>([
    [
      "mean and deviation",
      2,
      (b) => {
        const mean = over(b, "ReduceMean", "x");
        const second = over(b, "ReduceMean", b.one("Mul", ["x", "x"]));
        const variance = b.one("Sub", [second, b.one("Mul", [mean, mean])]);
        return b.one("Sqrt", [b.one("Add", [variance, b.floats("some", [], [0.1])])]);
      },
    ],
    ...["ReduceL1", "ReduceL2", "ReduceSumSquare"].map((op): [string, number, (b: Builder) => string] => [
      op,
      1,
      (b) => over(b, op, "x"),
    ]),
    ["ReduceLogSum", 1, (b) => over(b, "ReduceLogSum", b.one("Abs", ["x"]))],
    ["ReduceLogSumExp", 2, (b) => over(b, "ReduceLogSumExp", b.one("Mul", ["x", b.floats("many", [], [90])]))],
    [
      "ReduceL2 over time and channels, its axes kept",
      1,
      (b) => {
        const norm = b.one("ReduceL2", ["x", b.ints("axes", [1, 2])], { keepdims: 1 });
        return b.one("Squeeze", [
          b.one("Mul", [norm, b.floats("ones", [CHANNELS], [1, 2, 3, 4])]),
          b.ints("axes", [1]),
        ]);
      },
    ],
    [
      "the span between the extremes, of the mean",
      3,
      (b) => {
        const span = b.one("Sub", [over(b, "ReduceMax", "x"), over(b, "ReduceMin", "x")]);
        return b.one("Mul", [span, over(b, "ReduceMean", b.one("Tanh", ["x"]))]);
      },
    ],
  ])("%s", async (_, sums, build) => {
    const { layers, claim, check } = await convertModel(answering(build));
    expect(layers.filter(({ form }) => form === "sum").length).toBe(sums);
    expect(claim.kind).toBe("proven");
    // the export itself sums 16 384 positions in one float32 number
    expect(check.largest).toBeLessThan(1e-5);
  });
});

test.each<[string, (b: Builder) => string]>([
  [
    "divided by the length",
    (b) => {
      const length = b.one("Cast", [b.one("Shape", ["x"], { start: 1, end: 2 })], { to: DataType.FLOAT });
      return b.one("Div", [over(b, "ReduceSum", "x"), length]);
    },
  ],
  [
    "of which another is taken from every position",
    (b) => {
      const second = b.one("ReduceMean", [b.one("Mul", ["x", "x"]), b.ints("axes", [1])], { keepdims: 1 });
      const left = b.one("Sub", ["x", second]);
      return b.one("Mul", [over(b, "ReduceMax", left), over(b, "ReduceMean", "x")]);
    },
  ],
  ...["ReduceL2", "ReduceLogSumExp"].map((op): [string, (b: Builder) => string] => [
    `${op} by which every position is divided`,
    (b) => {
      const whole = b.one(op, ["x", b.ints("axes", [1])], { keepdims: 1 });
      return over(b, "ReduceMax", b.one("Div", ["x", whole]));
    },
  ]),
])("%s is refused", async (_, build) => {
  await expect(convertModel(answering(build))).rejects.toMatchObject({ name: "LongConvError" });
});

test("an answer that every position is divided by is said to be of later ones", async () => {
  const build = (b: Builder) => {
    const whole = b.one("ReduceL2", ["x", b.ints("axes", [1])], { keepdims: 1 });
    return over(b, "ReduceMax", b.one("Div", ["x", whole]));
  };
  await expect(convertModel(answering(build))).rejects.toMatchObject({
    code: "not-causal",
    where: { operator: "Div" },
    reason: "lets every position see the last one",
  });
});
