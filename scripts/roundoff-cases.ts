/** Certified rounding against what is found by searching: the forms and decays of the published table. */

import { roundoffReach } from "../converter/certify/reach.ts";
import { roundoffOf } from "../converter/certify/roundoff.ts";
import { lookAtChannels } from "../converter/reduce/diagonal.ts";
import { reduceKernels } from "../converter/reduce/reduce.ts";
import { estimateDecay } from "../converter/solve/decay.ts";
import { solveEtsc } from "../converter/solve/etsc.ts";
import { channelsOf } from "../converter/solve/evaluate.ts";
import { channelOf, evened, type Form, type Modal, orderOf } from "../converter/solve/form.ts";
import { uniform } from "../src/random.ts";
import { type Effort, worstFound } from "./adversary.ts";
import { randomRpe } from "./random-kernels.ts";
import { recurrence } from "./recurrence.ts";

/** Lags of the kernels, and the horizon of the forms. */
const LAGS = 512;

/** One channel of a form. */
export interface RoundoffCase {
  readonly name: string;
  readonly form: Form;
  readonly modal: Modal;
  /** Steps that it is run for: an exact form is exact for its lags only. */
  readonly steps: number;
  /** Steps in which its kernel dies away, or all of them. */
  readonly memory: number;
}

/** Compact, diagonal and exact form of a TNN's random kernels, decay 0.99, 0.999 and none. */
export function roundoffCases(steps = 100_000): RoundoffCase[] {
  return [0.99, 0.999, 1].flatMap((decay) => {
    const kernels = randomRpe(LAGS, 8, decay, 5);
    const named = (kind: string) => `${kind}, ${decay === 1 ? "no decay" : `decay ${decay}`}`;
    const memory = decay === 1 ? steps : Math.min(steps, Math.ceil(15 / (1 - decay)));
    const compact = channelsOf(evened(reduceKernels(kernels, { tolerance: 1e-5 }).modal), [2]);
    const own = lookAtChannels(kernels, { tolerance: 1e-3, maxOrder: 32 }).reduce().modal;
    const exact = channelsOf(solveEtsc(kernels, estimateDecay(kernels).decay), [2]);
    return [
      { name: named("compact"), form: { kind: "compact", modal: compact, lags: LAGS }, modal: compact, steps, memory },
      {
        name: named("diagonal"),
        form: { kind: "diagonal", modal: own, lags: LAGS },
        modal: channelOf(own, 2),
        steps,
        memory,
      },
      {
        name: named("exact"),
        form: { kind: "exact", modal: exact, lags: LAGS },
        modal: exact,
        steps: LAGS,
        memory: LAGS,
      },
    ] satisfies RoundoffCase[];
  });
}

/** What is certified, what was found, and how many positions a relative 10⁻³ allows. */
export interface RoundoffRow {
  readonly order: number;
  readonly worst: { readonly certified: number; readonly found: number };
  readonly expected: { readonly certified: number; readonly found: number };
  readonly reach: { readonly worst: number; readonly expected: number };
}

/** @param runs random inputs tried, half of them signs, the others uniform */
export function measureRoundoff(
  { form, modal, steps, memory }: RoundoffCase,
  effort: Omit<Effort, "steps">,
  runs: number,
): RoundoffRow {
  const { worst, expected } = roundoffOf(modal, steps, 1);
  let random = 0;
  for (let run = 0; run < runs; run++) {
    const [single, double, next] = [recurrence(modal, 0, "float32"), recurrence(modal, 0, "float64"), uniform(run)];
    for (let i = 0; i < steps; i++) {
      const x = Math.fround(2 * next() - 1);
      const input = run % 2 ? x : Math.sign(x) || 1;
      random = Math.max(random, Math.abs(single(input) - double(input)));
    }
  }
  return {
    order: orderOf(modal),
    worst: { certified: worst[0]!, found: worstFound(modal, 0, { ...effort, steps: memory }) },
    expected: { certified: expected[0]!, found: random },
    reach: roundoffReach(form, 1e-3),
  };
}
