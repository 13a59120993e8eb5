/**
 * The state at every chunk boundary from what each chunk adds: a matrix of powers of the poles, made in the graph
 * because its size follows from the prompt.
 *
 *     U_0 = u_0,  U_I = Λ^(r + c(I-1)) u_0 + Σ_{J<I} Λ^(c(I-1-J)) E_J,  I = 1 … n
 *
 * c is the chunk length, r = T - c(n-1) the tokens in the first chunk (the others are full), E_J what chunk J adds.
 * Powers come from the polar form with the angle in turns, θ/2π of λ^c = hi + mid + lo, hi and mid of 9 bits each: for
 * j < 2¹⁵ the fractions of j·hi and j·mid are exact in float32 and j·lo is small, so an angle is off by a few 10⁻⁸
 * turns whatever j. (cos of j·θ in float32 would lose every digit.)
 */
import type { Builder } from "../onnx/build.ts";
import type { Chunks } from "./chunks.ts";
import { type Duo, LEAST_POWER, powersOf } from "./modes.ts";

/** The matrices of the scan over chunks. */
export interface Scan {
  /** [duos, 2n, 2(n+1)]: from (u_0, E_0 … E_{n-1}) to the state before every chunk. */
  readonly starts: string;
  /** [duos, 2, 1, 2(n+1)]: to the state after the last. */
  readonly end: string;
}

/** Smaller than any float32 power that matters; poles of 0 have no logarithm. */
const LEAST_LOG = -1e4;

/** Adds the nodes that make the matrices of a {@link Scan}. */
export function buildScan(b: Builder, duos: readonly Duo[], chunk: number, cut: Chunks): Scan {
  const { chunks } = cut;
  const powers = buildPowers(b, duos, chunk, cut);
  const one = b.ints("one", 1);
  const n = b.one("Reshape", [chunks, b.ints("scalar", [])]);
  const next = b.one("Add", [n, one]);
  // Row I, column J = 1 … n is Λ^(c(I-J)), found at 1 + I - J of the powers, or nothing, found at 0
  const rows = b.one("Reshape", [b.one("Range", [one, b.one("Add", [next, one]), one]), b.ints("column", [-1, 1])]);
  const columns = b.one("Range", [one, next, one]);
  const lags = b.one("Max", [b.one("Sub", [rows, columns]), b.ints("zero", 0)]);
  // Column 0 is the identity, then Λ^(r + c(I-1)), found at n + I
  const carried = b.one("Range", [next, b.one("Add", [next, n]), one]);
  const column = b.one("Concat", [b.ints("ones", [1]), carried], { axis: 0 });
  const index = b.one("Concat", [b.one("Reshape", [column, b.ints("column", [-1, 1])]), lags], { axis: 1 });
  const [axis, start, stop] = [b.ints("axis", [0]), b.ints("start", [0]), b.ints("stop", [Number.MAX_SAFE_INTEGER])];
  // Two columns of the result belong to every entry of the index, so the last dimension is known only at run time
  const width = b.one("Mul", [b.one("Add", [chunks, b.ints("ones", [1])]), b.ints("two", [2])]);
  const rowsOf = (part: string, shape: readonly number[], hint: string) => {
    const entries = b.one("Gather", [powers, part], { axis: 3 });
    const blocks = b.one("Transpose", [entries], { perm: [0, 1, 3, 2, 4] });
    const dims = b.one("Concat", [b.ints("duos", [duos.length, ...shape]), width], { axis: 0 });
    return b.one("Reshape", [blocks, dims], undefined, { hint });
  };
  return {
    starts: rowsOf(b.one("Slice", [index, start, chunks, axis]), [-1], "scan_starts"),
    end: rowsOf(b.one("Slice", [index, chunks, stop, axis]), [2, 1], "scan_end"),
  };
}

/** [duos, 2, 2, 1 + 2n]: zeros, then Λ^(cj), then Λ^(r + cj), j = 0 … n-1, each as a 2 × 2 block. */
function buildPowers(b: Builder, duos: readonly Duo[], chunk: number, { chunks, partial }: Chunks): string {
  const shape = [duos.length, 2, 2, 1];
  const entries = duos.flatMap(entriesOf);
  const floats = (hint: string, value: (entry: Entry) => number) => b.floats(hint, shape, entries.map(value));
  const full = entries.map(({ pole }) => polar(pole, chunk));
  const turns = full.map(({ turn }) => split(turn));
  const part = (hint: string, which: 0 | 1 | 2) =>
    b.floats(
      hint,
      shape,
      turns.map((each) => each[which]),
    );
  const scalar = b.ints("scalar", []);
  const [zero, one] = [b.ints("zero", 0), b.ints("one", 1)];
  const range = b.one("Range", [zero, b.one("Reshape", [chunks, scalar]), one]);
  const j = b.one("Cast", [range], { to: 1 });

  const fraction = (value: string) => b.one("Sub", [value, b.one("Floor", [value])]);
  const high = fraction(b.one("Mul", [part("turn_hi", 0), j]));
  const middle = fraction(b.one("Mul", [part("turn_mid", 1), j]));
  const quarter = b.floats(
    "turn_phase",
    shape,
    entries.map(({ phase }) => phase),
  );
  const exactPart = fraction(b.one("Add", [b.one("Add", [high, middle]), quarter]));
  // Half a turn less centres the angle; the sign of `entry` makes up for it
  const centred = b.one("Sub", [exactPart, b.floats("half", [], [0.5])]);
  const angle = b.one("Add", [centred, b.one("Mul", [part("turn_lo", 2), j])]);
  const log = b.one("Mul", [
    b.floats(
      "log",
      shape,
      full.map(({ log }) => log),
    ),
    j,
  ]);

  // Λ^r for every r that the first chunk can have
  const firsts = Array.from({ length: chunk }, (_, i) => entries.map(({ pole }) => polar(pole, i + 1)));
  const table = (hint: string, value: (each: { turn: number; log: number }) => number) =>
    b.floats(
      hint,
      [chunk, ...shape],
      firsts.flatMap((each) => each.map(value)),
    );
  const at = b.one("Sub", [b.one("Reshape", [partial, scalar]), one]);
  const firstAngle = b.one("Gather", [table("first_turn", ({ turn }) => turn - Math.round(turn)), at], { axis: 0 });
  const firstLog = b.one("Gather", [table("first_log", ({ log }) => log), at], { axis: 0 });

  const angles = b.one("Concat", [angle, b.one("Add", [angle, firstAngle])], { axis: 3 });
  const logs = b.one("Concat", [log, b.one("Add", [log, firstLog])], { axis: 3 });
  const cosines = b.one("Cos", [b.one("Mul", [angles, b.floats("two_pi", [], [2 * Math.PI])])]);
  const powers = b.one("Relu", [b.one("Sub", [b.one("Exp", [logs]), b.floats("least", [], [LEAST_POWER])])]);
  const sizes = b.one("Mul", [powers, floats("entry", ({ present }) => (present ? -1 : 0))]);
  const values = b.one("Mul", [sizes, cosines]);
  const nothing = b.floats("nothing", shape, new Float32Array(entries.length));
  return b.one("Concat", [nothing, values], { axis: 3 }, { hint: "powers" });
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
