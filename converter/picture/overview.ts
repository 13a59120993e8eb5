/** Figures that set the layers of a model side by side: how fast their kernels die away, and how many states each needs. */
import * as Plot from "@observablehq/plot";
import { median } from "d3-array";
import { stateOrder } from "../solve/form.ts";
import { decades, draw, HALO, lagAxis, logAxis } from "./plot.ts";
import { wideningBins } from "./sample.ts";
import type { LayerInput } from "./table.ts";

/** Points of a line. */
const POINTS = 120;
/** Colours of the layers, in turn; each line is labelled as well. */
const COLOURS = ["var(--blue)", "var(--orange)", "var(--green)", "var(--purple)"] as const;

const colour = (index: number): string => COLOURS[index % COLOURS.length]!;

/** The median channel's |t| of each layer, over the layer's largest |t|. */
export function decayOverview(layers: readonly LayerInput[]): string {
  const lines = layers.map(({ kernels: { lags, channels, taps } }) => {
    const points = wideningBins(lags, POINTS).map(({ from, to }) => {
      const sizes = new Float64Array(channels);
      for (let k = from; k < to; k++)
        for (let c = 0; c < channels; c++) sizes[c] = Math.max(sizes[c]!, Math.abs(taps[k * channels + c]!));
      return [from, median(sizes)!] as const;
    });
    const largest = Math.max(...points.map(([, size]) => size)) || 1;
    return points.map(([lag, size]) => [lag, size / largest] as const);
  });
  const domain = decades(
    lines.flatMap((line) => line.map(([, size]) => size)),
    8,
  );
  return draw("Median absolute kernel of each layer against the lag", {
    marginRight: 24,
    x: lagAxis(Math.max(...layers.map(({ kernels }) => kernels.lags))),
    y: logAxis("↑ median |t| over its largest", domain),
    marks: lines.flatMap((line, i) => {
      const points = line.map(([lag, size]) => [lag, Math.max(size, domain[0] / 10)] as const);
      return [
        Plot.line(points, { stroke: colour(i), strokeWidth: 1.6, clip: true }),
        ...nameAt(points, i, layers.length, domain[0]),
      ];
    }),
  });
}

/** The layer's number on its line, at a place of its own, so that the numbers do not cover one another. */
function nameAt(
  points: readonly (readonly [number, number])[],
  index: number,
  of: number,
  floor: number,
): Plot.Markish[] {
  const above = points.filter(([, value]) => value > floor);
  const at = above[Math.floor(((index + 0.5) / of) * above.length * 0.55 + above.length * 0.35)];
  return at
    ? [Plot.text([at], { text: () => String(index), fill: colour(index), fontWeight: 700, fontSize: 12.5, ...HALO })]
    : [];
}

/** Singular values of all layers that have them, each over its largest, with the order that was chosen. */
export function singularValueOverview(layers: readonly LayerInput[]): string {
  const rows = layers.map(({ singularValues = [], form }) => {
    const first = singularValues[0] || 1;
    const points = Array.from(singularValues, (value, i) => [i + 1, value / first] as const).filter(
      ([, value]) => value > 0,
    );
    return { points, order: form?.kind === "compact" ? stateOrder(form) : undefined };
  });
  const domain = decades(rows.flatMap(({ points }) => points.map(([, value]) => value)));
  const last = Math.max(...rows.flatMap(({ points }) => points.length)) + 1;
  return draw("Singular values of all layers", {
    marginRight: 24,
    x: { label: "singular value, by size →", domain: [0, last], ticks: 6, tickFormat: "d" },
    y: logAxis("↑ σ over the largest", domain),
    marks: rows.flatMap(({ points, order }, i) => {
      const end = points.at(-1);
      const chosen = points.filter(([index]) => index === order);
      return [
        Plot.line(points, { stroke: colour(i), strokeWidth: 1.5 }),
        Plot.dot(chosen, { r: 4, fill: colour(i), stroke: "var(--paper)", strokeWidth: 1 }),
        ...(end
          ? [Plot.text([end], { text: () => String(i), dx: 9, fill: colour(i), fontWeight: 700, fontSize: 12.5 })]
          : []),
      ];
    }),
  });
}
