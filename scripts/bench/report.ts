/** The suite's results as a page: docs/benchmarks.md is made here and nowhere else. */
import type { Machine } from "../../src/bench/measure.ts";
import { markdownTable } from "../docs/markdown.ts";
import { met, type Row } from "./row.ts";
import type { Scaling } from "./scaling.ts";

export interface Results {
  readonly machine: Machine;
  readonly threads: number | undefined;
  readonly rounds: number;
  /** Load of the machine over the last minute, before and after. */
  readonly load: readonly [before: number, after: number];
  readonly rows: readonly Row[];
}

const number = (value: number): string => (value >= 100 ? value.toFixed(0) : String(Number(value.toPrecision(3))));

/** "1.15 ×" and its quartiles. */
export const measuredOf = ({ value, low, high, unit }: Row): string =>
  `${number(value)} ${unit}${low === high ? "" : ` (${number(low)}–${number(high)})`}`;

const limit = (row: Row, value: number | undefined): string =>
  value === undefined ? "" : `${row.better === "less" ? "≤" : "≥"} ${value}${met(row, value) ? " ✓" : " ✗"}`;

/** Cells of a row: what, measured, must, aim. */
export const cellsOf = (row: Row): string[] => [row.what, measuredOf(row), limit(row, row.must), limit(row, row.aim)];

export function benchmarksPage(results: Results | undefined, scaling: Scaling | undefined): string {
  const parts = [
    "# Benchmarks",
    "Made by `npm run bench` from what it measured; not written by hand. Times are medians of interleaved runs: every round runs each case, and a ratio is the median over the rounds of the ratios within a round, its quartiles in brackets. The machine idles 100 ms before each case has its turn, because ONNX Runtime's threads go on spinning after a run and would take a core from the next case; where all cases share one session (late and early steps, the runtime's own overhead) or one thread (how the cost grows) there is nothing to wait for, and they follow one another at once. *Floor*: the same network with its convolutions cut out.",
    ...(results ? suitePart(results) : []),
    ...(scaling ? scalingPart(scaling) : []),
  ];
  return `${parts.join("\n\n")}\n`;
}

const where = ({ cpu, cores, node }: Machine): string => `${cpu}, ${cores} cores, Node ${node}`;

/** Cases of one token, in the words of the page; `tokens` that one run of it gives. */
const TOKEN_CASES: readonly (readonly [name: string, words: string, tokens: number])[] = [
  ["int4", "converted, int4 weights", 1],
  ["converted", "converted, float32", 1],
  ["batch 32", "converted, float32, 32 sequences at once", 32],
  ["exact, 512", "exact ETSC of 512 lags", 1],
  ["exact, 2048", "exact ETSC of 2 048 lags", 1],
  ["exported, 512", "the exported graph again, after 512 tokens", 1],
  ["exported, 2048", "the exported graph again, after 2 048 tokens", 1],
  ["floor", "*floor*", 1],
];

function suitePart({ machine, threads, rounds, load, rows }: Results): string[] {
  const timings = rows.flatMap((row) => row.times.map((timing) => ({ row, timing })));
  const tokens = TOKEN_CASES.flatMap(([name, words, count]) => {
    const { timing } = timings.find((each) => each.timing.name === name) ?? {};
    return timing ? [[words, number(timing.ms), number((1000 * count) / timing.ms)]] : [];
  });
  const cells = timings.map(({ row, timing: { name, ms, low, high, repeats } }) => [
    ...[row.what, name, number(ms), `${number(low)}–${number(high)}`, String(repeats)],
  ]);
  return [
    "## A language model of the paper's size",
    `TNN with random weights: 6 layers, width 512, 1 536 convolved channels, 50 265 words (\`scripts/paper-model.ts\`). ${where(machine)}, onnxruntime-node 1.30 CPU, ${threads ? `${threads} threads` : "its own choice of threads"}, ${rounds} rounds; the machine's load was ${load[0].toFixed(1)} before and ${load[1].toFixed(1)} after.`,
    "What a token costs:",
    markdownTable(["", "ms", "tokens/s"], tokens),
    "Whatever came before, a token costs the same, and what a stream carries has one size ([serving](serving.md) says how many streams a gigabyte holds); the exported graph reads everything again. Ratios, each of cases that took turns:",
    markdownTable(
      ["", "measured"],
      rows.map((row) => [row.what, measuredOf(row)]),
    ),
    `<details><summary>The times behind the ratios, ms</summary>\n\n${markdownTable(["row", "case", "median", "quartiles", "runs a round"], cells)}\n\n</details>`,
  ];
}

function scalingPart({ machine, series }: Scaling): string[] {
  const rows = series.map(({ what, points, exponent, upper }) => {
    const [first, last] = [points[0]!, points.at(-1)!];
    const ms = `${number(first.ms)} … ${number(last.ms)}`;
    return [what, `${first.size} … ${last.size}`, ms, exponent.toFixed(2), upper.toFixed(2)];
  });
  return [
    "## How the cost grows",
    `Milliseconds of one recurrence alone against one size, the others fixed (512 channels, order 32, B = 1, one token), on one thread. The exponent is the slope of a straight line through the logarithms, over the whole range and over its upper decade, where the cost of starting a run no longer counts. ${where(machine)}.`,
    "![Milliseconds against each size, both logarithmic](scaling.svg)",
    markdownTable(["against", "range", "ms", "exponent", "of the upper decade"], rows),
  ];
}
