/** What is claimed of a converted model: the least of what is known of its parts. */
import { type Claim, describeClaim, leastClaim } from "../src/contract.ts";
import { LongConvError } from "../src/errors.ts";
import { describeLimit, type PositionLimit } from "./assemble/limit.ts";
import type { PositionTables } from "./assemble/position-tables.ts";
import { SEEN_POSITIONS } from "./find/evidence.ts";
import type { Found } from "./find/found.ts";
import { LIFE_LAGS } from "./find/life.ts";

/** What a conversion must be able to claim: everything by rule, or so many positions. */
export type Required = "proven" | number;

/** What is known of the functions of the position that a counter gives: rows by rule, and tables that end or settle. */
export function counterClaim(
  { counter, proofs }: Found,
  tables: PositionTables,
  limit: PositionLimit | undefined,
): Claim {
  const node = counter.uses[0]?.node.name;
  const ofTables = [...tables].map(([name, { settles, lookedAt }]): Claim => {
    const proof = proofs.tables.get(name);
    // it was compared with itself at lengths of every kind up to there, and at powers of two beyond
    const positions = Math.min(lookedAt, SEEN_POSITIONS);
    if (proof && !proof.proven) return { kind: "seen", positions, node: proof.node.name, because: proof.because };
    if (proof?.proven && proof.ends)
      return {
        kind: "proven",
        positions: proof.ends.positions,
        node,
        because: `the table '${name}' ${proof.ends.because}`,
      };
    if (!settles) return { kind: "proven" };
    const because = `the table '${name}' settles, and its rows were looked at up to there`;
    return { kind: "seen", positions: lookedAt, node, because };
  });
  return leastClaim([...ofTables, ...endOf(limit, node)]);
}

const endOf = (limit: PositionLimit | undefined, node?: string): Claim[] =>
  limit ? [{ kind: "ends", positions: limit.positions, node, because: `the model reads ${describeLimit(limit)}` }] : [];

/** What is claimed of the graph itself, beside what is of its parts. @param limit where its tables of positions end */
export const claimsOfGraph = ({ unfilled }: Found, limit: PositionLimit | undefined): Claim[] => [
  ...(unfilled ? [unfilled] : []),
  ...endOf(limit),
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

function remedyFor({ positions = Infinity }: Claim, required: Required): string {
  if (required === "proven")
    return "Require a number of positions instead, or see docs/promise.md for what is proven and how.";
  if (positions >= LIFE_LAGS) return `Require at most ${positions} positions.`;
  return `Require at most ${positions} positions; what limits them, and what helps, is said in docs/promise.md.`;
}
