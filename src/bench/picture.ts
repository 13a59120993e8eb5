/** A picture of what was measured. */

import * as Plot from "@observablehq/plot";
import { checkArguments } from "../checks.ts";
import type { Timing } from "./measure.ts";
import type { BenchReport } from "./report.ts";
import { standalone } from "./standalone.ts";

/** Medians and quartiles of every case, one row each, on a logarithmic axis. */
export function benchPicture(report: BenchReport): string {
  checkArguments({ report: ["report", report] });
  const { decode, prompt, batch } = report;
  const row = (what: string, kind: string, { ms, low, high }: Timing) => ({ what, kind, ms, low, high });
  const rows = [
    row("one token: floor", "floor", decode.floor),
    row("one token: converted", "converted", decode.converted),
    ...(batch ? [row(`${batch.size} tokens, one of each sequence`, "converted", batch.timing)] : []),
    ...decode.exported.map(({ context, timing }) => row(`one token: exported, context ${context}`, "exported", timing)),
    row(`prompt of ${prompt.tokens}: floor`, "floor", prompt.floor),
    row(`prompt of ${prompt.tokens}: converted`, "converted", prompt.converted),
    ...prompt.exported.map(({ context, timing }) => row(`prompt of ${context}: exported`, "exported", timing)),
  ];
  const text = (ms: number) => `${ms.toPrecision(3)} ms`;
  return standalone({
    height: 85 + 30 * rows.length,
    // room for the title below the labels
    marginBottom: 45,
    marginLeft: 250,
    marginRight: 80,
    x: {
      type: "log",
      label: "milliseconds, median and quartiles →",
      grid: true,
      tickFormat: (ms: number) => String(ms),
    },
    y: { label: null, domain: rows.map(({ what }) => what) },
    color: { domain: ["floor", "converted", "exported"], range: ["#777777", "#1f6f8b", "#b5482e"] },
    marks: [
      Plot.ruleY(rows, { y: "what", x1: "low", x2: "high", stroke: "kind", strokeWidth: 2 }),
      Plot.dot(rows, { y: "what", x: "ms", fill: "kind", r: 5 }),
      Plot.text(rows, { y: "what", x: "high", text: ({ ms }) => text(ms), textAnchor: "start", dx: 9 }),
    ],
  });
}
