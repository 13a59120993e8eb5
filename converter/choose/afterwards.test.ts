/** Norms of what modes go on to answer, against sums of geometric series. */
import { expect, test } from "vitest";
import type { ChannelModal, Modal } from "../solve/form.ts";
import { normAfterwards } from "./afterwards.ts";

const [LAGS, POLE] = [10, 0.9];
const sizes = [2, 0.5, 0];
/** (Σ_{k ≥ 10} (size · pole^k)²)^½ */
const expected = Math.hypot(...sizes) * POLE ** LAGS * Math.sqrt(1 / (1 - POLE ** 2));

test("one real pole that all channels share", () => {
  const none = new Float64Array(0);
  const modal: Modal = {
    ...{ channels: 3, pairs: { re: none, im: none }, reals: Float64Array.of(POLE) },
    ...{ residues: Float64Array.from(sizes), direct: new Float64Array(3) },
  };
  const got = normAfterwards({ kind: "compact", modal, lags: LAGS });
  expect(got).toBeGreaterThanOrEqual(expected * (1 - 1e-12));
  // the bound on what follows behind twice the lags is no sharper than a sum of moduli
  expect(got).toBeLessThan(expected * 1.1);
});

test("a pair of poles for each channel", () => {
  const turns = [0.3, 0.7, 1.1];
  const modal: ChannelModal = {
    ...{ channels: 3, pairs: 1, direct: new Float64Array(3) },
    re: Float64Array.from(turns, (turn) => POLE * Math.cos(turn)),
    im: Float64Array.from(turns, (turn) => POLE * Math.sin(turn)),
    residues: Float64Array.from([...sizes, 0, 0, 0]),
  };
  const squares = turns.map((turn, c) =>
    Array.from({ length: 4000 }, (_, i) => LAGS + i).reduce(
      (sum, k) => sum + (sizes[c]! * POLE ** k * Math.cos(turn * k)) ** 2,
      0,
    ),
  );
  const exact = Math.sqrt(squares.reduce((a, b) => a + b, 0));
  const got = normAfterwards({ kind: "diagonal", modal, lags: LAGS });
  expect(got).toBeGreaterThanOrEqual(exact * (1 - 1e-12));
  expect(got).toBeLessThan(exact * 1.3);
});
