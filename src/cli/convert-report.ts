/** What `convert` says of what it has done, for people and for programs. */
import { statSync } from "node:fs";
import path from "node:path";
import { cutShort } from "../../converter/claim.ts";
import type { Conversion } from "../../converter/conversion.ts";
import { positionBytes, stateBytes } from "../../converter/find/sizes.ts";
import type { Target } from "../../converter/output/target.ts";
import type { LayerReport } from "../../converter/report.ts";
import type { WeightsReport } from "../../converter/weights/compare.ts";
import { type Claim, describeClaim } from "../contract.ts";
import { describeMissing } from "../missing.ts";
import { table } from "./table.ts";
import { byteSize, scientific } from "./terminal.ts";

/** A conversion, and how it came about. */
export interface Done {
  /** The exported model. */
  readonly file: string;
  readonly conversion: Conversion;
  readonly target: Target;
  /** Files that were written. */
  readonly written: readonly string[];
  readonly trainingLength: number | undefined;
  /** The file that says the training length. */
  readonly from: string | undefined;
  /** What fewer bits changed, for each kind of them. */
  readonly weights: readonly WeightsReport[];
  readonly seconds: number;
}

/** The report for people. */
export function conversionReport({
  conversion,
  target,
  written,
  trainingLength,
  from,
  weights,
  seconds,
}: Done): string {
  const { layers, claim, renamed, language, check } = conversion;
  const heading = ["layer", "node", "operator", "form", "channels", "lags", "order", "error", "why"];
  const rows = layers.map((layer) => [
    String(layer.index),
    layer.node,
    layer.operator,
    layer.form,
    String(layer.channels),
    String(layer.lags),
    String(layer.order),
    scientific(layer.error),
    layer.because,
  ]);
  const lines = [
    ...claimLines(claim, layers, trainingLength),
    ...(conversion.batchAdded ? ["batch     the export has none: every input and output has one in front"] : []),
    ...missingLines(conversion.missing),
    ...renamedLines(renamed, language),
    "",
    table([heading, ...rows]),
    "",
    `state     ${byteSize(stateBytes(layers))} for each sequence${growth(layers)}`,
    `check     ${check.comparisons.length} comparisons with the original; largest difference ${scientific(check.largest)} of the largest output (allowed: ${scientific(check.tolerance)})`,
    ...(check.note === undefined ? [] : [`remark    ${check.note}`]),
    ...(from === undefined ? [] : [`trained   with ${trainingLength} positions (${path.basename(from)})`]),
    ...weights.map(weightsLine),
    writtenLine(target, written, seconds),
  ];
  return lines.join("\n");
}

/** Rows of outputs that the export has not. */
const missingLines = (missing: Conversion["missing"]): string[] =>
  describeMissing(Object.fromEntries(missing)).map(
    (which) => `missing   ${which}, as in the export: what comes there means nothing`,
  );

/** What has other names now, and why. */
function renamedLines(renamed: Conversion["renamed"], language: Conversion["language"]): string[] {
  return [...renamed].map(([from, to]) => {
    const isLanguage = to === language?.ids || to === language?.logits;
    const why = isLanguage
      ? `the name of a language model's ${to === language.ids ? "token ids" : "logits"}`
      : "drivers of converted models take that name for something else";
    return `renamed   ${from} → ${to}: ${why}`;
  });
}

/** Where it went, how much it is, and how long it took. */
export const writtenLine = (target: Target, written: readonly string[], seconds: number): string =>
  `written   ${target.path} (${byteSize(sizeOf(written))}) in ${seconds.toFixed(1)} s`;

/** What fewer bits changed. */
export function weightsLine({ kind, matrices, bytes: { before, after }, rms, sameArgmax }: WeightsReport): string {
  const argmax = sameArgmax === undefined ? "" : `, same first choice at ${Math.round(100 * sameArgmax)} %`;
  return `weights   ${kind} in ${matrices} matrices, ${byteSize(before)} → ${byteSize(after)}; outputs differ by ${scientific(rms)} (rms)${argmax}, on random inputs`;
}

/** What is promised of the result, what limits it, and what would lift the limit. */
function claimLines(claim: Claim, layers: readonly LayerReport[], trainingLength: number | undefined): string[] {
  const { positions = Infinity } = claim;
  const short = trainingLength !== undefined && positions < trainingLength;
  const others = layers.filter(
    ({ claim: own }) => (own.kind !== "proven" || own.positions !== undefined) && own.node !== claim.node,
  );
  return [
    `claim     ${describeClaim(claim)}`,
    ...(short ? [`          fewer positions than the ${trainingLength} it was trained with`] : []),
    ...others.map(({ index, claim: own }) => `          layer ${index}: ${describeClaim(own)}`),
    ...helpFor(layers, positions),
  ];
}

/** A longer horizon, where it is the horizon that limits the claim. */
function helpFor(layers: readonly LayerReport[], positions: number): string[] {
  const cut = cutShort(layers, positions);
  return cut ? [`          --horizon ${2 * cut.lags} follows its kernel further`] : [];
}

function growth(layers: readonly LayerReport[]): string {
  const bytes = positionBytes(layers);
  return bytes > 0 ? `, and ${byteSize(bytes)} for each position that it has read` : "";
}

/** The report for programs. */
export function conversionJson({ file, conversion, target, trainingLength, weights, seconds }: Done) {
  const { layers, claim, renamed, language, check, positions } = conversion;
  return {
    source: file,
    output: target.path,
    kind: target.kind,
    trainingLength,
    stateBytes: stateBytes(layers),
    positionBytes: positionBytes(layers),
    seconds,
    layers: layers.map(({ certificate, reduction, ...layer }) => ({
      ...layer,
      ...(certificate && { certificate: { horizon: certificate.horizon, ...certificate.layer } }),
      ...(reduction && {
        reduction: { order: reduction.order, error: reduction.error, met: reduction.met, gain: reduction.gain },
      }),
    })),
    claim,
    batchAdded: conversion.batchAdded || undefined,
    missing: conversion.missing.size > 0 ? Object.fromEntries(conversion.missing) : undefined,
    renamed: renamed.size > 0 ? Object.fromEntries(renamed) : undefined,
    language,
    positions,
    check,
    weights: oneOrAll(weights),
  };
}

/** One report alone, several as a list, none not at all. */
export const oneOrAll = (weights: readonly WeightsReport[]): WeightsReport | readonly WeightsReport[] | undefined =>
  weights.length > 1 ? weights : weights[0];

/** Bytes of these files; of one that somebody has taken away since, none. */
const sizeOf = (files: readonly string[]): number =>
  files.reduce((sum, file) => sum + (statSync(file, { throwIfNoEntry: false })?.size ?? 0), 0);
