/** Attention whose products are written as Einsum, in the orders of axes that people use; what is no product of pairs stays as it is. */
import { describe, expect, test } from "vitest";
import { CHANNELS, small } from "../../test/small.ts";
import { convertModel } from "../convert.ts";
import { createBuilder, makeModel } from "../graph/build.ts";
import { DataType } from "../graph/tensor.ts";
import { expanded } from "./index.ts";

const HEADS = 2;

describe("attention in Einsum is carried", () => {
  test.each<[string, boolean, string, string]>([
    ["heads in front", true, "bhid,bhjd->bhij", "bhij,bhjd->bhid"],
    ["heads behind the positions", false, "bqhd,bkhd->bhqk", "bhqk,bkhd->bqhd"],
    ["heads between", false, "bihd,bjhd->bhij", "bhij, bjhd -> bhid"],
  ])("%s", async (_, inFront, scores, mixed) => {
    const model = small({
      build(b) {
        const split = (shift: number) => {
          const weights = Array.from({ length: CHANNELS ** 2 }, (_, i) => Math.sin(shift + i));
          const y = b.one("MatMul", ["x", b.floats("w", [CHANNELS, CHANNELS], weights)]);
          const heads = b.one("Reshape", [y, b.ints("heads", [0, 0, HEADS, CHANNELS / HEADS])]);
          return inFront ? b.one("Transpose", [heads], { perm: [0, 2, 1, 3] }) : heads;
        };
        const product = b.one("Einsum", [split(1), split(2)], { equation: scores });
        const length = b.one("Squeeze", [b.one("Shape", ["x"], { start: 1, end: 2 })]);
        const range = b.one("Range", [b.ints("zero", 0), length, b.ints("one", 1)]);
        const seen = b.one("GreaterOrEqual", [b.one("Unsqueeze", [range, b.ints("axis", [1])]), range]);
        const shown = b.one("Where", [seen, product, b.floats("low", [], [Number.NEGATIVE_INFINITY])]);
        const attended = b.one("Einsum", [b.one("Softmax", [shown], { axis: -1 }), split(3)], { equation: mixed });
        const back = /bqhd$/.test(mixed) ? attended : b.one("Transpose", [attended], { perm: [0, 2, 1, 3] });
        b.one("Reshape", [back, b.ints("joined", [0, 0, -1])], {}, { outputs: ["y"] });
      },
    });
    const { layers, claim, check } = await convertModel(model);
    expect(layers.map(({ form }) => form)).toEqual(["cache", "cache"]);
    expect(claim.kind).toBe("proven");
    expect(check.largest).toBeLessThan(1e-6);
  });
});

test.each(["bnc,cd->bnd", "bij,bji->b", "bii,bij->bij", "...id,...jd->...ij", "ijc,bjc->bic", "bnd->bdn"])(
  "%s stays as it is",
  (equation) => {
    const b = createBuilder(18, ["x", "w", "y"]);
    b.one("Einsum", equation.includes(",") ? ["x", "w"] : ["x"], { equation }, { outputs: ["y"] });
    const info = (name: string) => ({ name, type: DataType.FLOAT, dims: undefined });
    const ends = { inputs: ["x", "w"].map(info), outputs: [info("y")] };
    const model = makeModel({ ...ends, nodes: b.nodes, initializers: b.initializers, opsets: 18 });
    expect(expanded(model)).toBe(model);
  },
);
