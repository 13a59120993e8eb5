/** The suite: a table of what is measured, each part in sessions of its own. */

import { nodeBackend, nodeBindingBackend } from "../../runtime/node.ts";
import { casesOf } from "../../src/bench/cases.ts";
import { benchSubjects, floorFor } from "../../src/bench/subjects.ts";
import { bytesOf, type Conversion } from "./models.ts";
import type { Files, Part } from "./part.ts";
import { batches } from "./parts/batches.ts";
import { compactAgainstExact } from "./parts/exact.ts";
import { againstExported } from "./parts/exported.ts";
import { againstFloor } from "./parts/floor.ts";
import { lateSteps } from "./parts/late.ts";
import { overhead } from "./parts/overhead.ts";
import { type Peer, type PeerOptions, peers } from "./parts/peers.ts";
import { fewTokens, oneCall, prompts } from "./parts/prompts.ts";
import { atMost, type Row, rowOf } from "./row.ts";

export interface SuiteOptions {
  readonly rounds: number;
  readonly threads?: number | undefined;
  /** Position of the late step; default 100 000. */
  readonly late?: number;
  /** Tokens of the prompts that one call reads; default 2 048 and 65 536. */
  readonly prompts?: readonly [short: number, long: number];
  /** Those that are measured beside. */
  readonly others: PeerOptions;
  readonly onProgress: (what: string) => void;
}

const PARTS: readonly (readonly [what: string, measure: Part])[] = [
  ["decode against the floor", againstFloor],
  ["compact against exact, n = 512", (suite) => compactAgainstExact(suite, 512, nodeBackend)],
  ["the same through onnxruntime-node's own binding", (suite) => compactAgainstExact(suite, 512, nodeBindingBackend)],
  ["compact against exact, n = 2048", (suite) => compactAgainstExact(suite, 2048, nodeBackend)],
  ["the same through onnxruntime-node's own binding", (suite) => compactAgainstExact(suite, 2048, nodeBindingBackend)],
  ["decode against the exported graph", againstExported],
  ["a prompt of 512 tokens", prompts],
  ["a few tokens", fewTokens],
  ["a prompt in one call", oneCall],
  ["early and late steps", lateSteps],
  ["batches", batches],
  ["the runtime's own overhead", overhead],
];

/** Measures every row but those of the conversion itself, and the peers. */
export async function runSuite(files: Files, options: SuiteOptions): Promise<{ rows: Row[]; peers: Peer[] }> {
  const { rounds, threads, late = 100_000, prompts: lengths = [2048, 65_536], onProgress } = options;
  const subjects = await benchSubjects(files.exported, files.compact);
  const { found } = subjects;
  const floor = await floorFor(subjects);
  const suite = {
    files,
    rounds,
    threads,
    late,
    prompts: lengths,
    original: found.original,
    floor,
    cases: casesOf(found),
  };
  const rows: Row[] = [];
  for (const [what, measure] of PARTS) {
    onProgress(what);
    rows.push(...(await measure(suite)));
  }
  onProgress("peers");
  return { rows, peers: await peers(suite, options.others) };
}

/** Time and peak memory of `convert`. */
export function conversionRows(source: string, { seconds, peakBytes }: Conversion): Row[] {
  const row = (what: string, value: number, unit: Row["unit"], must: number): Row =>
    rowOf(what, { ratio: value, low: value, high: value }, atMost(must), [], unit);
  return [
    row("convert, horizon 512, all of it", seconds, "s", 20),
    row("convert, peak memory", peakBytes / bytesOf(source), "× model", 4),
  ];
}
