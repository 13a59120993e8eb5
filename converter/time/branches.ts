/** Why an If is not followed: by what it chooses. */
import type { Node } from "../graph/graph.ts";
import type { Fact } from "./facts/fact.ts";
import { type Operand, refuses, type Verdict } from "./facts/rule.ts";

const WHERE = "Export the model with both results, and Where for the choice.";

/**
 * The refusal of an If.
 * @param condition what it reads
 * @param nodes of the graph
 */
export function refusesBranch(
  condition: Operand | undefined,
  facts: ReadonlyMap<string, Fact>,
  nodes: readonly Node[],
): Verdict {
  const kind = condition?.fact.kind;
  if (kind === "stream" || kind === "still" || kind === "last")
    return refuses(
      "control-flow",
      `is control flow, which is not followed: it chooses by the data, '${condition!.name}'`,
      WHERE,
    );
  const { time, batch } = sizesBehind(condition?.name ?? "", facts, nodes);
  if (time)
    return refuses(
      "depends-on-length",
      "chooses one of two graphs by the length of the sequence, so what is at a position is another in longer sequences",
      "Export the branch that is meant.",
    );
  if (batch)
    return refuses(
      "mixes-batch",
      "chooses one of two graphs by the size of the batch",
      "Export the branch that is meant.",
    );
  return refuses(
    "control-flow",
    "is control flow, which is not followed",
    "Export the model without it (trace instead of script).",
  );
}

/** Whether something is made of the length, or of the batch size. */
function sizesBehind(
  name: string,
  facts: ReadonlyMap<string, Fact>,
  nodes: readonly Node[],
): { readonly time: boolean; readonly batch: boolean } {
  const [seen, queue] = [new Set<string>(), [name]];
  const found = { time: false, batch: false };
  for (let next = queue.pop(); next !== undefined; next = queue.pop()) {
    if (seen.has(next)) continue;
    seen.add(next);
    const fact = facts.get(next);
    if (fact?.kind === "shape" && fact.values) {
      found.time ||= fact.values.some(({ time, product }) => time !== 0 || product !== 0);
      found.batch ||= fact.values.some(({ batch, product }) => batch !== 0 || product !== 0);
      continue;
    }
    queue.push(...(nodes.find(({ outputs }) => outputs.includes(next))?.inputs ?? []));
  }
  return found;
}
