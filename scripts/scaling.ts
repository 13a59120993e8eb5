/**
 * Cost of the recurrences against n, T, B, channels and order: measures (out/scaling.json), draws (docs/scaling.svg).
 * `node dist/scripts/scaling.js [--rounds 15] [--draw]`; docs/benchmarks.md shows it after `bench.js --page`.
 */
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import * as Plot from "@observablehq/plot";
import { standalone } from "../src/bench/standalone.ts";
import { readArguments, wholeNumber } from "./arguments.ts";
import { measureScaling, type Scaling } from "./bench/scaling.ts";

const { values } = readArguments("scaling [--rounds N] [--draw]", {
  rounds: { type: "string", default: "15" },
  draw: { type: "boolean", default: false },
});
const DATA = "out/scaling.json";

if (!values.draw) {
  mkdirSync("out", { recursive: true });
  const measured = await measureScaling(wholeNumber("--rounds", values.rounds), (what) => console.error(what));
  writeFileSync(DATA, `${JSON.stringify(measured, undefined, 2)}\n`);
}
const scaling: Scaling = JSON.parse(readFileSync(DATA, "utf8"));
writeFileSync("docs/scaling.svg", draw(scaling));
for (const { what, exponent, upper } of scaling.series)
  console.log(`${what.padEnd(36)} exponent ${exponent.toFixed(2)}, upper decade ${upper.toFixed(2)}`);

/** All series in one picture: size relative to the smallest, so that slopes can be compared. */
function draw({ series }: Scaling): string {
  const points = series.flatMap(({ what, points }) => points.map((point) => ({ ...point, what })));
  const labels = series.map(({ what, upper, points }) => ({
    ...points.at(-1)!,
    text: `${what.split(",")[0]}: ${upper.toFixed(2)}`,
    what,
  }));
  return standalone({
    height: 420,
    marginLeft: 56,
    marginRight: 110,
    x: { type: "log", label: "size →", tickFormat: (size: number) => String(size) },
    y: { type: "log", label: "milliseconds of a run", grid: true, tickFormat: (ms: number) => String(ms) },
    color: { domain: series.map(({ what }) => what), scheme: "Dark2", legend: false },
    marks: [
      Plot.line(points, { x: "size", y: "ms", stroke: "what", strokeWidth: 2 }),
      Plot.dot(points, { x: "size", y: "ms", fill: "what", r: 3.5 }),
      Plot.text(labels, { x: "size", y: "ms", text: "text", fill: "what", textAnchor: "start", dx: 8 }),
    ],
  });
}
