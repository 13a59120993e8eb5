/** Whether a loop's body keeps the rows of a batch apart, by the rules of time: its states and what it scans have a batch, and no time. */
import type { Known } from "../../find/carried.ts";
import type { Model, Node } from "../../graph/graph.ts";
import { readsOf } from "../../graph/reads.ts";
import type { Layout } from "../../time/facts/fact.ts";
import { foldConstants } from "../../time/fold.ts";
import { followTime } from "../../time/follow.ts";
import { bodyOf, graphOf } from "./body.ts";

/** What is known of the rows: `apart` by rule; mixed, as the sentence says; or no rule says it. */
export type Rows = { readonly apart: true } | { readonly apart: false; readonly because: string } | undefined;

/**
 * Follows the body with a batch on axis 0 of each state, and where the scanned streams have it.
 * @param states dimensions of the states behind the batch
 * @param scanned layouts of what is scanned, one position of it
 */
export async function rowsOf(
  known: Known,
  node: Node,
  states: readonly (readonly number[])[],
  scanned: readonly (Layout | undefined)[],
): Promise<Rows> {
  const { graphs, time, constants } = known;
  const body = bodyOf(node);
  if (!body) return undefined;
  const given = [...states.map((dims): Layout => [["batch"], ...dims.map((d) => (d === 1 ? [] : [d]))]), ...scanned];
  const { inputs: names, outputs } = body;
  const layouts = new Map<string, Layout>();
  for (const [i, name] of names.entries()) if (given[i]) layouts.set(name, given[i]);
  if (layouts.size < names.length) return undefined;
  for (const name of readsOf(node)) {
    const fact = time.facts.get(name);
    if (fact?.kind === "still" && !layouts.has(name)) layouts.set(name, fact.axes);
  }
  const model: Model = { ...graphs.model, graph: graphOf(node, body) };
  const inside = await foldConstants(model).catch(() => undefined);
  if (!inside) return undefined;
  const followed = followTime(model, { ...graphs.inputs, layouts }, new Map([...constants, ...inside]), []);
  const [mixed] = followed.refusals.filter(({ code }) => code === "mixes-batch");
  if (mixed) return { apart: false, because: `its '${mixed.node.name}' (${mixed.node.op}) ${mixed.reason}` };
  if (followed.refusals.length > 0 || followed.openings.length > 0) return undefined;
  const isKept = outputs.every((name, i) => {
    const fact = followed.facts.get(name);
    if (fact?.kind === "constant") return true;
    return fact?.kind === "still" && (i >= states.length || fact.axes[0]?.join() === "batch");
  });
  return isKept ? { apart: true } : undefined;
}
