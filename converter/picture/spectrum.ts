/** Figures of a layer's state space: singular values of its Hankel matrix, and the poles that were chosen. */
import * as Plot from "@observablehq/plot";
import { channelOf, type Modal, orderOf } from "../solve/form.ts";
import { type AnyModal, isShared } from "./measure.ts";
import { decades, draw, HALO, HEIGHT, logAxis, WIDTH } from "./plot.ts";
import { spread } from "./sample.ts";
import { count, grouped, significant } from "./text.ts";

/** Poles drawn at most. */
const POLES = 512;

/** Singular values over the largest, falling, with the chosen order marked. */
export function singularValueFigure(singularValues: Float64Array, order: number | undefined): string {
  const first = singularValues[0] || 1;
  const rows = Array.from(singularValues, (value, i) => ({ index: i + 1, value: value / first })).filter(
    ({ value }) => value > 0,
  );
  const domain = decades(rows.map(({ value }) => value));
  const last = Math.max(rows.length, order ?? 0) + 1;
  const kept = rows.filter(({ index }) => order === undefined || index <= order);
  const left = rows.filter(({ index }) => order !== undefined && index > order);
  const saidOf = ({ index, value }: { index: number; value: number }) => `σ ${index}: ${significant(value)}`;
  const side = order !== undefined && order > last * 0.6 ? "end" : "start";
  return draw("Singular values of the layer's Hankel matrix", {
    x: { label: "singular value, by size →", domain: [0, last], ticks: 6, tickFormat: "d" },
    y: logAxis("↑ σ over the largest", domain),
    marks: [
      ...(order === undefined
        ? []
        : [
            Plot.ruleX([order + 0.5], { stroke: "var(--orange)", strokeWidth: 1.4, strokeDasharray: "5 3" }),
            Plot.text([`order ${order}`], {
              x: [order + 0.5],
              text: (each: string) => each,
              frameAnchor: "top",
              dx: side === "start" ? 6 : -6,
              dy: 4,
              textAnchor: side,
              fill: "var(--orange)",
              fontWeight: 600,
              ...HALO,
            }),
          ]),
      Plot.line(rows, { x: "index", y: "value", stroke: "var(--faint)", strokeWidth: 1 }),
      Plot.dot(kept, { x: "index", y: "value", r: 2.8, fill: "var(--blue)", title: saidOf }),
      Plot.dot(left, {
        x: "index",
        y: "value",
        r: 2.6,
        stroke: "var(--blue)",
        fill: "var(--paper)",
        strokeWidth: 1.1,
        title: saidOf,
      }),
    ],
  });
}

/** A pole and the size of its residues: the square root of the sum of |residue|² over the channels. */
interface Pole {
  readonly re: number;
  readonly im: number;
  readonly norm: number;
}

/** Poles of a modal form, conjugates included. */
function polesOf(modal: AnyModal): Pole[] {
  if (isShared(modal)) return polesBetween(modal);
  return Array.from({ length: modal.channels }, (_, channel) => polesBetween(channelOf(modal, channel))).flat();
}

/** Poles that all channels of a form share. */
function polesBetween({ channels, residues, pairs, reals }: Modal): Pole[] {
  const norm = (from: number, to: number) =>
    Math.sqrt(residues.subarray(from * channels, to * channels).reduce((sum, each) => sum + each ** 2, 0));
  const poles: Pole[] = [];
  for (let p = 0; p < pairs.re.length; p++) {
    const [re, im, size] = [pairs.re[p]!, pairs.im[p]!, norm(2 * p, 2 * p + 2)];
    poles.push({ re, im, norm: size });
    if (im !== 0) poles.push({ re, im: -im, norm: size });
  }
  for (let r = 0; r < reals.length; r++) {
    const state = 2 * pairs.re.length + r;
    poles.push({ re: reals[r]!, im: 0, norm: norm(state, state + 1) });
  }
  return poles;
}

/** The poles in the unit disc, the area of each as large as its residues. */
export function poleFigure(modal: AnyModal): string {
  const poles = polesOf(modal);
  // Spread over the angles, so that a ring stays one; the small ones on top
  const byAngle = [...poles].sort((a, b) => Math.atan2(a.im, a.re) - Math.atan2(b.im, b.re));
  const shown = spread(byAngle, POLES).sort((a, b) => b.norm - a.norm);
  const largest = shown[0]?.norm || 1;
  const slowest = poles.reduce((a, b) => (modulus(b) > modulus(a) ? b : a), { re: 0, im: 0, norm: 0 });
  const real = poles.filter(({ im }) => im === 0).length;
  const pairs = (poles.length - real) / 2;
  const size = (pole: Pole) => Math.max(1.6, 9 * Math.sqrt(pole.norm / largest));
  const domain = 1.08;
  const side = HEIGHT - 8;
  return draw(`${poles.length} poles in the unit disc`, {
    marginTop: 4,
    marginLeft: 4,
    marginRight: 4,
    marginBottom: 4,
    axis: null,
    x: { domain: [-domain, -domain + (2 * domain * (WIDTH - 8)) / side] },
    y: { domain: [-domain, domain] },
    r: { type: "identity" },
    marks: [
      ...unitDisc(),
      Plot.dot(shown, {
        x: "re",
        y: "im",
        r: size,
        title: ({ re, im, norm }: Pole) =>
          `λ = ${significant(re, 5)} ${im < 0 ? "−" : "+"} ${significant(Math.abs(im), 5)}i, |λ| = ${significant(Math.hypot(re, im), 5)}, residues ${significant(norm)}`,
        fill: "var(--blue)",
        fillOpacity: 0.55,
        stroke: "var(--blue)",
        strokeWidth: 0.8,
      }),
      Plot.dot([slowest], {
        x: "re",
        y: "im",
        r: (pole: Pole) => size(pole) + 2.5,
        stroke: "var(--orange)",
        strokeWidth: 1.6,
      }),
      ...aside([isShared(modal) ? `Order ${orderOf(modal)}` : `${grouped(poles.length)} poles`], 0.86, {
        fontWeight: 600,
      }),
      ...aside([...(pairs ? [count(pairs, "conjugate pair")] : []), ...(real ? [count(real, "real pole")] : [])], 0.7),
      ...aside(["Slowest pole"], 0.28, { fontWeight: 600, fill: "var(--orange)" }),
      ...aside([`|λ| = ${modulus(slowest).toFixed(5)}`, decayOf(modulus(slowest))], 0.125),
      ...aside(["Area of a dot"], -0.4, { fontWeight: 600 }),
      ...aside(["norm of the residues", isShared(modal) ? "over all channels" : "of its channel"], -0.555),
      ...(shown.length < poles.length ? aside([`${shown.length} of ${grouped(poles.length)} poles`], -0.9) : []),
    ],
  });
}

/** The axes of the unit disc, the circles of radius ½ and 1, and their labels. */
const unitDisc = () => [
  Plot.line(
    [
      [-1, 0],
      [1, 0],
    ],
    { stroke: "currentColor", strokeOpacity: 0.18 },
  ),
  Plot.line(
    [
      [0, -1],
      [0, 1],
    ],
    { stroke: "currentColor", strokeOpacity: 0.18 },
  ),
  Plot.line(circle(0.5), { stroke: "currentColor", strokeOpacity: 0.18 }),
  Plot.line(circle(1), { stroke: "currentColor", strokeWidth: 1.2, strokeOpacity: 0.75 }),
  Plot.text(["½", "1"], {
    // upwards, where few poles are
    x: [0, 0],
    y: [0.5, 1],
    text: (each: string) => each,
    dx: 4,
    dy: 9,
    textAnchor: "start",
    fill: "currentColor",
    fillOpacity: 0.7,
    ...HALO,
  }),
];

/** The points of a circle around 0. */
const circle = (radius: number) =>
  Array.from(
    { length: 121 },
    (_, i) => [radius * Math.cos((i * Math.PI) / 60), radius * Math.sin((i * Math.PI) / 60)] as const,
  );

/** Lines of text beside the disc, from a height down. */
const aside = (lines: readonly string[], y: number, options: Plot.TextOptions = {}) =>
  lines.map((line, i) =>
    Plot.text([line], {
      x: [1.22],
      y: [y - 0.155 * i],
      text: (each: string) => each,
      textAnchor: "start",
      fill: "currentColor",
      ...options,
    }),
  );

const modulus = ({ re, im }: Pole): number => Math.hypot(re, im);

/** How long a mode remembers, in lags. */
const decayOf = (size: number): string =>
  size >= 1
    ? "never dies away"
    : size === 0
      ? "gone after one lag"
      : `1/e after ${significant(-1 / Math.log(size))} lags`;
