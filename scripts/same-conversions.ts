/**
 * Converts every model under test/models with this build and with another one, and says where they differ: the refusal's
 * code and node, the layers (form, order, error, claim, bytes of state), the bytes of the converted model.
 *
 *     npm run build && node dist/scripts/same-conversions.js ../before/dist
 */

import path from "node:path";
import { pathToFileURL } from "node:url";
import { isDeepStrictEqual } from "node:util";
import { convert } from "../converter/convert.ts";
import { encodeModel, type Model } from "../converter/index.ts";
import { METADATA } from "../src/contract.ts";
import { readArguments, wholeNumber } from "./arguments.ts";
import { modelFiles } from "./model-files.ts";

const { values, positionals } = readArguments(
  "same-conversions DIST [--part N --parts N]",
  { part: { type: "string", default: "1" }, parts: { type: "string", default: "1" } },
  { least: 1, most: 1 },
);
const [part, parts] = [wholeNumber("--part", values.part), wholeNumber("--parts", values.parts)];

type Convert = typeof convert;

/** What a build makes of a model, in values that can be compared. */
interface Made {
  readonly refused: { readonly code: unknown; readonly node: unknown; readonly reason: unknown } | undefined;
  readonly layers: unknown;
  readonly claim: unknown;
  /** Without what names the converter's version. */
  readonly bytes: Uint8Array | undefined;
}

const IGNORED = new Set<string>([METADATA.converter]);

const bytesOf = (encode: typeof encodeModel, model: Model): Uint8Array =>
  encode({ ...model, metadata: new Map([...model.metadata].filter(([key]) => !IGNORED.has(key))) });

async function made(build: { convert: Convert; encodeModel: typeof encodeModel }, file: string): Promise<Made> {
  try {
    const { layers, claim, model } = await build.convert(file);
    const compared = layers.map(({ form, order, channels, lags, error, dims, node }) => ({
      form,
      order,
      channels,
      lags,
      error,
      dims,
      node,
    }));
    return { refused: undefined, layers: compared, claim, bytes: bytesOf(build.encodeModel, model) };
  } catch (error) {
    const { code, node, reason } = error as Record<string, unknown>;
    return { refused: { code, node, reason }, layers: undefined, claim: undefined, bytes: undefined };
  }
}

const other = await import(pathToFileURL(path.resolve(positionals[0]!, "converter/index.js")).href);
const counts = { converted: 0, refused: 0, differ: 0 };
for (const { name, file } of modelFiles().filter((_, i) => i % parts === part - 1)) {
  const [ours, theirs] = [await made({ convert, encodeModel }, file), await made(other, file)];
  const keys = (["refused", "layers", "claim", "bytes"] as const).filter(
    (key) => !isDeepStrictEqual(ours[key], theirs[key]),
  );
  if (keys.length > 0) counts.differ += 1;
  else if (ours.refused) counts.refused += 1;
  else counts.converted += 1;
  for (const key of keys)
    console.log(
      `${name}: ${key}: ${key === "bytes" ? "another graph" : `${JSON.stringify(theirs[key])} -> ${JSON.stringify(ours[key])}`}`,
    );
}
console.log(`${counts.converted} converted the same, ${counts.refused} refused the same, ${counts.differ} differ`);
process.exitCode = counts.differ > 0 ? 1 : 0;
