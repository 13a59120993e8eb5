/** Plots as SVG files of their own: white paper, so that they read on light and dark pages. */
import * as Plot from "@observablehq/plot";
import { parseHTML } from "linkedom";

const { document } = parseHTML("<!doctype html><html><body></body></html>");

/**
 * Draws a plot to a standalone SVG.
 * @param label what it shows, for readers who do not see it
 */
export function standalone(options: Plot.PlotOptions, label?: string): string {
  const svg = Plot.plot({
    width: 720,
    ...options,
    document: document as unknown as Document,
    style: { background: "white", color: "#222", fontSize: "13px", fontFamily: "system-ui, sans-serif" },
  });
  // it makes the picture fit a page that it is part of, which this one is not
  for (const sheet of svg.querySelectorAll("style")) sheet.remove();
  svg.setAttribute("xmlns", "http://www.w3.org/2000/svg");
  if (label !== undefined) {
    svg.setAttribute("role", "img");
    svg.setAttribute("aria-label", label);
  }
  // not every viewer paints the background that a style asks for
  const paper = '<rect width="100%" height="100%" fill="white"></rect>';
  return `${svg.outerHTML.replace(/<svg[^>]*>/, `$&${paper}`)}\n`;
}
