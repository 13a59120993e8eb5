/** The next token against what came before it: the converted model, the exported graph again, a transformer with its cache. */
import * as Plot from "@observablehq/plot";
import { standalone } from "../../src/bench/standalone.ts";
import type { Results } from "./report.ts";

interface Point {
  readonly what: string;
  readonly context: number;
  readonly ms: number;
}

/** @returns undefined where nothing was measured against the context */
export function contextPicture({ rows, peers }: Results): string | undefined {
  const transformer = peers.flatMap(({ context, timing: { ms } }): Point[] =>
    context === undefined ? [] : [{ what: "transformer with its cache", context, ms }],
  );
  const [converted] = peers;
  if (transformer.length === 0 || !converted) return undefined;
  const exported = rows.flatMap(({ times }) =>
    times.flatMap(({ name, ms }): Point[] => {
      const context = /^exported, (\d+)$/.exec(name)?.[1];
      return context === undefined ? [] : [{ what: "exported graph again", context: Number(context), ms }];
    }),
  );
  const contexts = [...exported, ...transformer].map(({ context }) => context);
  const own = [Math.min(...contexts), Math.max(...contexts)].map(
    (context): Point => ({ what: "converted", context, ms: converted.timing.ms }),
  );
  const points = [...own, ...exported, ...transformer].toSorted((a, b) => a.context - b.context);
  const last = points.filter(
    (point) => !points.some((other) => other.what === point.what && other.context > point.context),
  );
  const names = ["converted", "transformer with its cache", "exported graph again"];
  const options: Plot.PlotOptions = {
    height: 360,
    marginLeft: 60,
    marginRight: 200,
    marginBottom: 45,
    x: { type: "log", label: "tokens before →", tickFormat: "~s", grid: true },
    y: { type: "log", label: "↑ milliseconds of the next token", grid: true, tickFormat: "~r" },
    color: { domain: names, range: ["#1f6f8b", "#777777", "#b5482e"] },
    marks: [
      Plot.line(points, { x: "context", y: "ms", stroke: "what", strokeWidth: 2 }),
      Plot.dot(points, { x: "context", y: "ms", fill: "what", r: 4 }),
      Plot.text(last, { x: "context", y: "ms", text: "what", fill: "what", textAnchor: "start", dx: 10 }),
    ],
  };
  return standalone(options, "Milliseconds of the next token against the tokens before it, both logarithmic");
}
