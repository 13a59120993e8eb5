/** What is claimed of a converted model: the least of what is known of its parts. */
import { type Claim, describeClaim } from "../src/contract.ts";
import { LongConvError } from "../src/errors.ts";
import { claimsOfLimit, type PositionLimit } from "./assemble/limit.ts";
import type { Found } from "./find/found.ts";
import { LIFE_LAGS } from "./find/life.ts";
import { fixedSizes } from "./parts/seen-shapes.ts";

/** What a conversion must be able to claim: everything by rule, or so many positions. */
export type Required = "proven" | number;

/** What is claimed of the graph itself, beside what is of its parts. @param limit where its tables of positions end */
export const claimsOfGraph = ({ unfilled }: Found, limit: PositionLimit | undefined): Claim[] => [
  ...(unfilled ? [unfilled] : []),
  ...claimsOfLimit(limit),
];

/** @throws LongConvError claim-short where less is claimed than is required */
export function refuseShort(claim: Claim, required: Required | undefined, file: string): void {
  if (required === undefined) return;
  const enough =
    required === "proven"
      ? claim.kind === "proven" && claim.positions === undefined
      : (claim.positions ?? Infinity) >= required;
  if (enough) return;
  const wanted = required === "proven" ? "a proof for any length" : `a claim of ${required} positions`;
  throw new LongConvError(
    "claim-short",
    `${wanted} is required, and what is claimed of the conversion: ${describeClaim(claim)}`,
    { file: file || undefined, node: claim.node },
    remedyFor(claim, required),
  );
}

/** What a user says of the positions that the result is for. */
interface Meant {
  readonly require?: Required | undefined;
  readonly trainingLength?: number | undefined;
  readonly horizon?: number | undefined;
  readonly cacheCapacity?: number | undefined;
}

/** A convolution whose state follows its kernel so far. */
interface Follows {
  readonly claim: Claim;
  readonly lags: number;
  readonly reach: number | undefined;
  readonly extendable: boolean;
}

/** The layer that ends a claim because its kernel was not followed further, where it can be. */
export const cutShort = (layers: readonly Follows[], positions: number): Follows | undefined =>
  layers.find(
    (layer) => layer.extendable && layer.claim.kind === "ends" && layer.reach === positions && layer.lags === positions,
  );

/**
 * Refuses a claim below what the model is for: the length of its training, or the one that it was exported at. Who asks for a
 * number of positions, or limits the states to one, has said what is enough.
 * @throws LongConvError claim-short
 */
export function refuseBelowMeant(claim: Claim, found: Found, layers: readonly Follows[], options: Meant): void {
  const { require, trainingLength, horizon = Infinity, cacheCapacity = Infinity } = options;
  const { positions = Infinity } = claim;
  const exported = fixedSizes(found.graphs.inputs).time;
  const meant = Math.max(trainingLength ?? 0, exported ?? 0);
  if (require !== undefined || positions >= Math.min(meant, horizon, cacheCapacity)) return;
  const because = meant === trainingLength ? "trained with" : "exported for";
  const enough = `say that fewer positions are enough (\`require\` ${positions})`;
  throw new LongConvError(
    "claim-short",
    `the model was ${because} ${meant} positions, and what is claimed of the conversion: ${describeClaim(claim)}`,
    { file: found.original.file || undefined, node: claim.node },
    cutShort(layers, positions)
      ? `Follow its kernels further (\`horizon\` ${meant}), or ${enough}.`
      : `Export it so that it goes on, or ${enough}; docs/promise.md has what limits a claim.`,
  );
}

function remedyFor({ positions = Infinity }: Claim, required: Required): string {
  if (required === "proven")
    return "Require a number of positions instead, or see docs/promise.md for what is proven and how.";
  if (positions >= LIFE_LAGS) return `Require at most ${positions} positions.`;
  return `Require at most ${positions} positions; what limits them, and what helps, is said in docs/promise.md.`;
}
