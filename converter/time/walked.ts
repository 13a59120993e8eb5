/** What walks over one graph share: facts that no closing changes, and verdicts on nodes whose inputs are what they were. */
import type { Node } from "../graph/graph.ts";
import { constantLayout, type Fact, type Layout } from "./facts/fact.ts";
import type { Operand, Verdict } from "./facts/rule.ts";
import type { Constant } from "./fold.ts";
import type { InputAxes } from "./inputs.ts";

/** A verdict, or that an input is open. */
export type Judged = Verdict | { readonly open: ReadonlySet<string> };

/** Of walks over the same nodes with the same rules, one after another. */
export interface Walked {
  /** Of constants and inputs. */
  readonly given: ReadonlyMap<string, Fact>;
  /** The fact of a function of the position that has one row for each. */
  tableFact(name: string, axes: Layout): Fact;
  /** The verdict of an earlier walk where all that it was judged by is the same, else what `judge` says. */
  judged(
    node: Node,
    operands: readonly (Operand | undefined)[],
    varies: ReadonlySet<string>,
    judge: () => Judged,
  ): Judged;
}

/** Nothing is known yet but what is given. */
export function newWalked(inputs: InputAxes, constants: ReadonlyMap<string, Constant>): Walked {
  const given = new Map<string, Fact>();
  for (const [name, constant] of constants) given.set(name, { kind: "constant", axes: constantLayout(constant.dims) });
  for (const [name, axes] of inputs.layouts)
    given.set(name, { kind: axes.flat().includes("time") ? "stream" : "still", axes });
  const tables = new Map<string, Fact>();
  const verdicts = new Map<Node, { readonly facts: readonly unknown[]; readonly verdict: Judged }>();
  return {
    given,
    tableFact(name, axes) {
      const known = tables.get(name);
      if (known && "axes" in known && known.axes === axes) return known;
      const fact: Fact = { kind: "position", axes };
      tables.set(name, fact);
      return fact;
    },
    judged(node, operands, varies, judge) {
      // facts are never changed: the same one is the same object
      const facts = operands.flatMap((operand) => (operand ? [operand.fact, varies.has(operand.name)] : [undefined]));
      const known = verdicts.get(node);
      if (known && known.facts.length === facts.length && known.facts.every((fact, i) => fact === facts[i]))
        return known.verdict;
      const verdict = judge();
      verdicts.set(node, { facts, verdict });
      return verdict;
    },
  };
}
