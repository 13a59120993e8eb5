/** Many seeds: graph, outcome, and what they amount to. */
import { type FuzzGraph, generate } from "./generate.ts";
import { judge, type Outcome } from "./judge.ts";
import { rewriteZoo } from "./rewrite.ts";

export interface Verdict {
  readonly graph: Pick<FuzzGraph, "seed" | "kind" | "pieces" | "length" | "batch">;
  readonly outcome: Outcome;
}

/** The graph of a seed: every fourth is a zoo model rewritten, the others are made from operators. */
export const graphOf = async (seed: number): Promise<FuzzGraph> => (seed % 4 === 0 ? rewriteZoo(seed) : generate(seed));

/** The graph of a seed, converted and compared. */
export async function judged(seed: number): Promise<Verdict> {
  const graph = await graphOf(seed);
  const { kind, pieces, length, batch } = graph;
  return { graph: { seed, kind, pieces, length, batch }, outcome: await judge(graph) };
}

export interface Summary {
  readonly graphs: number;
  readonly wrong: readonly number[];
  readonly crashed: readonly number[];
  readonly unstable: readonly number[];
  readonly invalid: readonly number[];
  /** Share of the graphs that are causal by their making which were converted. */
  readonly convertedShare: number;
  /** By kind of graph and outcome. */
  readonly counts: Readonly<Record<string, number>>;
  /** Refusals by code. */
  readonly codes: Readonly<Record<string, number>>;
  /** Largest difference of a conversion that is right. */
  readonly largest: number;
}

/** What the verdicts amount to. */
export function summary(verdicts: readonly Verdict[]): Summary {
  const seeds = (kind: Outcome["kind"]) =>
    verdicts.filter(({ outcome }) => outcome.kind === kind).map(({ graph }) => graph.seed);
  const count = (keys: readonly string[]) => {
    const counts: Record<string, number> = {};
    for (const key of keys) counts[key] = (counts[key] ?? 0) + 1;
    return counts;
  };
  const decided = verdicts.filter(({ graph, outcome }) => graph.kind !== "trap" && outcome.kind !== "invalid");
  const right = decided.filter(({ outcome }) => outcome.kind === "right" || outcome.kind === "unstable");
  return {
    graphs: verdicts.length,
    wrong: seeds("wrong"),
    crashed: seeds("crashed"),
    unstable: seeds("unstable"),
    invalid: seeds("invalid"),
    convertedShare: right.length / decided.length,
    counts: count(verdicts.map(({ graph, outcome }) => `${graph.kind} ${outcome.kind}`)),
    codes: count(
      verdicts.flatMap(({ graph, outcome }) => (outcome.kind === "refused" ? [`${graph.kind} ${outcome.code}`] : [])),
    ),
    largest: Math.max(0, ...verdicts.flatMap(({ outcome }) => (outcome.kind === "right" ? [outcome.largest] : []))),
  };
}
