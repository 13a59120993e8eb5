/** What is known of the functions of the position that a counter gives. */
import { type Claim, leastClaim } from "../../../src/contract.ts";
import { claimsOfLimit, type PositionLimit } from "../../assemble/limit.ts";
import type { PositionTables } from "../../assemble/position-tables.ts";
import { SEEN_POSITIONS } from "../../find/evidence.ts";
import type { Found } from "../../find/found.ts";

/** Rows of the graph's constants are known by rule; a table that was evaluated ends, or settles as far as it was looked at. */
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
  return leastClaim([...ofTables, ...claimsOfLimit(limit, node)]);
}
