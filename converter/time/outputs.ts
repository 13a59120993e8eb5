/**
 * Outputs of the graph: those that lack the first positions of the sequence, and those that no state can carry, which tell the position
 * or the length, whatever the input is, or have positions that the sequence has not.
 */
import type { GraphIndex, Model, Node } from "../graph/graph.ts";
import type { Dim } from "./facts/dim.ts";
import type { Offset } from "./facts/fact.ts";
import type { Refusal, TimeFacts } from "./follow.ts";
import { excess, offsetOf } from "./offset.ts";

const hasLength = ({ time, product }: Dim): boolean => time !== 0 || product !== 0;

/** How many of the sequence's positions an output lacks. */
export interface Lacking {
  /** Its first row is of the position after so many. */
  readonly front: number;
  readonly behind: number;
}

/** What outputs lack, of those that lack positions. */
export const lackingOutputs = ({ graph }: Model, { facts }: Pick<TimeFacts, "facts">): ReadonlyMap<string, Lacking> =>
  new Map(
    graph.outputs.flatMap(({ name }) => {
      const { left, right } = offsetOf(facts.get(name));
      return left < 0 || right < 0 ? [[name, { front: -left, behind: -right }] as const] : [];
    }),
  );

/**
 * Refuses outputs that are functions of the position or the length alone (a step would give its own, not the sequence's), and those that
 * have rows beside the sequence's positions; a language model's need one for each.
 */
export function lengthOutputs(
  { graph }: Model,
  { producer }: GraphIndex,
  { facts, varies }: TimeFacts,
  isLanguage: boolean,
): Refusal[] {
  return graph.outputs.flatMap(({ name }): Refusal[] => {
    const [node, fact] = [producer.get(name), facts.get(name)];
    if (!node) return [];
    const other = otherPositions(node, name, offsetOf(fact), isLanguage);
    if (other) return [other];
    const remedy = `Leave the output '${name}' out of the export: whoever drives the model knows it.`;
    if (fact?.kind === "position" && fact.axes && varies.has(name)) {
      const reason = `gives the output '${name}', a function of the absolute position alone`;
      return [{ node, code: "absolute-position", reason, remedy }];
    }
    const isLength =
      fact?.kind === "shape" ? (fact.values?.some(hasLength) ?? true) : fact?.kind === "position" && !fact.axes;
    const reason = `gives the output '${name}', a function of the sequence length alone`;
    return isLength ? [{ node, code: "depends-on-length", reason, remedy }] : [];
  });
}

/** A step gives an output for each position that it reads: what has rows before the first or behind the last has none for them. */
function otherPositions(node: Node, name: string, offset: Offset, isLanguage: boolean): Refusal | undefined {
  const { left, right } = offset;
  if (left <= 0 && right <= 0 && (!isLanguage || (left === 0 && right === 0))) return undefined;
  const more = excess(offset);
  const refusal = (reason: string, remedy: string): Refusal => ({ node, code: "mixes-time", reason, remedy });
  if (more === 0)
    return refusal(
      `gives the output '${name}' ${left} positions from where the sequence has them`,
      "Cut as many positions off the end as are put in front.",
    );
  if (more < 0 && right > 0)
    return refusal(
      `gives the output '${name}', which has rows for ${right} positions behind the last`,
      "Pad in front alone: what is padded behind belongs to positions that nobody has read yet.",
    );
  const [count, what] = [Math.abs(more), more < 0 ? "fewer" : "more"];
  return refusal(
    `gives the output '${name}' ${count} positions ${what} than the sequence has`,
    more > 0
      ? "Cut what was padded off the end again."
      : left < 0
        ? `Pad in front: F.pad(x, (${-left}, 0)) before the first layer that reads earlier positions.`
        : "Leave what cuts positions off out of the export.",
  );
}
