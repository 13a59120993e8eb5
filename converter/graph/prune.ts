/** Leaves out nodes that no output needs. */
import type { Node } from "./graph.ts";
import { readsOf } from "./reads.ts";

export function prune(nodes: readonly Node[], outputs: readonly string[]): Node[] {
  const producer = new Map(nodes.flatMap((node) => node.outputs.filter(Boolean).map((name) => [name, node] as const)));
  const needed = new Set<Node>();
  const queue = [...outputs];
  for (let name = queue.pop(); name !== undefined; name = queue.pop()) {
    const node = producer.get(name);
    if (!node || needed.has(node)) continue;
    needed.add(node);
    queue.push(...readsOf(node));
  }
  return nodes.filter((node) => needed.has(node));
}
