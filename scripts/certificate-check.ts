/**
 * Measures, by other means than the certificate's own, everything that a certificate claims; lists what fails. As a command
 * it measures the rounding of float32 steps, the worst that a search finds and that of random inputs, against what is
 * certified: `npm run build && node dist/scripts/certificate-check.js`, 10 minutes.
 */

import { fileURLToPath } from "node:url";
import { type Certificate, certify } from "../converter/certify/certify.ts";
import { roundoffOf } from "../converter/certify/roundoff.ts";
import type { Reduction } from "../converter/reduce/reduce.ts";
import type { Kernels, Modal } from "../converter/solve/form.ts";
import { uniform } from "../src/random.ts";
import { noArguments } from "./arguments.ts";
import { recurrence } from "./recurrence.ts";
import { measureRoundoff, roundoffCases } from "./roundoff-cases.ts";

/** What is known of one reduction, and where a claim that fails is noted. */
interface Trial {
  readonly kernels: Kernels;
  readonly modal: Modal;
  readonly certificate: Certificate;
  /** Steps that the certificate's bound of rounding is for. */
  readonly steps: number;
  /** Rounding of the float64 recurrence that measures, by channel: its unit is 2⁻⁵³ where the bound's is 2⁻²⁴. */
  readonly slack: Float64Array;
  readonly next: () => number;
  claim(name: string, measured: number, bound: number): void;
}

/**
 * Checks one reduction against its certificate: stability, no NaN, error norms against a recurrence, the frequency
 * response at random frequencies, the tail, the worst-case input, and float32 against float64.
 *
 * @returns a sentence for each claim that fails
 */
export function failuresOf(kernels: Kernels, { modal, error }: Reduction, seed: number): string[] {
  const failures: string[] = [];
  const claim = (name: string, measured: number, bound: number) => {
    if (!(measured <= bound)) failures.push(`${name}: measured ${measured}, certified ${bound}`);
  };
  const { lags, channels } = kernels;
  const steps = 2 * lags + 50;
  const certificate = certify(kernels, modal, { steps });
  const slack = roundoffOf(modal, lags, 1).worst.map((bound) => bound * 2 ** -28);
  const trial: Trial = { kernels, modal, certificate, steps, slack, next: uniform(seed), claim };
  checkNumbers(trial, failures);
  checkStability(trial);
  let [square, whole] = [0, 0];
  for (let c = 0; c < channels; c++) {
    const errors = checkNorms(trial, c);
    checkFrequencies(trial, c, errors);
    checkOutputs(trial, c, errors);
    square += Math.hypot(...errors) ** 2;
    whole += errors.reduce((sum, _, k) => sum + kernels.taps[k * channels + c]! ** 2, 0);
  }
  const measured = Math.sqrt(square / (whole || 1));
  claim("layer", measured, certificate.layer.relative * (1 + 1e-9) + 1e-12);
  claim("reduction's own figure", Math.abs(measured - error), 0.02 * error + 3e-7);
  return failures;
}

function checkNumbers({ modal, certificate: { error, tail, roundoff } }: Trial, failures: string[]): void {
  const all = [...Object.values(error), tail.one, tail.two, roundoff.bound, roundoff.expected, modal.residues];
  for (const values of all) if (values.some(Number.isNaN)) failures.push("NaN");
}

function checkStability({ modal: { pairs, reals }, claim }: Trial): void {
  pairs.re.forEach((re, p) => {
    claim("stability", Math.hypot(re, pairs.im[p]!), 1 - 2 ** -23);
  });
  for (const real of reals) claim("stability", Math.abs(real), 1);
}

/** @returns the channel's error at each lag, as a float64 recurrence measures it */
function checkNorms({ kernels, modal, certificate: { error, tail }, slack, claim }: Trial, c: number): Float64Array {
  const { lags, channels, taps } = kernels;
  const impulse = recurrence(modal, c, "float64");
  const response = Float64Array.from({ length: lags + 400 }, (_, k) => impulse(k === 0 ? 1 : 0));
  const errors = Float64Array.from({ length: lags }, (_, k) => taps[k * channels + c]! - response[k]!);
  const after = response.subarray(lags);
  const one = (values: Float64Array) => values.reduce((sum, x) => sum + Math.abs(x), 0);
  claim("1-norm", one(errors), error.one[c]! + lags * slack[c]!);
  claim("2-norm", Math.hypot(...errors), error.two[c]! + lags * slack[c]!);
  claim("tail 1-norm", one(after), tail.one[c]! + 400 * slack[c]!);
  claim("tail 2-norm", Math.hypot(...after), tail.two[c]! + 400 * slack[c]!);
  return errors;
}

/** The error's response at a few random frequencies. */
function checkFrequencies(
  { certificate: { error }, slack, next, claim }: Trial,
  c: number,
  errors: Float64Array,
): void {
  for (let trial = 0; trial < 4; trial++) {
    const omega = Math.PI * next();
    let [x, y] = [0, 0];
    errors.forEach((value, k) => {
      x += value * Math.cos(omega * k);
      y += value * Math.sin(omega * k);
    });
    claim("frequency", Math.hypot(x, y), error.frequency[c]! + errors.length * slack[c]!);
  }
}

/** The input that makes the last output's error as large as it gets, and a random one. */
function checkOutputs(
  { kernels, modal, certificate: { layer, roundoff }, steps, slack, next, claim }: Trial,
  c: number,
  errors: Float64Array,
): void {
  const { lags, channels, taps } = kernels;
  const worst = (i: number) => Math.sign(errors[lags - 1 - (i % lags)]!) || 1;
  for (const input of [worst, () => Math.fround(2 * next() - 1)]) {
    const [single, fused, double] = (["float32", "fused", "float64"] as const).map((each) =>
      recurrence(modal, c, each),
    );
    const xs = Float64Array.from({ length: steps }, (_, i) => input(i));
    xs.forEach((x, i) => {
      const y = double!(x);
      claim("float32", Math.abs(single!(x) - y), roundoff.bound[c]! + steps * slack[c]!);
      claim("float32, fused", Math.abs(fused!(x) - y), roundoff.bound[c]! + steps * slack[c]!);
      if (i >= lags) return;
      let truth = 0;
      for (let k = 0; k <= i; k++) truth += taps[k * channels + c]! * xs[i - k]!;
      claim("output", Math.abs(truth - y), layer.outputPerLargestInput * (1 + 1e-12) + lags * slack[c]! + 1e-300);
    });
  }
}

/** Prints the table of docs/parts/certificate.md. @returns whether nothing exceeds what is certified */
function printRoundoff(): boolean {
  const times = ({ certified, found }: { certified: number; found: number }) =>
    `${certified.toExponential(1)} | ${found.toExponential(1)} | ${(certified / found).toFixed(1)}`;
  const reached = (positions: number) => (positions === Number.POSITIVE_INFINITY ? "any" : positions.toPrecision(2));
  console.log("| form | order | steps | worst | found | times | expected | found | times | reach, worst | expected |");
  console.log(`|${"---|".repeat(11)}`);
  let holds = true;
  for (const each of roundoffCases()) {
    const tries = each.memory > 20_000 ? 8 : 128;
    const { order, worst, expected, reach } = measureRoundoff(each, { tries }, 24);
    holds &&= worst.found <= worst.certified && expected.found <= expected.certified;
    const cells = [
      each.name,
      order,
      each.steps,
      times(worst),
      times(expected),
      reached(reach.worst),
      reached(reach.expected),
    ];
    console.log(`| ${cells.join(" | ")} |`);
  }
  return holds;
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  noArguments("certificate-check");
  process.exitCode = printRoundoff() ? 0 : 1;
}
