/** Streams that have other positions than the sequence: what operators that work position by position make of them. */
import type { Dim } from "./facts/dim.ts";
import type { Fact, Offset } from "./facts/fact.ts";
import { type Context, mixes, type Operand, refuses, type Verdict } from "./facts/rule.ts";

export const NO_OFFSET: Offset = { left: 0, right: 0 };

export const offsetOf = (fact: Fact | undefined): Offset =>
  (fact?.kind === "stream" ? fact.offset : undefined) ?? NO_OFFSET;

/** How many positions more than the sequence it has. */
export const excess = ({ left, right }: Offset): number => left + right;

export const isOffset = (fact: Fact): boolean => offsetOf(fact).left !== 0 || offsetOf(fact).right !== 0;

export const sameOffset = (a: Offset, b: Offset): boolean => a.left === b.left && a.right === b.right;

/** The fact of a stream with these positions; the sequence's own are not mentioned. */
export const withOffset = (fact: Fact, offset: Offset): Fact => {
  if (fact.kind !== "stream") return fact;
  const { kind, axes } = fact;
  return sameOffset(offset, NO_OFFSET) ? { kind, axes } : { kind, axes, offset };
};

/** The size with `by` positions more in a sequence. */
const longer = (d: Dim, by: number): Dim => ({
  ...d,
  constant: d.constant + by * d.time,
  batch: d.batch + by * d.product,
});

const resized = (fact: Fact, by: number): Fact =>
  fact.kind === "shape" ? { ...fact, values: fact.values?.map((d) => longer(d, by)) } : fact;

/**
 * The verdict on a node some of whose streams have an offset: that of the same node in a sequence of as many positions as they
 * have. Streams of one length and other offsets do not meet position by position.
 * @param judge the verdict without offsets
 */
export function judgedOffset<T extends Verdict | { readonly open: ReadonlySet<string> }>(
  operands: readonly (Operand | undefined)[],
  context: Context,
  judge: (operands: readonly (Operand | undefined)[], context: Context) => T,
): T | Verdict {
  const streams = operands.flatMap((operand, i) =>
    operand?.fact.kind === "stream" ? [{ i, fact: operand.fact }] : [],
  );
  const offsets = streams.map(({ fact }) => offsetOf(fact));
  const [first] = offsets;
  if (!first || offsets.every((offset) => sameOffset(offset, NO_OFFSET))) return judge(operands, context);
  const more = excess(first);
  if (offsets.some((offset) => excess(offset) !== more))
    return refuses("mixes-time", "joins sequences of different lengths");
  const rows = operands.some(
    (operand) => operand?.fact.kind === "position" && operand.fact.axes?.flat().includes("time"),
  );
  if (rows && more !== 0)
    return refuses("mixes-time", "joins a function of the position with a sequence of another length");
  if (rows || offsets.some((offset) => !sameOffset(offset, first)))
    return mixes("reads one position together with another", streams[0]!.i);
  const shifted = operands.map((operand) => operand && { ...operand, fact: resized(operand.fact, -more) });
  const sizes = { ...context.sizes, time: context.sizes.time + more };
  const verdict = judge(shifted, { ...context, sizes });
  if (!("outputs" in verdict)) return verdict;
  if (verdict.outputs.some(({ kind }) => kind === "last") && first.right !== 0)
    return refuses("not-causal", "takes a position behind the last");
  return { outputs: verdict.outputs.map((fact) => withOffset(resized(fact, more), first)) };
}
