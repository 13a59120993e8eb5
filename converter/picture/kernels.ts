/** Figures of a layer's kernels: as they are, and how they die away. */
import * as Plot from "@observablehq/plot";
import { quantile } from "d3-array";
import type { Kernels } from "../solve/form.ts";
import { hoverColumns } from "./hover.ts";
import { decades, draw, HALO, lagAxis, logAxis } from "./plot.ts";
import {
  type Bin,
  binsOf,
  chosenChannels,
  lagsHolding,
  largestTap,
  type Memory,
  memories,
  wideningBins,
} from "./sample.ts";
import { grouped, significant } from "./text.ts";

/** Colours of the channels drawn by name, shortest memory first. */
const COLOURS = ["var(--orange)", "var(--green)", "var(--blue)"] as const;
/** Points of a line. */
const POINTS = 180;

type Point = readonly [x: number, y: number];

/** Both figures of one layer, and what they leave out, in a sentence. */
export interface KernelFigures {
  readonly linear: string;
  readonly logarithmic: string;
  /** Lags that the linear figure shows. */
  readonly shownLags: number;
  /** Channels that are drawn one by one. */
  readonly drawn: number;
}

/** Draws the kernels of a layer; lags and channels beyond what a figure can hold are binned, never left out of the bands. */
export function kernelFigures(kernels: Kernels): KernelFigures {
  const { named, others } = chosenChannels(memories(kernels));
  const shownLags = lagsHolding(kernels, 1e-4, Math.min(kernels.lags, 16));
  return {
    linear: linearFigure(kernels, named, others, shownLags),
    logarithmic: logarithmicFigure(kernels, named),
    shownLags,
    drawn: named.length + others.length,
  };
}

function linearFigure(kernels: Kernels, named: readonly Memory[], others: readonly Memory[], lags: number): string {
  const { channels, taps } = kernels;
  const bins = wideningBins(lags, POINTS);
  const line = ({ channel }: Memory): Point[] => bins.map(({ from }) => [from, taps[from * channels + channel]!]);
  const envelope = bins.map((bin) => {
    let [low, high] = [Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY];
    for (let i = bin.from * channels; i < bin.to * channels; i++) {
      low = Math.min(low, taps[i]!);
      high = Math.max(high, taps[i]!);
    }
    return { lag: bin.from, low, high };
  });
  return draw(`Kernels of ${channels} channels against the lag`, {
    x: lagAxis(lags),
    y: { label: "↑ kernel t", nice: true, grid: true, ticks: 5 },
    marks: [
      Plot.areaY(envelope, { x: "lag", y1: "low", y2: "high", fill: "var(--band)" }),
      ...others.map((each) => Plot.line(line(each), { stroke: "var(--faint)", strokeWidth: 0.7 })),
      Plot.ruleY([0], { stroke: "currentColor", strokeOpacity: 0.5 }),
      ...named.map((each, i) => Plot.line(line(each), { stroke: colour(i, named.length), strokeWidth: 1.8 })),
      ...namesOf(named),
      hoverColumns(
        bins.map(({ from, to }, i) => ({
          ...{ from: from === 0 ? 0 : from - 0.5, to: Math.min(to - 0.5, lags - 1) },
          text: `lag ${from}: ${named.map(({ channel }) => `channel ${channel}: ${significant(taps[from * channels + channel]!, 3)}`).join(", ")}; all from ${significant(envelope[i]!.low, 3)} to ${significant(envelope[i]!.high, 3)}`,
        })),
      ),
    ],
  });
}

/** Names of the channels, in their colours, in the corner that a decaying kernel leaves free. */
function namesOf(named: readonly Memory[]): Plot.Markish[] {
  const lines = named.map(({ channel, lags }) => `channel ${channel}: ${significant(lags)} lags of memory`);
  return lines.map((text, i) =>
    Plot.text([text], {
      text: (each: string) => each,
      frameAnchor: "top-right",
      dx: -2,
      dy: 4 + 15 * i,
      fill: colour(i, lines.length),
      fontWeight: 600,
      ...HALO,
    }),
  );
}

const colour = (index: number, of: number): string => COLOURS[index + (of === 1 ? 2 : 0)] ?? COLOURS[2];

function logarithmicFigure(kernels: Kernels, named: readonly Memory[]): string {
  const { lags, channels } = kernels;
  const bins = binsOf(lags, POINTS);
  const spreads = bins.map((bin) => ({ lag: (bin.from + bin.to - 1) / 2, sizes: sizesIn(kernels, bin) }));
  const bands = spreads.map(({ lag, sizes }) => {
    const at = (share: number): number => quantile(sizes, share)!;
    return { lag, least: at(0), low: at(0.25), median: at(0.5), high: at(0.75), most: at(1) };
  });
  const largest = largestTap(kernels.taps);
  const domain = decades(
    bands.flatMap(({ low, most }) => [Math.max(low, largest * 1e-10), most]),
    12,
  );
  const floor = domain[0];
  const clamped = bands.map(({ lag, ...values }) => ({
    lag,
    ...(Object.fromEntries(
      Object.entries(values).map(([name, value]) => [name, Math.max(value, floor)]),
    ) as typeof values),
  }));
  return draw(`Absolute kernels of ${channels} channels against the lag, logarithmic`, {
    x: { label: "lag →", domain: [0, Math.max(lags - 1, 1)], ticks: 5, tickFormat: grouped },
    y: logAxis("↑ |t|, largest near each lag", domain),
    marks: [
      Plot.areaY(clamped, { x: "lag", y1: "least", y2: "most", fill: "var(--band)" }),
      Plot.areaY(clamped, { x: "lag", y1: "low", y2: "high", fill: "var(--band-inner)" }),
      Plot.line(bands, {
        x: "lag",
        y: ({ median }: { median: number }) => Math.max(median, floor / 10),
        stroke: "currentColor",
        strokeWidth: 1.4,
        clip: true,
      }),
      ...named.map(({ channel }, i) => {
        const points = spreads.map(({ lag, sizes }): Point => [lag, Math.max(sizes[channel]!, floor / 10)]);
        return Plot.line(points, { stroke: colour(i, named.length), strokeWidth: 1.6, clip: true });
      }),
      ...bandNames(),
      hoverColumns(
        bins.map(({ from, to }, i) => ({
          ...{ from: Math.max(0, from - 0.5), to: Math.min(to - 0.5, Math.max(lags - 1, 1)) },
          text: `lag ${from}${to > from + 1 ? `–${to - 1}` : ""}: median ${significant(bands[i]!.median)}, largest ${significant(bands[i]!.most)}`,
        })),
      ),
    ],
  });
}

/** max |t| of every channel over the lags of a bin. */
function sizesIn({ channels, taps }: Kernels, { from, to }: Bin): Float64Array {
  const sizes = new Float64Array(channels);
  for (let k = from; k < to; k++) {
    for (let c = 0; c < channels; c++) sizes[c] = Math.max(sizes[c]!, Math.abs(taps[k * channels + c]!));
  }
  return sizes;
}

/** What the bands are, with a swatch each, in the corner that a decaying kernel leaves free. */
function bandNames(): Plot.Markish[] {
  const rows = [
    { text: "all channels", fill: "var(--band)" },
    { text: "middle half", fill: "var(--band-inner)" },
    { text: "median", fill: "currentColor" },
  ];
  return rows.flatMap(({ text, fill }, i) => [
    Plot.text([text], {
      text: (each: string) => each,
      frameAnchor: "top-right",
      dx: -20,
      dy: 4 + 15 * i,
      fill: "currentColor",
      ...HALO,
    }),
    Plot.dot([0], {
      frameAnchor: "top-right",
      symbol: "square",
      r: 5,
      dx: -8,
      dy: 9 + 15 * i,
      fill,
      stroke: "var(--axis)",
      strokeWidth: 0.5,
    }),
  ]);
}
