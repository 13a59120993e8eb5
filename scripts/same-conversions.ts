/**
 * Converts every model under test/models with this build and with another one, and says where they differ: the refusal's
 * code and node, the layers (form, order, error, dimensions of state), the claim, the graph. Where the graphs are not the same
 * bytes, both converted models read the same random inputs, whole and position by position, and their outputs are compared.
 *
 *     npm run build && node dist/scripts/same-conversions.js ../before/dist
 *
 * Both must find the same onnxruntime-node: `../before/node_modules` may be a link to this one's.
 */

import path from "node:path";
import { pathToFileURL } from "node:url";
import { isDeepStrictEqual } from "node:util";
import { difference } from "../converter/compare/differences.ts";
import { drive, outputLayouts } from "../converter/compare/drive.ts";
import { convertModel } from "../converter/convert.ts";
import { encodeModel } from "../converter/file/encode.ts";
import { decodeModel, readModel } from "../converter/file/read.ts";
import type { Found } from "../converter/find/found.ts";
import type { Conversion, Model } from "../converter/index.ts";
import { openModel } from "../converter/ort/run.ts";
import { hasHalves, widened } from "../converter/ort/widen.ts";
import { randomInputs } from "../converter/parts/feeds.ts";
import { fixedSizes } from "../converter/parts/seen-shapes.ts";
import { readArguments, wholeNumber } from "./arguments.ts";
import { modelFiles } from "./model-files.ts";

const { values, positionals } = readArguments(
  "same-conversions DIST [--part N --parts N]",
  { part: { type: "string", default: "1" }, parts: { type: "string", default: "1" } },
  { least: 1, most: 1 },
);
const [part, parts] = [wholeNumber("--part", values.part), wholeNumber("--parts", values.parts)];

/** Positions that are read where a model takes any number of them. */
const POSITIONS = 24;

/** What a build makes of a model, in values that can be compared. */
interface Made {
  readonly refused?: { readonly code: unknown; readonly node: unknown; readonly reason: unknown };
  readonly layers?: unknown;
  readonly claim?: unknown;
  /** Without metadata. */
  readonly graph?: Uint8Array;
}

async function made(convert: () => Promise<Conversion>, encode: typeof encodeModel): Promise<Made> {
  try {
    const { layers, claim, model } = await convert();
    const compared = layers.map(({ form, order, channels, lags, error, dims, node }) => ({
      ...{ form, order, channels, lags, error, dims, node },
    }));
    return { layers: compared, claim, graph: encode({ ...model, metadata: new Map() }) };
  } catch (error) {
    const { code, node, reason } = error as Record<string, unknown>;
    return { refused: { code, node, reason } };
  }
}

/** How far the outputs of two conversions are apart, relative to the largest. */
async function outputsApart(found: Found, graphs: readonly [Uint8Array, Uint8Array]): Promise<number> {
  const { batch = 1, time = POSITIONS } = fixedSizes(found.graphs.inputs);
  const feeds = randomInputs(found.graphs, found.constants, { batch, time }, 1);
  const axes = outputLayouts(found);
  const answers = async (given: Model) => {
    // the CPU has no kernels for some operators in half precision
    const model = hasHalves(given) ? widened(given) : given;
    const runner = await openModel(model);
    const one = Array.from({ length: time }, (_, i) => i + 1);
    try {
      return [
        await drive(model, runner, found.graphs, axes, feeds, [time], batch),
        await drive(model, runner, found.graphs, axes, feeds, one, batch),
      ] as const;
    } finally {
      await runner.close();
    }
  };
  const [ours, theirs] = [await answers(decodeModel(graphs[0])), await answers(decodeModel(graphs[1]))];
  return Math.max(...ours.map((trace, way) => difference(theirs[way]!, trace).relative));
}

const other: { convert: (file: string) => Promise<Conversion>; encodeModel: typeof encodeModel } = await import(
  pathToFileURL(path.resolve(positionals[0]!, "converter/index.js")).href
);
const counts = { "the same graph": 0, "the same refusal": 0, "the same outputs, bit for bit": 0, "other outputs": 0 };
const also = { "another refusal": 0, "refused before": 0, "refused now": 0, "other layers": 0, "another claim": 0 };
const told = (value: unknown) => JSON.stringify(value);
for (const { name, file } of modelFiles().filter((_, i) => i % parts === part - 1)) {
  let found: Found | undefined;
  const onPlanned = (each: Found) => {
    found = each;
  };
  const ours = await made(async () => convertModel(await readModel(file), {}, undefined, { onPlanned }), encodeModel);
  const theirs = await made(() => other.convert(file), other.encodeModel);
  if (ours.refused || theirs.refused) {
    if (isDeepStrictEqual(ours.refused, theirs.refused)) counts["the same refusal"] += 1;
    else also[!ours.refused ? "refused before" : theirs.refused ? "another refusal" : "refused now"] += 1;
    if (!isDeepStrictEqual(ours.refused, theirs.refused))
      console.log(`${name}: refused: ${told(theirs.refused)} -> ${told(ours.refused)}`);
    continue;
  }
  for (const key of ["layers", "claim"] as const) {
    if (isDeepStrictEqual(ours[key], theirs[key])) continue;
    also[key === "layers" ? "other layers" : "another claim"] += 1;
    console.log(`${name}: ${key}: ${told(theirs[key])} -> ${told(ours[key])}`);
  }
  if (isDeepStrictEqual(ours.graph, theirs.graph)) counts["the same graph"] += 1;
  else {
    const apart = await outputsApart(found!, [ours.graph!, theirs.graph!]).catch((error: Error) => error.message);
    counts[apart === 0 ? "the same outputs, bit for bit" : "other outputs"] += 1;
    console.log(`${name}: another graph, its outputs differ by ${apart} of the largest`);
  }
}
const summary = Object.entries({ ...counts, ...also }).map(([what, count]) => `${count} ${what}`);
console.log(summary.join(", "));
process.exitCode = Object.values(also).some((count) => count > 0) || counts["other outputs"] > 0 ? 1 : 0;
