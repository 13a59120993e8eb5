/** The suite's results as a page: docs/benchmarks.md is made here and nowhere else. */
import type { Machine } from "../../src/bench/measure.ts";
import { markdownTable } from "../docs/markdown.ts";
import type { Peer } from "./parts/peers.ts";
import { met, type Row } from "./row.ts";
import type { Scaling } from "./scaling.ts";

export interface Results {
  readonly machine: Machine;
  readonly threads: number | undefined;
  readonly rounds: number;
  /** Load of the machine over the last minute, before and after. */
  readonly load: readonly [before: number, after: number];
  readonly rows: readonly Row[];
  /** A decode step of others, in the same rounds; the converted model first. */
  readonly peers: readonly Peer[];
  /** What the peers in Python are made with; undefined: there are none. */
  readonly python: string | undefined;
}

const number = (value: number): string => (value >= 100 ? value.toFixed(0) : String(Number(value.toPrecision(3))));

/** "1.15 ×" and its quartiles. */
export const measuredOf = ({ value, low, high, unit }: Row): string =>
  `${number(value)} ${unit}${low === high ? "" : ` (${number(low)}–${number(high)})`}`;

const limit = (row: Row, value: number | undefined): string =>
  value === undefined ? "" : `${row.better === "less" ? "≤" : "≥"} ${value}${met(row, value) ? " ✓" : " ✗"}`;

/** Cells of a row: what, measured, must, aim. */
export const cellsOf = (row: Row): string[] => [row.what, measuredOf(row), limit(row, row.must), limit(row, row.aim)];

/** Beside the page. */
export const PICTURE = "benchmarks.svg";

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

function suitePart(results: Results): string[] {
  const { machine, threads, rounds, load, rows } = results;
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
    ...peersPart(results),
    "What a token costs in other forms:",
    markdownTable(["", "ms", "tokens/s"], tokens),
    "Whatever came before, a token costs the same, and what a stream carries has one size ([serving](serving.md) says how many streams a gigabyte holds); the exported graph reads everything again. Ratios, each of cases that took turns:",
    markdownTable(
      ["", "measured"],
      rows.map((row) => [row.what, measuredOf(row)]),
    ),
    `<details><summary>The times behind the ratios, ms</summary>\n\n${markdownTable(["row", "case", "median", "quartiles", "runs a round"], cells)}\n\n</details>`,
  ];
}

/** The next token, and who else could give it. */
function peersPart({ peers, python }: Results): string[] {
  if (peers.length === 0) return [];
  const cells = peers.map(({ what, context, timing, times, stateBytes }) => [
    context === undefined ? what : `${what}, after ${grouped(context)} tokens`,
    ...[
      number(timing.ms),
      number(1000 / timing.ms),
      context === undefined && what === "converted" ? "1" : timesOf(times),
    ],
    bytes(stateBytes),
  ]);
  return [
    `What the next token costs, and what a stream carries for it. All of them took turns in the same rounds${python ? `; ${python}, random weights` : ""}. The transformer has as many layers of the same width.`,
    markdownTable(["", "ms", "tokens/s", "times the converted", "a stream carries"], cells),
    ...(peers.some(({ context }) => context !== undefined)
      ? [`![Milliseconds of the next token against the tokens before it](${PICTURE})`]
      : []),
  ];
}

const timesOf = ({ ratio, low, high }: Peer["times"]): string => `${number(ratio)} (${number(low)}–${number(high)})`;

const grouped = (value: number): string => value.toLocaleString("en").replaceAll(",", " ");

const bytes = (value: number): string => (value >= 1e6 ? `${number(value / 1e6)} MB` : `${number(value / 1e3)} kB`);

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
