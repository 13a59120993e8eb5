/** Two passes of a recurrence, of which one is chosen when the model runs. */
import type { Builder } from "../graph/build.ts";
import type { PathTensors } from "./recurrence.ts";

/** A pass, and what it is called. */
export interface Pass {
  /** Stem of the name of its present state. */
  readonly name: string;
  readonly graph: string;
  /** Adds it; returns y. */
  add(b: Builder, path: PathTensors): string;
}

/** If(condition) around two passes. Both write straight to its outputs. @returns y */
export function either(
  b: Builder,
  condition: string,
  path: PathTensors,
  [then, otherwise]: readonly [Pass, Pass],
  { y, hint }: { readonly y: string; readonly hint: string },
): string {
  const branch = ({ name, graph, add }: Pass) => {
    const inner = b.subgraph();
    const present = b.name(`${path.present}_${name}`);
    return { graph: inner.finish(graph, [add(inner, { ...path, present }), present]) };
  };
  const attributes = { then_branch: branch(then), else_branch: branch(otherwise) };
  const output = b.name(y);
  b.add("If", [condition], attributes, { outputs: [output, path.present], hint });
  return output;
}
