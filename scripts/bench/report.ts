/** The suite's results as a page: docs/benchmarks.md is made here and nowhere else. */
import type { Machine } from "../../src/bench/measure.ts";
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

function suitePart({ machine, threads, rounds, load, rows }: Results): string[] {
  const times = rows
    .flatMap((row) => row.times.map((timing) => ({ row, timing })))
    .map(
      ({ row, timing: { name, ms, low, high, repeats } }) =>
        `| ${row.what} | ${name} | ${number(ms)} | ${number(low)}–${number(high)} | ${repeats} |`,
    );
  return [
    "## The paper's size",
    `TNN language model with random weights: 6 layers, width 512, 1 536 convolved channels, 50 265 words (\`scripts/paper-model.ts\`). ${where(machine)}, onnxruntime-node 1.30 CPU, ${threads ? `${threads} threads` : "its own choice of threads"}, ${rounds} rounds; the machine's load was ${load[0].toFixed(1)} before and ${load[1].toFixed(1)} after.`,
    ["| | measured | must | aim |", "|---|---|---|---|", ...rows.map((row) => `| ${cellsOf(row).join(" | ")} |`)].join(
      "\n",
    ),
    "The times behind the ratios, ms:",
    ["| row | case | median | quartiles | runs a round |", "|---|---|---|---|---|", ...times].join("\n"),
  ];
}

function scalingPart({ machine, series }: Scaling): string[] {
  const rows = series.map(({ what, points, exponent, upper }) => {
    const [first, last] = [points[0]!, points.at(-1)!];
    return `| ${what} | ${first.size} … ${last.size} | ${number(first.ms)} … ${number(last.ms)} | ${exponent.toFixed(2)} | ${upper.toFixed(2)} |`;
  });
  return [
    "## How the cost grows",
    `Milliseconds of one recurrence alone against one size, the others fixed (512 channels, order 32, B = 1, one token), on one thread. The exponent is the slope of a straight line through the logarithms, over the whole range and over its upper decade, where the cost of starting a run no longer counts. ${where(machine)}.`,
    "![Milliseconds against each size, both logarithmic](scaling.svg)",
    ["| against | range | ms | exponent | of the upper decade |", "|---|---|---|---|---|", ...rows].join("\n"),
  ];
}
