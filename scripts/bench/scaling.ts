/** Cost of the recurrences against each size over at least two decades, with the exponent. */

import { float32Tensor } from "../../converter/graph/tensor.ts";
import type { Form } from "../../converter/solve/form.ts";
import { openForBench, reader, start, stepper } from "../../src/bench/drive.ts";
import { type Case, interleave, type Machine, thisMachine } from "../../src/bench/measure.ts";
import { recurrenceModel } from "../../test/recurrence/model.ts";
import { modalOf } from "./modes.ts";

/** A run: one size changes, the others are as here. */
interface Sizes {
  readonly form: "compact" | "exact";
  /** Order of a compact form, n of an exact one. */
  readonly order: number;
  readonly channels: number;
  readonly batch: number;
  readonly tokens: number;
}

export interface Series {
  readonly what: string;
  readonly points: readonly {
    readonly size: number;
    readonly ms: number;
    readonly low: number;
    readonly high: number;
  }[];
  /** Slope of ln ms against ln size, least squares over the whole range. */
  readonly exponent: number;
  /** The same over the upper decade. */
  readonly upper: number;
}

export interface Scaling {
  readonly machine: Machine;
  readonly series: readonly Series[];
}

const BASE: Sizes = { form: "compact", order: 32, channels: 512, batch: 1, tokens: 1 };
const powers = (from: number, to: number): number[] =>
  Array.from({ length: Math.log2(to / from) + 1 }, (_, i) => from * 2 ** i);

const PLAN: readonly { readonly what: string; readonly sizes: readonly number[]; of(size: number): Sizes }[] = [
  { what: "n, a step of exact ETSC", sizes: powers(32, 4096), of: (order) => ({ ...BASE, form: "exact", order }) },
  { what: "order, a step of a compact state", sizes: powers(2, 256), of: (order) => ({ ...BASE, order }) },
  { what: "channels, a step", sizes: powers(32, 4096), of: (channels) => ({ ...BASE, channels }) },
  { what: "B, a step", sizes: powers(1, 128), of: (batch) => ({ ...BASE, batch }) },
  { what: "T, a prompt", sizes: powers(32, 4096), of: (tokens) => ({ ...BASE, tokens }) },
];

/** Times every series, its points interleaved, on one thread: waiting for a second one would be measured as cost. */
export async function measureScaling(rounds: number, onProgress: (what: string) => void): Promise<Scaling> {
  const series: Series[] = [];
  for (const { what, sizes, of } of PLAN) {
    onProgress(what);
    const open = [];
    const cases: Case[] = [];
    for (const size of sizes) {
      const { form, order, channels, batch, tokens } = of(size);
      const lowered: Form = { kind: form, modal: modalOf(order, channels), lags: order };
      const opened = await openForBench(recurrenceModel(lowered), 1);
      open.push(opened);
      const values = Float32Array.from({ length: batch * tokens * channels }, (_, i) => Math.sin(i));
      const feeds = { x: float32Tensor([batch, tokens, channels], values) };
      const from = start(opened, batch);
      const run = tokens === 1 ? await stepper(opened, feeds, from, batch) : reader(opened, feeds, tokens, from, batch);
      cases.push({ name: String(size), run });
    }
    const timings = await interleave(cases, { rounds, roundMs: 20, pauseMs: 0 });
    for (const each of open) await each.close();
    const points = timings.map(({ ms, low, high }, i) => ({ size: sizes[i]!, ms, low, high }));
    series.push({
      what,
      points,
      exponent: exponentOf(points),
      upper: exponentOf(points.filter(({ size }) => 10 * size >= sizes.at(-1)!)),
    });
  }
  return { machine: thisMachine(), series };
}

/** Slope of a straight line through the logarithms. */
export function exponentOf(points: readonly { readonly size: number; readonly ms: number }[]): number {
  const xs = points.map(({ size }) => Math.log(size));
  const ys = points.map(({ ms }) => Math.log(ms));
  const mean = (values: readonly number[]) => values.reduce((a, b) => a + b, 0) / values.length;
  const [x0, y0] = [mean(xs), mean(ys)];
  const over = xs.reduce((sum, x, i) => sum + (x - x0) * (ys[i]! - y0), 0);
  return over / xs.reduce((sum, x) => sum + (x - x0) ** 2, 0);
}
