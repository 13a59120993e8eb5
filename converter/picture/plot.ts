/** Observable Plot drawn to an SVG string, without a browser. */
import * as Plot from "@observablehq/plot";
import { parseHTML } from "linkedom";
import { escapeHtml, grouped, powerOfTen } from "./text.ts";

/** Size of every figure, px: three side by side on a wide page, one on a narrow one, in either case near its own size. */
export const WIDTH = 424;
export const HEIGHT = 268;

/** Halo that keeps a label legible over lines. */
export const HALO = { stroke: "var(--paper)", strokeWidth: 4, strokeLinejoin: "round" } as const;

const { document } = parseHTML("<!doctype html><html><body></body></html>");

/**
 * Draws a figure. Colours are variables of the page (`var(--blue)`), so that it follows a dark page.
 * @param label what the figure shows, for readers who cannot see it
 * @returns an `svg` element that scales with its column
 */
export function draw(label: string, options: Plot.PlotOptions): string {
  const drawn = Plot.plot({
    width: WIDTH,
    height: HEIGHT,
    marginTop: 25,
    marginLeft: 48,
    marginRight: 14,
    marginBottom: 34,
    ...options,
    className: "plot",
    document: document as unknown as Document,
  });
  // Plot's own sheet is in the page once (style.ts); a copy in each figure would be most of the file
  for (const sheet of drawn.querySelectorAll("style")) sheet.remove();
  drawn.setAttribute("role", "img");
  drawn.removeAttribute("width");
  drawn.removeAttribute("height");
  const svg = roundCoordinates(drawn.outerHTML);
  return svg.replace(/^<svg /, `<svg xmlns="http://www.w3.org/2000/svg" aria-label="${escapeHtml(label)}" `);
}

/** A tenth of a pixel is enough for any screen and halves the file. */
const roundCoordinates = (svg: string): string =>
  svg.replace(/ (d|x|y|x1|x2|y1|y2|cx|cy|r|width|height|transform)="([^"]*)"/g, (_, name: string, value: string) => {
    const rounded = value.includes("em")
      ? value
      : value.replace(/-?\d*\.\d+(e-?\d+)?/g, (number) => String(Math.round(Number(number) * 10) / 10));
    return ` ${name}="${rounded}"`;
  });

/** Decades of a logarithmic axis that holds these values; at most `most` decades, from the largest value down. */
export function decades(values: Iterable<number>, most = 14): [number, number] {
  let [low, high] = [Number.POSITIVE_INFINITY, 0];
  for (const value of values) {
    if (!(value > 0) || !Number.isFinite(value)) continue;
    low = Math.min(low, value);
    high = Math.max(high, value);
  }
  if (high === 0) return [1e-3, 1];
  const top = Math.ceil(Math.log10(high) - 1e-9);
  const bottom = Math.max(Math.floor(Math.log10(low) + 1e-9), top - most);
  return [10 ** Math.max(bottom, -300), 10 ** Math.min(Math.max(top, bottom + 1), 300)];
}

/** A lag axis that gives the first lags their room: linear up to lag 1, then logarithmic. */
export function lagAxis(lags: number): Plot.ScaleOptions {
  const last = Math.max(lags - 1, 1);
  const ticks = [0, 1, 3, 10, 30, 100, 300, 1000, 3000, 10_000, 30_000].filter((tick) => tick <= last);
  return { type: "symlog", constant: 1, label: "lag →", domain: [0, last], ticks, tickFormat: grouped };
}

/** A logarithmic axis with a grid over these decades. */
export const logAxis = (label: string, domain: readonly [number, number]): Plot.ScaleOptions => ({
  type: "log",
  label,
  domain,
  ticks: decadeTicks(domain),
  tickFormat: powerOfTen,
  grid: true,
});

/** Powers of ten for the ticks of a logarithmic axis, about six of them. */
function decadeTicks([low, high]: readonly [number, number]): number[] {
  const [from, to] = [Math.round(Math.log10(low)), Math.round(Math.log10(high))];
  const step = Math.max(1, Math.ceil((to - from) / 6));
  const ticks: number[] = [];
  for (let exponent = to; exponent >= from; exponent -= step) ticks.unshift(10 ** exponent);
  return ticks;
}
