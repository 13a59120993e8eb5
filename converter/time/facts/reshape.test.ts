/** Regrouping: the factors of a layout, in row-major order, to axes of other sizes. */
import { describe, expect, test } from "vitest";
import { parseLayout } from "../../../test/operators/case.ts";
import { regroup, sizesOf } from "./reshape.ts";

const SYMBOLS = { batch: 1_000_003, time: 1_000_033 };

describe("any batch size and length", () => {
  test.each([
    ["b t 24", "b t 4 6"],
    ["b t 4 6", "b t 24"],
    ["b t 6 4", "b t 8 3"],
    ["b t 24", "bt 24"],
    ["bt 24", "b t 24"],
    ["b t 24", "b t24"],
    ["b 4 t", "b4 t"],
    ["b t 1 1", "b t"],
    ["b t", "1 b 1 t 1"],
    // more elements than float64 counts exactly
    ["b t 50265", "bt 50265"],
    ["b t 50265", "bt50265"],
  ])("%s to %s", (from, to) => {
    const target = parseLayout(to);
    expect(regroup(parseLayout(from), sizesOf(target, SYMBOLS), SYMBOLS)).toEqual(target);
  });

  test.each([
    ["b t 24", [BigInt(SYMBOLS.batch), 24n, BigInt(SYMBOLS.time)]],
    ["b t 24", [BigInt(SYMBOLS.batch), BigInt(SYMBOLS.time), 23n]],
    ["b t", [BigInt(SYMBOLS.batch)]],
    ["b t 4", [BigInt(SYMBOLS.time), BigInt(SYMBOLS.batch), 4n]],
  ])("%s to %s: not without cutting up an axis", (from, sizes) => {
    expect(regroup(parseLayout(from), sizes, SYMBOLS)).toBeUndefined();
  });
});

describe("fixed sizes", () => {
  test("a batch of one takes an axis of its own where there is one", () => {
    const one = { batch: 1, time: 48 };
    expect(regroup(parseLayout("b t 24"), [1n, 48n, 4n, 6n], one)).toEqual(parseLayout("b t 4 6"));
    expect(regroup(parseLayout("b t 24"), [48n, 24n], one)).toEqual(parseLayout("bt 24"));
  });

  test("as many channels as positions stay what they are", () => {
    const sizes = { batch: 2, time: 24 };
    expect(regroup(parseLayout("b t 24"), [2n, 24n, 24n], sizes)).toEqual(parseLayout("b t 24"));
    expect(regroup(parseLayout("b 24 t"), [2n, 24n, 24n], sizes)).toEqual(parseLayout("b 24 t"));
    expect(regroup(parseLayout("b t 24"), [2n, 12n, 48n], sizes)).toBeUndefined();
  });
});
