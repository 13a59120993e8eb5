/** The question before converting: how large a state buys how small an error. */
import * as Plot from "@observablehq/plot";
import { stateChannels, stateOrder } from "../solve/form.ts";
import { decades, draw, HALO, logAxis } from "./plot.ts";
import { errorOf, type LayerInput, stateBytes } from "./table.ts";
import { byteSize, significant } from "./text.ts";

/** Errors that are asked about. */
const TOLERANCES = [1e-1, 1e-2, 1e-3, 1e-4, 1e-5, 1e-6] as const;

/** State of a sequence for a tolerance. */
export interface Offer {
  readonly tolerance: number;
  readonly bytes: number;
  /** Layers whose curve or form comes within the tolerance; of the others, `bytes` counts the largest order tried. */
  readonly within: number;
}

/** What each tolerance would cost: of every layer the smallest order that is known to be within it. */
export function offersOf(layers: readonly LayerInput[]): Offer[] {
  if (!layers.some(({ curve }) => curve?.length)) return [];
  return TOLERANCES.map((tolerance) => {
    const orders = layers.map((layer) => {
      const { curve = [], form } = layer;
      const own = form && (errorOf(layer) ?? Infinity) <= tolerance ? [stateOrder(form)] : [];
      const known = [...own, ...curve.filter(({ error }) => error <= tolerance).map(({ order }) => order)];
      const tried = [...curve.map(({ order }) => order), ...(form ? [stateOrder(form)] : [])];
      return { within: known.length > 0, order: known.length > 0 ? Math.min(...known) : Math.max(0, ...tried) };
    });
    return {
      tolerance,
      bytes: orders.reduce((sum, { order }, i) => sum + 4 * order * columnsOf(layers[i]!), 0),
      within: orders.filter(({ within }) => within).length,
    };
  });
}

/** Channels with a state of an order each. */
const columnsOf = ({ form, region }: LayerInput): number => (form ? stateChannels(form) : region.channels);

/** The offers as rows. */
export function offerTable(offers: readonly Offer[], layers: number): string {
  const cell = (label: string, html: string, value?: number) =>
    `<td class="number" data-label="${label}"${value === undefined ? "" : ` data-value="${value}"`}><span>${html}</span></td>`;
  const rows = offers.map(({ tolerance, bytes, within }) => {
    const more = within < layers ? "more than " : "";
    const cells = [
      cell("Tolerance", significant(tolerance, 1), tolerance),
      cell("State of a sequence", `${more}${byteSize(bytes)}`, bytes),
      cell("Convolutions within", `${within} of ${layers}`),
    ];
    return `<tr>${cells.join("")}</tr>`;
  });
  const heads = ["Tolerance", "State of a sequence", "Convolutions within"].map(
    (name) => `<th class="number" scope="col">${name}</th>`,
  );
  return `<table class="offers"><thead><tr>${heads.join("")}</tr></thead><tbody>${rows.join("")}</tbody></table>`;
}

/** Relative error of each layer's kernels against the bytes of its state, with what was chosen. */
export function tradeOffFigure(layers: readonly LayerInput[], tolerance: number | undefined): string {
  const points = layers.flatMap(({ curve = [], region: { channels } }, layer) =>
    curve.map(({ order, error }) => ({ layer, order, error, bytes: 4 * order * channels })),
  );
  const chosen = layers.flatMap((input, layer) => {
    const error = errorOf(input);
    return input.form && error ? [{ layer, error, bytes: stateBytes(input.form) }] : [];
  });
  const all = [...points, ...chosen];
  const colour = ({ layer }: { readonly layer: number }) => COLOURS[layer % COLOURS.length]!;
  const domain = decades([...all.map(({ error }) => error), ...(tolerance ? [tolerance] : [])], 10);
  const bytes = all.map((each) => each.bytes);
  const said = (each: { layer: number; bytes: number; error: number }) =>
    `convolution ${each.layer}: ${byteSize(each.bytes)}, error ${significant(each.error)}`;
  return draw("Relative error of each convolution's kernels against the size of its state", {
    x: {
      type: "log",
      label: "state of a sequence →",
      domain: [Math.min(...bytes), Math.max(...bytes)],
      ticks: 4,
      tickFormat: byteSize,
      nice: true,
    },
    y: logAxis("↑ relative error", domain),
    marks: [
      ...(tolerance ? [Plot.ruleY([tolerance], { stroke: "var(--orange)", strokeDasharray: "5 3" })] : []),
      ...layers.map((_, layer) =>
        Plot.line(
          points.filter((point) => point.layer === layer),
          { x: "bytes", y: "error", stroke: colour({ layer }), strokeWidth: 1.4, clip: true },
        ),
      ),
      Plot.dot(points, { x: "bytes", y: "error", r: 2.4, fill: colour, title: said, clip: true }),
      Plot.dot(chosen, {
        ...{ x: "bytes", y: "error", r: 5, stroke: colour, strokeWidth: 1.8, clip: true },
        title: (each) => `chosen for ${said(each)}`,
      }),
      Plot.text(chosen, { x: "bytes", y: "error", text: "layer", dx: 11, fill: colour, fontWeight: 700, ...HALO }),
    ],
  });
}

const COLOURS = ["var(--blue)", "var(--orange)", "var(--green)", "var(--purple)"] as const;
