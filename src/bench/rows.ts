/** What was measured as rows, for tables and for programs that read tables. */

import { checkArguments } from "../checks.ts";
import type { Ratio, Timing } from "./measure.ts";
import type { BenchReport, Comparison } from "./report.ts";

/** One case of one converted model. */
export interface BenchRow {
  /** The converted model. */
  readonly model: string;
  /** What is done: one token, one token of each sequence of a batch, or a prompt in one pass. */
  readonly task: "token" | "batch" | "prompt";
  readonly graph: "converted" | "floor" | "exported";
  /** Tokens that one run reads, over all sequences; of an exported graph all of its context. */
  readonly tokens: number;
  readonly timing: Timing;
  /** Converted over floor, or exported over converted; of a batch, tokens per second over those of one sequence. */
  readonly ratio: Ratio | undefined;
  /** Bytes of weights and of the states of one sequence; undefined for the floor. */
  readonly weightBytes: number | undefined;
  readonly stateBytes: number | undefined;
  /** Resident memory of a process that has run the model: for one token, or over the longest of the contexts. */
  readonly residentBytes: number | undefined;
}

/** All cases of a report. */
export function benchRows(report: BenchReport): BenchRow[] {
  checkArguments({ report: ["report", report] });
  const { converted: model, decode, prompt, batch, memory } = report;
  const { weightBytes, stateBytes, residentBytes } = memory;
  const none = { weightBytes: undefined, stateBytes: undefined, residentBytes: undefined };
  const own = { model, graph: "converted", weightBytes, stateBytes, residentBytes } as const;
  const floor = { model, graph: "floor", ratio: undefined, ...none } as const;
  const exported = {
    ...{ model, graph: "exported" as const, weightBytes: memory.exportedWeightBytes, stateBytes: 0 },
    residentBytes: memory.exportedResidentBytes,
  };
  const comparison = (task: "token" | "prompt", tokens: number, of: Comparison): BenchRow[] => [
    { ...own, task, tokens, timing: of.converted, ratio: of.overFloor },
    { ...floor, task, tokens, timing: of.floor },
    ...of.exported.map(({ context, timing, timesFaster: ratio }) => ({
      ...{ ...exported, task, tokens: context, timing, ratio },
    })),
  ];
  return [
    ...comparison("token", 1, decode),
    ...comparison("prompt", prompt.tokens, prompt),
    ...(batch
      ? [{ ...own, task: "batch", tokens: batch.size, timing: batch.timing, ratio: batch.timesOne } as const]
      : []),
  ];
}

const COLUMNS: readonly (readonly [title: string, cell: (row: BenchRow) => string | number | undefined])[] = [
  ["model", ({ model }) => model],
  ["task", ({ task }) => task],
  ["graph", ({ graph }) => graph],
  ["tokens", ({ tokens }) => tokens],
  ["median_ms", ({ timing }) => digits(timing.ms)],
  ["low_ms", ({ timing }) => digits(timing.low)],
  ["high_ms", ({ timing }) => digits(timing.high)],
  ["ratio", ({ ratio }) => ratio && digits(ratio.ratio)],
  ["weight_bytes", ({ weightBytes }) => weightBytes],
  ["state_bytes", ({ stateBytes }) => stateBytes],
  ["resident_bytes", ({ residentBytes }) => residentBytes],
];
const digits = (value: number): number => Number(value.toPrecision(6));
const cellsOf = (row: BenchRow): string[] => COLUMNS.map(([, cell]) => String(cell(row) ?? ""));
const TITLES = COLUMNS.map(([title]) => title);

/** Comma-separated values (RFC 4180) with a heading. */
export function benchCsv(reports: readonly BenchReport[]): string {
  checkArguments({ reports: ["reports", reports] });
  const quoted = (cell: string) => (/[",\r\n]/.test(cell) ? `"${cell.replaceAll('"', '""')}"` : cell);
  const lines = [TITLES, ...reports.flatMap(benchRows).map(cellsOf)];
  return lines.map((cells) => `${cells.map(quoted).join(",")}\n`).join("");
}

/** A Markdown table. */
export function benchMarkdown(reports: readonly BenchReport[]): string {
  checkArguments({ reports: ["reports", reports] });
  const rule = TITLES.map((_, k) => (k < 3 ? "---" : "---:"));
  const rows = reports.flatMap(benchRows).map((row) => cellsOf(row).map((cell) => cell.replaceAll("|", "\\|")));
  return [TITLES, rule, ...rows].map((cells) => `| ${cells.join(" | ")} |\n`).join("");
}
