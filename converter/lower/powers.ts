/**
 * Powers of the poles for a prompt's scan over chunks, made in the graph because their number follows from its length.
 *
 * Λ^(cj), c tokens a chunk, comes from the polar form with the angle in turns, θ/2π of λ^c = hi + mid + lo, hi and mid of
 * 9 bits each: for j < 2¹⁵ the fractions of j·hi and j·mid are exact in float32 and j·lo is small, so an angle is off by a
 * few 10⁻⁸ turns whatever j. (cos of j·θ in float32 would lose every digit.)
 */
import type { Builder } from "../graph/build.ts";
import { DataType } from "../graph/tensor.ts";
import { powersOf } from "../solve/powers.ts";
import { type Duo, LEAST_POWER } from "./modes.ts";

/** Smaller than any float32 power that matters; poles of 0 have no logarithm. */
const LEAST_LOG = -1e4;

/**
 * Adds the powers of all duos.
 * @param chunks g, a scalar
 * @returns [duos, 4(g+1)]: for each entry of a duo's 2 × 2 block zero, then that of Λ^(cj), j = 0 … g-1
 */
export function buildPowers(b: Builder, duos: readonly Duo[], chunk: number, chunks: string): string {
  const entries = duos.flatMap(entriesOf);
  const shape = [entries.length, 1];
  const full = entries.map(({ pole }) => polar(pole, chunk));
  const turns = full.map(({ turn }) => split(turn));
  const column = (hint: string, values: readonly number[]) => b.floats(hint, shape, values);
  const range = b.one("Range", [b.ints("zero", 0), chunks, b.ints("one", 1)]);
  const j = b.one("Cast", [range], { to: DataType.FLOAT });

  const fraction = (value: string) => b.one("Sub", [value, b.one("Floor", [value])]);
  const part = (hint: string, which: 0 | 1 | 2) =>
    column(
      hint,
      turns.map((each) => each[which]),
    );
  const high = fraction(b.one("Mul", [part("turn_hi", 0), j]));
  const middle = fraction(b.one("Mul", [part("turn_mid", 1), j]));
  const quarter = column(
    "turn_phase",
    entries.map(({ phase }) => phase),
  );
  const exactPart = fraction(b.one("Add", [b.one("Add", [high, middle]), quarter]));
  // Half a turn less centres the angle; the sign of `entry` makes up for it
  const centred = b.one("Sub", [exactPart, b.floats("half", [], [0.5])]);
  const angle = b.one("Add", [centred, b.one("Mul", [part("turn_lo", 2), j])]);
  const cosine = b.one("Cos", [b.one("Mul", [angle, b.floats("two_pi", [], [2 * Math.PI])])]);
  const log = b.one("Mul", [
    column(
      "log",
      full.map((each) => each.log),
    ),
    j,
  ]);
  const size = b.one("Relu", [b.one("Sub", [b.one("Exp", [log]), b.floats("least", [], [LEAST_POWER])])]);
  const entry = column(
    "entry",
    entries.map(({ present }) => (present ? -1 : 0)),
  );
  const values = b.one("Mul", [b.one("Mul", [size, entry]), cosine]);
  const nothing = column(
    "nothing",
    entries.map(() => 0),
  );
  const powers = b.one("Concat", [nothing, values], { axis: 1 });
  return b.one("Reshape", [powers, b.ints("by_duo", [duos.length, -1])], undefined, { hint: "powers" });
}

/** Entry (row, column) of a duo's 2 × 2 block: |λ|^k cos(kθ + 2π phase), or zero. */
interface Entry {
  readonly pole: readonly [number, number];
  readonly phase: number;
  readonly present: boolean;
}

/** [[Re, -Im], [Im, Re]] of λ^k for a pair, the two powers on the diagonal for real modes. */
function entriesOf({ complex, poles }: Duo): Entry[] {
  const first: readonly [number, number] = [poles[0][0], poles[0][2]];
  if (complex) return [0, 0.25, 0.75, 0].map((phase) => ({ pole: first, phase, present: true }));
  const second: readonly [number, number] = [poles[1][0], poles[1][2]];
  return [first, first, second, second].map((pole, i) => ({ pole, phase: 0, present: i === 0 || i === 3 }));
}

/** λ^count: angle in turns, 0 ≤ turn < 1, and logarithm of the size. */
function polar(pole: readonly [number, number], count: number): { turn: number; log: number } {
  const [re, , im] = powersOf([pole[0], 0, pole[1], 0], count + 1)[count]!;
  const turn = Math.atan2(im, re) / (2 * Math.PI);
  const log = count * Math.log(Math.hypot(pole[0], pole[1]));
  return { turn: turn < 0 ? turn + 1 : turn, log: Math.max(LEAST_LOG, log) };
}

/** A fraction of a turn as a sum of 9 bits, 9 more, and what is left (float32). */
function split(turn: number): [number, number, number] {
  const high = Math.round(turn * 512) / 512;
  const middle = Math.round((turn - high) * 2 ** 18) / 2 ** 18;
  return [high, middle, turn - high - middle];
}
