/** What probes find, of systems whose answer is written down: each is a function from rows to rows, no graph. */

import { expect, test } from "vitest";
import type { RunRows } from "../parts/open-region.ts";
import { convolve, type ProbeResult, probe } from "./probe.ts";

const CHANNELS = 3;
const TIME = 40;
const KERNELS = {
  lags: TIME,
  channels: CHANNELS,
  taps: Float64Array.from(
    { length: TIME * CHANNELS },
    (_, i) => 0.8 ** Math.floor(i / CHANNELS) * (1 + (i % CHANNELS)),
  ),
};
const STRAIGHT = [0, 1, 2];

/** A system that works row by row. */
const system =
  (answer: (row: Float64Array, time: number) => Float64Array): RunRows =>
  async (rows, time) =>
    rows.map((row) => answer(row, time));

const convolved = (row: Float64Array, sources: readonly (number | undefined)[] = STRAIGHT) =>
  convolve(row, KERNELS, CHANNELS, sources);

const ask = (runRows: RunRows) => probe(runRows, TIME, CHANNELS, true);

test("a convolution with a bias: its kernels, its bias, and each channel from itself", async () => {
  const found = (await ask(system((row) => convolved(row).map((y, i) => y + (i % CHANNELS))))) as ProbeResult;
  expect(Array.from(found.bias)).toEqual([0, 1, 2]);
  expect(found.sources).toEqual(STRAIGHT);
  for (const [i, tap] of found.kernels.taps.entries()) expect(tap).toBeCloseTo(KERNELS.taps[i]!, 12);
});

test("channels that leave in another order, twice, or not at all", async () => {
  const sources = [2, undefined, 2];
  expect(await ask(system((row) => convolved(row, sources)))).toMatchObject({ sources });
});

test.each<[string, string, (row: Float64Array, time: number) => Float64Array]>([
  ["a gain by the position", "not-time-invariant", (row) => convolved(row).map((y, i) => y * (1 + (i > 60 ? 0.1 : 0)))],
  ["one position that looks ahead", "not-causal", (row) => ahead(convolved(row), row)],
  ["a sum over channels", "mixes-channels", (row) => mixed(convolved(row))],
  ["a clip of what is loud", "not-linear", (row) => convolved(row).map((y) => Math.max(-100, Math.min(100, y)))],
  ["a threshold for what is soft", "not-linear", (row) => convolved(row).map((y) => (Math.abs(y) < 1e-4 ? 0 : y))],
  [
    "the position, added",
    "absolute-position",
    (row) => convolved(row).map((y, i) => y + Math.floor(i / CHANNELS) / TIME),
  ],
  ["no number", "not-linear", (row) => convolved(row).map((y, i) => (i === 7 && row[0] ? Number.NaN : y))],
  ["channels that are no whole number", "mixes-channels", (row) => convolved(row).slice(1)],
])("%s: %s", async (_, code, answer) => {
  expect(await ask(system(answer))).toMatchObject({ code });
});

test("a kernel that is known to be longer is compared over what both have", async () => {
  const known = { kernels: KERNELS, sources: STRAIGHT };
  const runRows = system((row) => convolved(row));
  expect(await probe(runRows, 16, CHANNELS, false, known)).not.toHaveProperty("code");
});

function ahead(answer: Float64Array, row: Float64Array): Float64Array {
  answer[12 * CHANNELS]! += 0.01 * row[39 * CHANNELS]!;
  return answer;
}

function mixed(answer: Float64Array): Float64Array {
  for (let i = 0; i < answer.length; i += CHANNELS) answer[i]! += 0.01 * answer[i + 1]!;
  return answer;
}
