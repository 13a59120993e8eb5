/** A row of the suite: a ratio (or a time) with what it must and what it should reach. */
import type { Ratio, Timing } from "../../src/bench/measure.ts";

export interface Row {
  readonly what: string;
  readonly value: number;
  readonly low: number;
  readonly high: number;
  readonly unit: "×" | "ms" | "s" | "× model";
  /** Whether less or more is better. */
  readonly better: "less" | "more";
  readonly must: number;
  readonly aim?: number;
  /** The times behind it. */
  readonly times: readonly Omit<Timing, "samples">[];
}

type Limits = Pick<Row, "better" | "must" | "aim">;
export const atMost = (must: number, aim?: number): Limits => ({ better: "less", must, ...(aim && { aim }) });
export const atLeast = (must: number): Limits => ({ better: "more", must });

/** A row of a ratio, or of what `unit` says. */
export const rowOf = (
  what: string,
  { ratio, low, high }: Ratio,
  limits: Limits,
  times: readonly Timing[] = [],
  unit: Row["unit"] = "×",
): Row => ({
  what,
  value: ratio,
  low,
  high,
  unit,
  ...limits,
  times: times.map(({ samples: _, ...timing }) => timing),
});

export const met = ({ value, better }: Row, limit: number): boolean =>
  better === "less" ? value <= limit : value >= limit;
