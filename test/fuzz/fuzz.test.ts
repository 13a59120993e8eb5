/**
 * The short form of the metamorphic fuzzing: random graphs and rewritten zoo models, each refused, or right as far as is
 * claimed. The long form: scripts/fuzz.ts; one seed again: `node dist/scripts/fuzz.js --seed N`.
 */
import { describe, expect, test } from "vitest";
import { judged, summary, type Verdict } from "./campaign.ts";
import { OVERCLAIM_KINDS } from "./overclaims/index.ts";

const FIRST = 1;
const GRAPHS = 36;
const SHARE = 0.9;

function expectSound({ graph, form, outcome }: Verdict): void {
  const said = "message" in outcome ? outcome.message : "";
  const told = `seed ${graph.seed}, ${form}, ${graph.kind} [${graph.pieces.join(", ")}]: ${said}`;
  expect(["right", "refused", "unstable"], told).toContain(outcome.kind);
  // the check before writing catches what the analysis should have seen
  if (outcome.kind === "refused" && graph.kind !== "overclaim") expect(outcome.code, told).not.toBe("check-failed");
}

describe("refused, or right as far as is claimed", () => {
  const verdicts: Verdict[] = [];

  for (let seed = FIRST; seed < FIRST + GRAPHS; seed++) {
    test(`seed ${seed}`, async () => {
      const both = await judged(seed);
      verdicts.push(...both);
      both.forEach(expectSound);
    });
  }

  test("most of what can run token by token was converted, and some of each kind were made", () => {
    const { counts, convertedShare, graphs } = summary(verdicts);
    expect(graphs).toBe(GRAPHS);
    expect(convertedShare).toBeGreaterThanOrEqual(SHARE);
    for (const kind of ["causal right", "trap refused", "rewritten right"])
      expect(counts[kind] ?? 0).toBeGreaterThan(0);
  });
});

describe("each kind of overclaim: refused, or right as far as is claimed", () => {
  for (const [kind, names] of OVERCLAIM_KINDS) {
    test(`kind ${kind}: ${names[0]}`, async () => {
      const verdicts = await judged(kind, names[0]!);
      for (const verdict of verdicts) {
        expect(verdict.outcome.kind).not.toBe("invalid");
        expectSound(verdict);
      }
    });
  }
});
