/** How far kernels are read and looked at, from sources whose every tap is known. */
import { describe, expect, test } from "vitest";
import type { Region } from "../find/region.ts";
import type { KernelEnd, KernelSource } from "../find/source.ts";
import { extentOf } from "./extent.ts";

const region = { opening: { name: "conv", op: "Conv" } } as Region;
const LIFE = 131_072;

interface Given {
  /** Lags that can be had, and why no more. */
  readonly most?: number;
  readonly end?: KernelEnd;
  /** The first lag that is 0 by rule. */
  readonly reach?: number;
}

/** A kernel of one channel, with the lags up to which it was read and looked at. */
function sourceOf(tap: (k: number) => number, { most = Infinity, end = "memory", reach }: Given = {}) {
  const asked = { read: 0, looked: 0 };
  const source: KernelSource = {
    ...{ tensor: "kernel", verified: 1024, claim: { kind: "proven" }, reach },
    async at(lags) {
      const had = Math.min(lags, most);
      asked.read = Math.max(asked.read, had);
      const taps = Float64Array.from({ length: had }, (_, k) => tap(k));
      return { lags: had, channels: 1, taps, rounded: false, end: had < lags ? end : undefined };
    },
    async lifeBeyond(from, limits) {
      asked.looked = LIFE;
      for (let lag = from; lag < LIFE; lag++) if (Math.abs(tap(lag)) > limits[0]!) return { lag, to: LIFE };
      return { lag: undefined, to: LIFE };
    },
  };
  return { source, asked };
}

describe("a kernel", () => {
  test("that dies away is read to there, and looked at far beyond", async () => {
    const { source, asked } = sourceOf((k) => 0.99 ** k);
    const { died, finite, claim } = await extentOf(source, region);
    // 0.99^k is a millionth after ln(1e6) / -ln(0.99) lags
    expect(Math.abs(died - Math.log(1e6) / -Math.log(0.99))).toBeLessThan(300);
    expect({ finite, claim, looked: asked.looked }).toEqual({
      finite: undefined,
      claim: { kind: "proven" },
      looked: LIFE,
    });
  });

  test("that comes back after a gap is followed to behind it", async () => {
    const { source } = sourceOf((k) => (k < 40 || k === 6000 ? 1 : 0));
    const { finite, seen } = await extentOf(source, region);
    expect(seen.lags).toBeGreaterThan(2 * 6001 - 1);
    expect(finite).toBe(6001);
  });

  test("that comes back behind all that is affordable ends before", async () => {
    const { source } = sourceOf((k) => (k < 40 || k === 130_000 ? 1 : 0));
    const { claim, seen } = await extentOf(source, region, { horizon: 64 });
    expect(claim).toMatchObject({ kind: "ends", positions: seen.lags, because: expect.stringContaining("130000") });
  });

  test("that lives on is read no further than is always affordable", async () => {
    const { source, asked } = sourceOf(() => 1);
    const { died, seen } = await extentOf(source, region);
    expect({ died, read: asked.read }).toEqual({ died: seen.lags, read: 16_384 });
  });

  test("that ends by rule is read to its end, however long", async () => {
    const { source } = sourceOf((k) => (k < 50_000 ? 1 : 0), { reach: 50_000 });
    expect(await extentOf(source, region)).toMatchObject({ finite: 50_000, claim: { kind: "proven" } });
  });

  test.each<[KernelEnd, string]>([
    ["memory", "seen"],
    ["table", "proven"],
    ["exported length", "proven"],
  ])("whose graph ends (%s) is claimed to there: %s", async (end, kind) => {
    const { source } = sourceOf(() => 1, { most: 500, end });
    expect((await extentOf(source, region)).claim).toMatchObject({ kind, positions: 500 });
  });
});

test("of one lag, as of an export of one position, is refused", async () => {
  const { source } = sourceOf(() => 1, { most: 1, end: "exported length" });
  await expect(extentOf(source, region)).rejects.toMatchObject({ code: "no-horizon" });
});
