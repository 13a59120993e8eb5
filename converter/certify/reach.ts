/** How many positions a form can be run for before float32 rounding counts. */

import { channelsOf, kernelOf } from "../solve/evaluate.ts";
import { channelOf, type Form, kernelsOwn, type Modal } from "../solve/form.ts";
import { roundoffOf } from "./roundoff.ts";

/** Positions up to which rounding stays below a part of the output; Infinity where it never grows beyond it. */
export interface RoundoffReach {
  /** Whatever the inputs are and however they are rounded. */
  readonly worst: number;
  /** For random inputs and random roundings, nearly certainly. */
  readonly expected: number;
}

/** Lags at which the kernel is evaluated; what follows is summed in closed form. */
const EVALUATED = 2048;

/** Channels evaluated at a time. */
const BLOCK = 64;

/** More positions than anybody runs; a number of steps is exact in float64 up to here. */
const MOST = 2 ** 53;

/**
 * The number n of positions up to which the float32 rounding of the step-by-step recurrence stays below `tolerance` times
 * the scale of the channel's output, in every channel, for inputs |x| ≤ 1. The scale is that of n outputs, or of as many
 * as the form has lags where that is more: for `worst` ‖t̂‖₂² / max|t̂| ≤ ‖t̂‖₁, the largest output or less; for
 * `expected` ‖t̂‖₂, the root mean square of the outputs of random signs. Reaches are found to 1 %, never above.
 *
 * @param tolerance above 0
 */
export function roundoffReach(form: Form, tolerance: number): RoundoffReach {
  if (form.kind === "window") return { worst: Number.POSITIVE_INFINITY, expected: Number.POSITIVE_INFINITY };
  const parts = partsOf(form);
  const scaled = parts.map((modal) => ({ modal, scaleOf: outputScale(modal, form.lags) }));
  const seen = new Map<number, Record<keyof RoundoffReach, boolean>>();
  const within = (steps: number) => {
    const known = seen.get(steps);
    if (known) return known;
    const each = scaled.map(({ modal, scaleOf }) => {
      const [bounds, scales] = [roundoffOf(modal, steps, 1), scaleOf(steps)];
      const below = (which: keyof RoundoffReach) =>
        bounds[which].every((bound, c) => scales[which][c] === 0 || bound <= tolerance * scales[which][c]!);
      return { worst: below("worst"), expected: below("expected") };
    });
    const all = { worst: each.every(({ worst }) => worst), expected: each.every(({ expected }) => expected) };
    seen.set(steps, all);
    return all;
  };
  const reach = (which: keyof RoundoffReach) => lastThat((steps) => within(steps)[which], form.lags);
  return { worst: reach("worst"), expected: reach("expected") };
}

/** Modal forms of which a form consists. */
function partsOf(form: Exclude<Form, { kind: "window" }>): Modal[] {
  if (form.kind === "mixed") return [kernelsOwn(form.modal)];
  if (form.kind !== "diagonal") return [form.modal];
  return Array.from({ length: form.modal.channels }, (_, c) => channelOf(form.modal, c));
}

/** The largest n for which something holds that ceases to hold at some n, to 1 %; `likely` is where to begin. */
function lastThat(holds: (steps: number) => boolean, likely: number): number {
  if (holds(Number.POSITIVE_INFINITY) || holds(MOST)) return Number.POSITIVE_INFINITY;
  let [good, bad] = [0, Math.max(likely, 1)];
  while (holds(bad)) [good, bad] = [bad, 2 * bad];
  while (bad - good > Math.max(1, good / 100)) {
    const middle = Math.floor(good === 0 ? bad / 2 : (good + bad) / 2);
    if (holds(middle)) good = middle;
    else bad = middle;
  }
  return good;
}

/** What {@link roundoffReach} measures rounding by, of every channel. */
interface Scale {
  readonly worst: Float64Array;
  readonly expected: Float64Array;
}

/** The scale of so many outputs, at least `lags`; of more than are evaluated by the modes that are left. */
function outputScale(modal: Modal, lags: number): (steps: number) => Scale {
  const { channels } = modal;
  const known = Math.min(lags, EVALUATED);
  const [energy, peak] = [new Float64Array(channels), new Float64Array(channels)];
  for (let first = 0; first < channels; first += BLOCK) {
    const chosen = Array.from({ length: Math.min(BLOCK, channels - first) }, (_, c) => first + c);
    kernelOf(channelsOf(modal, chosen), known).taps.forEach((tap, i) => {
      const c = first + (i % chosen.length);
      energy[c] = energy[c]! + tap * tap;
      peak[c] = Math.max(peak[c]!, Math.abs(tap));
    });
  }
  const left = modesLeft(modal, known);
  const highest = peak.map((size, c) =>
    Math.max(
      size,
      left.reduce((sum, { re, im, at }) => sum + Math.hypot(re[c]!, im[c]!) * at, 0),
    ),
  );
  return (steps) => {
    const beyond = energyOf(left, channels, known, Math.max(lags, Math.min(steps, MOST)));
    const whole = energy.map((sum, c) => sum + Math.max(0, beyond[c]!));
    return {
      worst: whole.map((sum, c) => (sum === 0 ? 0 : sum / highest[c]!)),
      expected: whole.map(Math.sqrt),
    };
  };
}

/** A mode of the kernel, Re (ζ λ^k), λ = exp(log + i angle); `at` is its |λ|^k where it was looked at. */
interface Left {
  readonly log: number;
  readonly angle: number;
  readonly at: number;
  /** ζ of every channel. */
  readonly re: Float64Array;
  readonly im: Float64Array;
}

/** The modes that have not died away after some lags; none where they are many, which makes the scale smaller. */
function modesLeft({ channels, pairs, reals, residues }: Modal, lags: number): Left[] {
  const count = pairs.re.length;
  const row = (s: number) => residues.subarray(s * channels, (s + 1) * channels);
  const modes = [
    ...Array.from(pairs.re, (re, p) => ({
      pole: [re, pairs.im[p]!] as const,
      re: row(2 * p),
      im: row(2 * p + 1).map((c) => -c),
    })),
    ...Array.from(reals, (re, r) => ({
      pole: [re, 0] as const,
      re: row(2 * count + r),
      im: new Float64Array(channels),
    })),
  ];
  const left = modes
    .map(({ pole: [a, b], ...residue }) => {
      const modulus = Math.hypot(a, b);
      return { log: Math.log(modulus), angle: Math.atan2(b, a), at: modulus ** lags, ...residue };
    })
    .filter(({ at }) => at > 1e-6);
  return left.length > 8 ? [] : left;
}

/** Σ_{from ≤ k < to} (Σ_s Re ζ_s λ_s^k)² for every channel. */
function energyOf(modes: readonly Left[], channels: number, from: number, to: number): Float64Array {
  const energy = new Float64Array(channels);
  for (const a of modes) {
    for (const b of modes) {
      // Re z Re w = Re (z w + z w̄) / 2
      for (const sign of [1, -1]) {
        const [x, y] = powerSum(a.log + b.log, a.angle + sign * b.angle, from, to);
        for (let c = 0; c < channels; c++) {
          const re = a.re[c]! * b.re[c]! - sign * a.im[c]! * b.im[c]!;
          const im = a.im[c]! * b.re[c]! + sign * a.re[c]! * b.im[c]!;
          energy[c] = energy[c]! + (re * x - im * y) / 2;
        }
      }
    }
  }
  return energy;
}

/** Σ_{from ≤ k < to} z^k, z = exp(log + i angle). */
function powerSum(log: number, angle: number, from: number, to: number): [number, number] {
  const power = (k: number) =>
    [Math.exp(k * log) * Math.cos(k * angle), Math.exp(k * log) * Math.sin(k * angle)] as const;
  const [x, y] = power(1);
  const [re, im] = [1 - x, -y];
  const apart = re * re + im * im;
  const [a, b] = power(from);
  if (Math.sqrt(apart) * (to - from) < 1e-3) return [a * (to - from), b * (to - from)];
  const [c, d] = power(to);
  return [((a - c) * re + (b - d) * im) / apart, ((b - d) * re - (a - c) * im) / apart];
}
