/** What rules say of a model's parts, and which of its nodes are read by proven parts alone. */
import type { GraphIndex, Node } from "../graph/graph.ts";
import type { Proof } from "../prove/prove.ts";
import type { TimeFacts } from "../time/follow.ts";
import type { Region } from "./region.ts";

export interface Proofs {
  readonly regions: ReadonlyMap<Region, Proof>;
  readonly tables: ReadonlyMap<string, Proof>;
}

/**
 * Nothing is claimed of a model from where one of its regions ends: of those that no rule proves at every length, more is not
 * asked. In the published code of Hyena the first that the stream meets is a slice of min(n, R) positions.
 * @param prove a region up to a length
 */
export function provenTogether(
  alone: ReadonlyMap<Region, Proof>,
  prove: (region: Region, longest: number) => Proof,
): ReadonlyMap<Region, Proof> {
  const ends = [...alone.values()].flatMap((proof) => (proof.proven && proof.ends ? [proof.ends] : []));
  const first = ends.sort((a, b) => a.positions - b.positions)[0];
  if (!first) return alone;
  return new Map(
    [...alone].map(([region, proof]): [Region, Proof] => {
      if (proof.proven) return [region, proof];
      const asked = prove(region, first.positions);
      if (!asked.proven) return [region, proof];
      const ends = asked.ends && asked.ends.positions < first.positions ? asked.ends : first;
      return [region, { ...asked, ends }];
    }),
  );
}

/**
 * Whether all that is made of a node's outputs is read by regions and tables that are proven: every length is a case of
 * their proofs, also those at which a value changes, or is no longer made.
 */
export function isWithinProven(index: GraphIndex, { facts }: TimeFacts, proofs: Proofs, node: Node): boolean {
  const inside = new Set([...proofs.regions].flatMap(([{ nodes }, { proven }]) => (proven ? [...nodes] : [])));
  const done = new Set<Node>();
  const queue = [node];
  for (let next = queue.pop(); next !== undefined; next = queue.pop()) {
    if (done.has(next) || inside.has(next)) continue;
    done.add(next);
    for (const output of next.outputs) {
      if (!output || proofs.tables.get(output)?.proven) continue;
      const { kind } = facts.get(output) ?? {};
      if (index.outputs.has(output) || (kind !== "position" && kind !== "shape")) return false;
      queue.push(...(index.consumers.get(output) ?? []));
    }
  }
  return true;
}
