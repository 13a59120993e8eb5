/** Many seeds: graph, outcomes, and what they amount to. */
import type { FuzzGraph } from "./generate.ts";
import { generate } from "./generate.ts";
import { type FormAsked, judge, type Outcome } from "./judge.ts";
import { masked } from "./masked.ts";
import { OVERCLAIMS } from "./overclaims/index.ts";
import { rewritten } from "./rewrite.ts";
import { worn } from "./worn.ts";

/** A graph, converted in one of the forms and compared. */
export interface Verdict {
  readonly graph: Pick<FuzzGraph, "seed" | "kind" | "pieces" | "length" | "batch">;
  readonly form: FormAsked;
  readonly outcome: Outcome;
}

/**
 * The graph of a seed: every fourth is an exported model rewritten, some are language models with a mask, the others are
 * made from operators.
 * @param asked name of a piece that must be in it
 */
export async function graphOf(seed: number, asked?: string): Promise<FuzzGraph> {
  if (asked !== undefined) return generate(seed, asked);
  if (seed % 4 === 0) return rewritten(seed);
  return worn(seed % 16 === 6 ? masked(seed) : generate(seed));
}

/** The graph of a seed, converted and compared: exactly, and an eighth (and every overclaim) in the default form too, which takes longer. */
export async function judged(seed: number, asked?: string): Promise<Verdict[]> {
  const graph = await graphOf(seed, asked);
  const { kind, pieces, length, batch } = graph;
  const both = kind === "overclaim" || (seed % 4 === 0 ? seed % 32 === 0 : seed % 8 === 1);
  const outcomes = await judge(graph, both ? ["exact", "default"] : ["exact"]);
  return [...outcomes].map(([form, outcome]) => ({ graph: { seed, kind, pieces, length, batch }, form, outcome }));
}

export interface Summary {
  readonly graphs: number;
  readonly conversions: number;
  /** Seeds. */
  readonly wrong: readonly number[];
  readonly crashed: readonly number[];
  readonly unstable: readonly number[];
  readonly invalid: readonly number[];
  /** Share of the conversions asked of graphs that are causal by their making which were made. */
  readonly convertedShare: number;
  /** By kind of graph and outcome. */
  readonly counts: Readonly<Record<string, number>>;
  /** Conversions by form and kind of claim: "exact proven". */
  readonly claims: Readonly<Record<string, number>>;
  /** Refusals by kind of graph and code. */
  readonly codes: Readonly<Record<string, number>>;
  /** Overclaims by their kind, name and outcome. */
  readonly overclaims: Readonly<Record<string, number>>;
  /** Largest difference of an exact conversion that is right. */
  readonly largest: number;
}

/** What the verdicts amount to. */
export function summary(verdicts: readonly Verdict[]): Summary {
  const seeds = (kind: Outcome["kind"]) => [
    ...new Set(verdicts.filter(({ outcome }) => outcome.kind === kind).map(({ graph }) => graph.seed)),
  ];
  const count = (keyed: (verdict: Verdict) => readonly string[]) => {
    const counts: Record<string, number> = {};
    for (const key of verdicts.flatMap(keyed)) counts[key] = (counts[key] ?? 0) + 1;
    return counts;
  };
  const decided = verdicts.filter(
    ({ graph, outcome }) => (graph.kind === "causal" || graph.kind === "rewritten") && outcome.kind !== "invalid",
  );
  const right = decided.filter(({ outcome }) => outcome.kind === "right" || outcome.kind === "unstable");
  return {
    graphs: new Set(verdicts.map(({ graph }) => graph.seed)).size,
    conversions: verdicts.length,
    wrong: seeds("wrong"),
    crashed: seeds("crashed"),
    unstable: seeds("unstable"),
    invalid: seeds("invalid"),
    convertedShare: right.length / decided.length,
    counts: count(({ graph, outcome }) => [`${graph.kind} ${outcome.kind}`]),
    claims: count(({ form, outcome }) => ("claim" in outcome ? [`${form} ${outcome.claim.kind}`] : [])),
    codes: count(({ graph, outcome }) => (outcome.kind === "refused" ? [`${graph.kind} ${outcome.code}`] : [])),
    overclaims: count(({ graph, outcome }) => overclaimsIn(graph.pieces).map((name) => `${name} ${outcome.kind}`)),
    largest: Math.max(
      0,
      ...verdicts.flatMap(({ form, outcome }) =>
        form === "exact" && outcome.kind === "right" ? [outcome.largest] : [],
      ),
    ),
  };
}

/** Overclaims among the pieces, with the number of their kind. */
const overclaimsIn = (pieces: readonly string[]): string[] =>
  pieces.flatMap((piece) => (OVERCLAIMS[piece] ? [`${OVERCLAIMS[piece].kind} ${piece}`] : []));
