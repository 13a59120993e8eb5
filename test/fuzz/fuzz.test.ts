/**
 * The short form of the metamorphic fuzzing: random graphs and rewritten zoo models, each refused or right.
 * The long form: scripts/fuzz.ts; one seed again: `node dist/scripts/fuzz.js --seed N`.
 */
import { describe, expect, test } from "vitest";
import { judged, summary, type Verdict } from "./campaign.ts";

const FIRST = 1;
const GRAPHS = 60;
const SHARE = 0.9;

describe("refused or right", () => {
  const verdicts: Verdict[] = [];

  for (let seed = FIRST; seed < FIRST + GRAPHS; seed++) {
    test(`seed ${seed}`, async () => {
      const verdict = await judged(seed);
      verdicts.push(verdict);
      const { graph, outcome } = verdict;
      const told = `seed ${seed}, ${graph.kind} [${graph.pieces.join(", ")}]: ${outcome.kind === "right" ? "" : outcome.message}`;
      expect(["right", "refused", "unstable"], told).toContain(outcome.kind);
      // the check before writing catches what the analysis should have seen
      if (outcome.kind === "refused") expect(outcome.code, told).not.toBe("check-failed");
    });
  }

  test("most of what can run token by token was converted, and some of each kind were made", () => {
    expect(verdicts).toHaveLength(GRAPHS);
    const { counts, convertedShare } = summary(verdicts);
    expect(convertedShare).toBeGreaterThanOrEqual(SHARE);
    for (const kind of ["causal right", "trap refused", "rewritten right"])
      expect(counts[kind] ?? 0).toBeGreaterThan(0);
  });
});
