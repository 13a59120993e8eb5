/** What a converted model says of itself; docs/state-contract.md. */
import { type Claim, CONTRACT_VERSION, CONTRACT_VERSION_GROWING, METADATA } from "../src/contract.ts";
import type { PositionLimit } from "./assemble/limit.ts";
import { type Found, missingIn } from "./find/found.ts";
import type { Model } from "./graph/graph.ts";
import { type LayerReport, metadataOf } from "./report.ts";
import { CONVERTER_VERSION } from "./version.ts";
import { matrixNames } from "./weights/uses.ts";

/** But for the comparison that is still to come. @param sha256 of the export's bytes */
export const metadataFor = (
  found: Found,
  layers: readonly LayerReport[],
  claim: Claim,
  positions: PositionLimit | undefined,
  sha256: string,
): Map<string, string> => {
  const { original, language } = found;
  const missing = missingIn(found);
  return new Map([
    [METADATA.version, layers.some(({ form }) => form === "cache") ? CONTRACT_VERSION_GROWING : CONTRACT_VERSION],
    [METADATA.converter, CONVERTER_VERSION],
    [METADATA.sourceSha256, sha256],
    [METADATA.layers, JSON.stringify(layers.map(metadataOf))],
    [METADATA.claim, JSON.stringify(claim)],
    [METADATA.matrices, JSON.stringify(matrixNames(original.graph))],
    ...(language ? [[METADATA.language, `${language.ids}\n${language.logits}`] as const] : []),
    ...(positions ? [[METADATA.positions, String(positions.positions)] as const] : []),
    ...(missing.size > 0 ? [[METADATA.missing, JSON.stringify(Object.fromEntries(missing))] as const] : []),
  ]);
};

/** The same model, which says one thing more. */
export const withMetadata = (model: Model, key: string, value: string): Model => ({
  ...model,
  metadata: new Map([...model.metadata, [key, value]]),
});
