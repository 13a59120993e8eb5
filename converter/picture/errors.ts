/** Figures of a layer's errors: at every lag, and what was certified against what was measured. */
import * as Plot from "@observablehq/plot";
import type { Certificate } from "../certify/certify.ts";
import { hoverColumns } from "./hover.ts";
import type { LagErrors, OutputErrors } from "./measure.ts";
import { decades, draw, HALO, HEIGHT, lagAxis, logAxis } from "./plot.ts";
import { wideningBins } from "./sample.ts";
import { significant } from "./text.ts";

/** Points of a line. */
const POINTS = 200;

/**
 * The error of a form's kernels at every lag: root mean square and largest over the channels, and the error accumulated
 * so far, which in the worst channel ends at what is certified.
 */
export function lagErrorFigure(errors: LagErrors, certificate: Certificate | undefined): string {
  const certified = certificate?.layer.worst.two;
  const bins = wideningBins(errors.lags, POINTS);
  const over = (values: Float64Array, lags: { from: number; to: number }) =>
    values.subarray(lags.from, lags.to).reduce((a, b) => Math.max(a, b), 0);
  const rows = bins.map((bin) => ({
    lag: (bin.from + bin.to - 1) / 2,
    rms: over(errors.rms, bin),
    largest: over(errors.largest, bin),
    accumulated: errors.accumulated[bin.to - 1]!,
  }));
  const finite = certified !== undefined && Number.isFinite(certified) && certified > 0 ? [certified] : [];
  const domain = decades(
    [
      ...rows.flatMap(({ rms, largest, accumulated }) => [rms, largest, accumulated]),
      ...finite.map((value) => value * 4),
    ],
    9,
  );
  const floor = domain[0];
  const line = (of: "rms" | "largest" | "accumulated", stroke: string, strokeWidth: number) =>
    Plot.line(
      rows.map((row) => [row.lag, Math.max(row[of], floor / 10)] as const),
      { stroke, strokeWidth, clip: true },
    );
  const name = (text: string, fill: string, row: number) =>
    Plot.text([text], {
      text: (each: string) => each,
      frameAnchor: "bottom-left",
      dx: 6,
      dy: -6 - 15 * row,
      fill,
      fontWeight: 600,
      ...HALO,
    });
  return draw("Error of the kernels at every lag", {
    x: lagAxis(errors.lags),
    y: logAxis("↑ relative error", domain),
    marks: [
      line("rms", "var(--blue)", 1.4),
      line("largest", "var(--orange)", 1.4),
      line("accumulated", "var(--green)", 1.8),
      ...finite.map((value) => Plot.ruleY([value], { stroke: "var(--red)", strokeDasharray: "5 3", strokeWidth: 1.4 })),
      ...finite.map((value) =>
        Plot.text([`certified for every channel: ${significant(value)}`], {
          x: [0],
          y: [value],
          text: (each: string) => each,
          dx: 6,
          dy: -8,
          textAnchor: "start",
          fill: "var(--red)",
          fontWeight: 600,
          ...HALO,
        }),
      ),
      name("accumulated in the worst channel", "var(--green)", 2),
      name("largest of any channel", "var(--orange)", 1),
      name("root mean square", "var(--blue)", 0),
      hoverColumns(
        bins.map(({ from, to }, i) => ({
          ...{ from: from === 0 ? 0 : from - 0.5, to: Math.min(to - 0.5, errors.lags - 1) },
          text: `lag ${from}: rms ${significant(rows[i]!.rms)}, largest ${significant(rows[i]!.largest)}, accumulated ${significant(rows[i]!.accumulated)}`,
        })),
      ),
    ],
  });
}

/** Each channel's certified output error against the measured one; below the diagonal the certificate holds. */
export function certificateFigure({ worst, random }: OutputErrors): string {
  const points = [...worst, ...random];
  // What is exactly zero has no place on a logarithmic axis; it is drawn at the bottom of it
  const domain = decades(
    points.flatMap(({ certified, measured }) => [certified, measured]),
    10,
  );
  const inside = (value: number) => Math.min(Math.max(value, domain[0]), domain[1]);
  const cloud = (of: OutputErrors["worst"], fill: string, symbol: "circle" | "diamond") =>
    Plot.dot(of, {
      x: ({ certified }: { certified: number }) => inside(certified),
      y: ({ measured }: { measured: number }) => inside(measured),
      r: 2.6,
      fill,
      fillOpacity: 0.65,
      symbol,
      title: ({ certified, measured }: { certified: number; measured: number }) =>
        `certified ${significant(certified)}, measured ${significant(measured)}`,
    });
  const legend = (text: string, fill: string, row: number) =>
    Plot.text([text], {
      text: (each: string) => each,
      frameAnchor: "top-left",
      dx: 6,
      dy: 4 + 15 * row,
      fill,
      fontWeight: 600,
      ...HALO,
    });
  return draw("Certified against measured output error, a point for each channel", {
    x: logAxis("certified →", domain),
    y: logAxis("↑ measured", domain),
    height: HEIGHT,
    marks: [
      Plot.line(
        [
          [domain[0], domain[0]],
          [domain[1], domain[1]],
        ],
        { stroke: "var(--red)", strokeDasharray: "5 3", strokeWidth: 1.2 },
      ),
      Plot.text(["a certificate fails above this line"], {
        text: (each: string) => each,
        frameAnchor: "top-left",
        dx: 6,
        dy: 4,
        fill: "var(--red)",
        ...HALO,
      }),
      cloud(random, "var(--blue)", "circle"),
      cloud(worst, "var(--orange)", "diamond"),
      legend("worst input, float64", "var(--orange)", 1),
      legend("random signs, float32", "var(--blue)", 2),
    ],
  });
}
