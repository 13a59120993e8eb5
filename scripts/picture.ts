/**
 * The README's picture: milliseconds for one more token against the context length, the exported graph run again against
 * the converted model. `npm run picture` measures (docs/picture.json) and draws (docs/picture.svg); after a build,
 * `node dist/scripts/picture.js --draw` draws what was measured before.
 */
import { readFileSync, writeFileSync } from "node:fs";
import { availableParallelism, loadavg } from "node:os";
import * as Plot from "@observablehq/plot";
import { readIds } from "../converter/verify/token-ids.ts";
import { load } from "../runtime/node.ts";
import { standalone } from "../src/bench/standalone.ts";
import { readArguments, wholeNumber } from "./arguments.ts";
import { convertedMs, exportedMs, openExported, stateBytes } from "./compare.ts";

const USAGE = "picture [--draw] [--model FILE] [--ids FILE] [--converted FOLDER] [--contexts N,N,…]";
const { values } = readArguments(USAGE, {
  draw: { type: "boolean", default: false },
  model: { type: "string", default: "test/models/demo/model.onnx" },
  ids: { type: "string", default: "test/models/demo/valid_ids.pb" },
  converted: { type: "string", default: "out/demo" },
  contexts: { type: "string", default: "16,32,64,128,256,512,1024,2048" },
});
const DATA = "docs/picture.json";

/** What was measured, and where. */
interface Measured {
  readonly node: string;
  readonly cores: number;
  /** Processes that wanted a core over the last minute, before and after: well above `cores`, the times are too long. */
  readonly load: { readonly before: number; readonly after: number };
  readonly stateBytes: number;
  /** Milliseconds, medians. */
  readonly rows: readonly { readonly context: number; readonly exported: number; readonly converted: number }[];
}

if (!values.draw) writeFileSync(DATA, `${JSON.stringify(await measure(), undefined, 2)}\n`);
const measured: Measured = JSON.parse(readFileSync(DATA, "utf8"));
writeFileSync("docs/picture.svg", draw(measured));

async function measure(): Promise<Measured> {
  const before = loadavg()[0]!;
  const contexts = values.contexts.split(",").map((context) => wholeNumber("--contexts", context));
  const ids = Array.from((await readIds(values.ids)).subarray(0, Math.max(...contexts)));
  const model = await load(values.converted);
  const exported = await openExported(values.model);
  const rows: Measured["rows"][number][] = [];
  for (const context of contexts) {
    const row = {
      context,
      exported: await exportedMs(exported, ids, context, 7),
      converted: await convertedMs(model, ids, context, 200),
    };
    console.log(`context ${context}: exported ${row.exported.toFixed(1)} ms, converted ${row.converted.toFixed(2)} ms`);
    rows.push(row);
  }
  const busy = { before, after: loadavg()[0]! };
  const result = {
    node: process.version,
    cores: availableParallelism(),
    load: busy,
    stateBytes: stateBytes(model),
    rows,
  };
  await Promise.all([model.close(), exported.close()]);
  return result;
}

function draw({ rows }: Measured): string {
  const points = (["exported", "converted"] as const).flatMap((model) =>
    rows.map((row) => ({ model, context: row.context, ms: row[model] })),
  );
  const last = rows.at(-1)!;
  const labels = [
    { text: "exported graph, run again", context: last.context, ms: last.exported },
    { text: "converted model", context: last.context, ms: last.converted },
  ];
  const powers = points.map(({ ms }) => Math.log10(ms));
  const [low, high] = [Math.floor(Math.min(...powers)), Math.ceil(Math.max(...powers))];
  const decades = Array.from({ length: high - low + 1 }, (_, k) => 10 ** (low + k));
  const options: Plot.PlotOptions = {
    height: 360,
    marginLeft: 56,
    marginRight: 24,
    marginBottom: 44,
    x: {
      type: "log",
      base: 2,
      label: "tokens of context",
      tickFormat: (d: number) => String(d),
      ticks: rows.map(({ context }) => context),
    },
    y: {
      type: "log",
      label: "milliseconds for one more token",
      domain: [decades[0]!, decades.at(-1)!],
      ticks: decades,
      tickFormat: (ms: number) => String(ms),
      grid: true,
    },
    color: { domain: ["exported", "converted"], range: ["#b5482e", "#1f6f8b"] },
    marks: [
      Plot.line(points, { x: "context", y: "ms", stroke: "model", strokeWidth: 2.5 }),
      Plot.dot(points, { x: "context", y: "ms", fill: "model", r: 4 }),
      Plot.text(labels, { x: "context", y: "ms", text: "text", textAnchor: "end", dy: -14, dx: -6, fontWeight: 600 }),
    ],
  };
  const label = "Milliseconds for one more token against the tokens of context, both axes logarithmic";
  return standalone(options, label);
}
