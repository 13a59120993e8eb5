/** What every part of the suite measures with. */
import type { Model } from "../../converter/graph/graph.ts";
import type { Cases } from "../../src/bench/cases.ts";
import type { Row } from "./row.ts";

/** Converted files by what they are for. */
export interface Files {
  readonly exported: string;
  /** Default tolerance, horizon 512. */
  readonly compact: string;
  /** Default tolerance, horizon 2 048. */
  readonly compact2048: string;
  readonly exact512: string;
  readonly exact2048: string;
  /** As `compact`, its matrices in fewer bits. */
  readonly int8: string;
  readonly int4: string;
}

export interface Suite {
  readonly files: Files;
  readonly rounds: number;
  /** Position of the late step. */
  readonly late: number;
  /** Tokens of the prompts that one call reads: a short one and a long one. */
  readonly prompts: readonly [short: number, long: number];
  readonly threads: number | undefined;
  /** The exported model, its functions inlined. */
  readonly original: Model;
  readonly floor: Model;
  readonly cases: Cases;
}

/** Some rows of the table, measured in sessions of their own. */
export type Part = (suite: Suite) => Promise<Row[]>;

/** Pairs of single runs, where what is measured is a hundredth of a run. */
const PAIRS = 300;
/** Run by run, in one session: there is nothing to wait for, and two turns would differ by more than what is measured. */
export const RUN_BY_RUN = { rounds: PAIRS, roundMs: 0, pauseMs: 0 } as const;
