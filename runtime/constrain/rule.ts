/** Which tokens a text may go on with, wherever it stands in an automaton. */
import type { Automaton } from "./automaton.ts";
import type { Branch, Tokens } from "./tokens.ts";
import { after, at, needAt, needsOf, type Position } from "./walk.ts";

/** Tokens that a text may go on with, and how many more suffice after each. */
export interface Allowed {
  readonly ids: readonly number[];
  readonly needs: readonly number[];
}

export interface Rule {
  /** Tokens that suffice for a text; Infinity where the vocabulary has none for it. */
  readonly need: number;
  allowedAt(position: Position): Allowed;
}

/** Positions whose tokens are remembered: a text comes by the same ones again. */
const MOST_REMEMBERED = 1024;

/** @param stopTokens that are no part of a text */
export function createRule(automaton: Automaton, { root }: Tokens, stopTokens: ReadonlySet<number>): Rule {
  const textOf = (branch: Branch | undefined) => branch?.ids.filter((id) => !stopTokens.has(id)) ?? [];
  const needs = needsOf(automaton, (byte) => textOf(root.next.get(byte)).length > 0);
  const remembered = new Map<string, Allowed>();

  const allowedAt = (position: Position): Allowed => {
    const key = `${position.state} ${position.missing} ${position.low}`;
    const before = remembered.get(key);
    if (before) return before;
    const allowed: { ids: number[]; needs: number[] } = { ids: [], needs: [] };
    const visit = (branch: Branch, reached: Position): void => {
      const more = branch.ids.length > 0 ? needAt(automaton, needs, reached) : Number.POSITIVE_INFINITY;
      if (more < Number.POSITIVE_INFINITY)
        for (const id of textOf(branch)) {
          allowed.ids.push(id);
          allowed.needs.push(more);
        }
      for (const [byte, further] of branch.next) {
        const next = after(automaton, reached, byte);
        if (next) visit(further, next);
      }
    };
    visit(root, position);
    if (remembered.size >= MOST_REMEMBERED) remembered.clear();
    remembered.set(key, allowed);
    return allowed;
  };
  return { need: needAt(automaton, needs, at(0)), allowedAt };
}
