/** Values on hover, without a script: an invisible column over each part of a figure, whose title browsers show. */
import * as Plot from "@observablehq/plot";

/** A part of the horizontal axis, and what is said of it. */
export interface Column {
  readonly from: number;
  readonly to: number;
  readonly text: string;
}

/** The columns, over the whole height. */
export const hoverColumns = (columns: readonly Column[]): Plot.Markish =>
  Plot.rectX(columns, {
    x1: "from",
    x2: "to",
    title: "text",
    fill: "transparent",
    className: "hover",
    clip: true,
  });
