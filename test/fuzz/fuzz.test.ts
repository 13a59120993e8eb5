/**
 * The short form of the metamorphic fuzzing: random graphs and rewritten models, each refused, or right as far as is
 * claimed. The long form: scripts/fuzz.ts; one seed again: `node dist/scripts/fuzz.js --seed N`.
 */
import { describe, expect, test } from "vitest";
import { judged, summary, type Verdict } from "./campaign.ts";
import { OVERCLAIMS } from "./overclaims/index.ts";

/** The first ones that cost little, and 5, whose kernels are spectra: 3 and 13 take as long as ten of these. */
const SEEDS = [1, 2, 4, 5, 6, 7, 8, 9, 10, 11, 12, 14, 15, 16];
const SHARE = 0.9;

/** One of each kind: of those that show what is meant the one that costs least. */
const CHEAPEST = [
  "throughSpectrum",
  "lastPositions",
  "lateBlock",
  "shortTransform",
  "constantTap",
  "phase",
  "lateLastRow",
  "segments",
  "rowNine",
  "headRows",
  "fixedOscillation",
];

/** Of each kind of state a piece that is carried, and a mistake that is not, with a seed that costs little. */
const CARRIED: readonly (readonly [string, number])[] = [
  ["mixing", 5],
  ["layers", 4],
  // rounding of a long running sum, enlarged by two LSTMs
  ["layers", 7],
  ["loopedCell", 4],
  ["windowAttention", 10],
];
const REFUSED: readonly (readonly [string, number])[] = [
  ["centred", 4],
  ["paddedByLength", 4],
  ["backwards", 10],
  ["startOfLateLength", 4],
  ["oneHead", 10],
];

function expectSound({ graph, form, outcome }: Verdict): void {
  const said = "message" in outcome ? outcome.message : "";
  const told = `seed ${graph.seed}, ${form}, ${graph.kind} [${graph.pieces.join(", ")}]: ${said}`;
  expect(["right", "refused", "unstable"], told).toContain(outcome.kind);
  // the check before writing catches what the analysis should have seen
  if (outcome.kind === "refused" && graph.kind !== "overclaim") expect(outcome.code, told).not.toBe("check-failed");
}

describe("refused, or right as far as is claimed", () => {
  const verdicts: Verdict[] = [];

  test.each(SEEDS)("seed %i", async (seed) => {
    const both = await judged(seed);
    verdicts.push(...both);
    both.forEach(expectSound);
  });

  test("most of what can run token by token was converted, and some of each kind were made", () => {
    const { counts, convertedShare, graphs } = summary(verdicts);
    expect(graphs).toBe(SEEDS.length);
    expect(convertedShare).toBeGreaterThanOrEqual(SHARE);
    for (const kind of ["causal right", "trap refused", "rewritten right"])
      expect(counts[kind] ?? 0).toBeGreaterThan(0);
  });
});

test("an answer that tips over on some last bits is no fault", async () => {
  const [verdict] = await judged(197, "fadingAttention");
  expect(verdict!.outcome).toMatchObject({ kind: "unstable", claim: { kind: "proven" } });
});

describe("each kind of state", () => {
  test.each(CARRIED)("%s is carried", async (name, seed) => {
    for (const verdict of await judged(seed, name)) {
      expectSound(verdict);
      expect(verdict.outcome.kind).toBe("right");
    }
  });

  test.each(REFUSED)("%s is refused", async (name, seed) => {
    for (const verdict of await judged(seed, name)) {
      expectSound(verdict);
      expect(verdict.outcome.kind).toBe("refused");
    }
  });
});

/** Forms that a graph has of others, and pieces around all of it, with a seed that costs little. */
const WORN: readonly (readonly [pieces: readonly string[], seed: number, kind: string])[] = [
  [["int32 ids", "even length"], 90, "right"],
  [["lengths", "time first"], 195, "right"],
  [["opset 12"], 118, "right"],
  [["lengths from the end"], 101, "refused"],
];

test.each(WORN)("%j", async (pieces, seed, kind) => {
  for (const verdict of await judged(seed)) {
    expect(verdict.graph.pieces).toEqual(expect.arrayContaining([...pieces]));
    expectSound(verdict);
    expect(verdict.outcome.kind).toBe(kind);
  }
});

describe("each kind of overclaim: refused, or right as far as is claimed", () => {
  test.each(CHEAPEST.map((name) => [OVERCLAIMS[name]!.kind, name] as const))("kind %i: %s", async (kind, name) => {
    for (const verdict of await judged(kind, name)) {
      expect(verdict.outcome.kind).not.toBe("invalid");
      expectSound(verdict);
    }
  });
});
