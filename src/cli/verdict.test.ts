import { expect, test } from "vitest";
import type { LanguageRow, Verification } from "../../converter/verify.ts";
import { verdictOf } from "./verdict.ts";

const row = (length: number, positions: number, argmaxDiffers: number, largest: number): LanguageRow => ({
  length,
  way: "whole",
  windows: 1,
  positions,
  argmaxDiffers,
  largestGap: 0,
  klMean: 0,
  klLargest: 0,
  perplexity: { original: 1, converted: 1 },
  largest,
  byPosition: [],
  beyondTraining: false,
});

const language = (rows: readonly LanguageRow[]): Verification => ({
  kind: "language",
  data: "given",
  vocabulary: 7,
  rows: [...rows],
});

test("every first choice is the same", () =>
  expect(verdictOf(language([row(64, 640, 0, 1e-5), row(512, 512, 0, 3e-6)]))).toBe(
    "verdict: the original's first choice at all 1152 positions; logits differ by at most 1.0e-5 (length 64, whole)",
  ));

test("some differ, and NaN is the worst", () =>
  expect(verdictOf(language([row(64, 640, 2, 1e-5), row(512, 512, 1, Number.NaN)]))).toBe(
    "verdict: the original's first choice at 1149 of 1152 positions; logits differ by at most NaN (length 512, whole)",
  ));

test("outputs that are no logits", () =>
  expect(
    verdictOf({
      kind: "signal",
      data: "random",
      rows: [{ length: 64, way: "token by token", largest: 2, relative: 1e-6 }],
    }),
  ).toBe("verdict: outputs differ by at most 1.0e-6 of the largest output (length 64, token by token)"));
