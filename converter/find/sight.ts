/** What positions see: an attention is run alone, with later positions changed and left out, and other sequences changed. */
import { DataType, type Tensor } from "../graph/tensor.ts";
import { fixedSizes } from "../parts/seen-shapes.ts";
import { type Layout, timeAxis } from "../time/facts/fact.ts";
import { type Bench, openBench, outputs, type Port, ran } from "./altered.ts";
import type { Known } from "./carried.ts";

/** Lengths at which later positions are changed, with the positions up to which nothing may change; undefined: every one. */
const LENGTHS: readonly (readonly [number, readonly number[] | undefined])[] = [
  [48, undefined],
  [513, [0, 1, 31, 255, 256, 511]],
  [2048, [1023, 2046]],
];
/** Where the graph cannot be run at one of them, the longest of these. */
const SHORTER = [1024, 512, 256, 128, 64] as const;
/** Of the largest tensor of pairs. */
const MOST_BYTES = 2 ** 29;
/** Parts of the largest value by which outputs may differ. */
const SAME = 1e-4;

export type Sight =
  | { readonly seen: number }
  | { readonly code: "not-causal" | "depends-on-length" | "mixes-batch"; readonly reason: string };

/** Up to which length the exits at each position depend on no later one, on no other sequence, and not on the length. */
export async function sightOf(
  known: Known,
  entries: readonly Port[],
  exits: readonly Port[],
  width: number,
): Promise<Sight> {
  const { graphs } = known;
  const bench = await openBench(known, entries, exits);
  try {
    const fixed = fixedSizes(graphs.inputs);
    if (isDriven(bench)) {
      // what a mask of the data lets through where it hides all that came before
      const turned = await lookAt({ ...bench, turned: true }, fixed.time ?? 48, everyOf(fixed.time ?? 48), fixed);
      if (turned && "code" in turned) return turned;
    }
    let seen = 0;
    for (const [length, places] of LENGTHS) {
      const bytes = 4 * width * length ** 2 * ((places ?? everyOf(length)).length + 1);
      if (seen > 0 && (fixed.time !== undefined || bytes > MOST_BYTES)) break;
      const time = fixed.time ?? length;
      const found = await lookAt(bench, time, places ?? everyOf(time), fixed);
      if (found === undefined) {
        // where a table ends before
        for (const shorter of SHORTER.filter((each) => each > seen && each < time)) {
          const there = await lookAt(bench, shorter, [0, 1, 31, shorter - 2], fixed);
          if (there && "code" in there) return there;
          if (there) return { seen: shorter };
        }
        break;
      }
      if ("code" in found) return found;
      seen = time;
    }
    return { seen };
  } finally {
    await bench.part.close();
  }
}

/** The lengths at which every pair is looked at, the longest first, and bytes of the weights of all pairs. */
const ALL_PAIRS = [2048, 1024, 512, 256, 128, 64] as const;
const PAIR_BYTES = 2 ** 27;
/** A length at which they are looked at whatever they take. */
const FEW = 128;

/**
 * Looks at the weights of every pair of positions.
 * @param weights tensors of pairs that the keys are summed with
 * @returns the length, and the first position that has a weight for a later one; undefined where there are none, or nothing can be run
 */
export async function weightAhead(
  known: Known,
  entries: readonly Port[],
  weights: readonly Port[],
  width: number,
): Promise<{ readonly length: number; readonly at: readonly [number, number] | undefined } | undefined> {
  if (weights.length === 0) return undefined;
  const fixed = fixedSizes(known.graphs.inputs);
  const bench = await openBench(known, entries, weights);
  try {
    for (const length of fixed.time === undefined ? ALL_PAIRS : [fixed.time]) {
      if (4 * width * length ** 2 > PAIR_BYTES && length > FEW) continue;
      const made = await ran(bench, fixed.batch ?? 1, length, () => length, length);
      // a table may end before
      if (!made || weights.some((each) => !isWhole(made[each.tensor]!, each.axes, length))) continue;
      for (const { tensor, axes } of weights) {
        const at = firstAhead(made[tensor]!, axes, length);
        if (at) return { length, at };
      }
      return { length, at: undefined };
    }
    return undefined;
  } finally {
    await bench.part.close();
  }
}

const isWhole = ({ dims }: Tensor, axes: Layout, length: number): boolean =>
  [timeAxis(axes), axes.findIndex((axis) => axis.includes("keys"))].every((axis) => dims[axis]! % length === 0);

/** The first pair of a position and a later one that has a weight. */
function firstAhead({ dims, data }: Tensor, axes: Layout, length: number): readonly [number, number] | undefined {
  const strides = dims.map((_, k) => dims.slice(k + 1).reduce((a, c) => a * c, 1));
  const [row, key] = [timeAxis(axes), axes.findIndex((axis) => axis.includes("keys"))];
  for (let at = 0; at < data.length; at++) {
    if (!data[at]) continue;
    const [i, j] = [Math.floor(at / strides[row]!) % length, Math.floor(at / strides[key]!) % length];
    if (j > i) return [i, j];
  }
  return undefined;
}

/** Rows of the largest batch in which one sequence after the other is changed. */
export const ROWS_SEEN = 17;
const BATCHES = [2, 3, ROWS_SEEN] as const;

/** Whether an exit of one sequence depends on the others of the batch, or on how many there are; undefined: it cannot be run. */
export async function mixesBatch(
  known: Known,
  entries: readonly Port[],
  exits: readonly Port[],
): Promise<boolean | undefined> {
  const fixed = fixedSizes(known.graphs.inputs);
  const time = fixed.time ?? 5;
  const bench = await openBench(known, entries, exits);
  try {
    let isRun = false;
    const alone = fixed.batch === undefined ? await outputs(bench, 1, time, () => time) : undefined;
    for (const batch of fixed.batch === undefined ? BATCHES : [fixed.batch]) {
      const plain = await outputs(bench, batch, time, () => time);
      if (!plain) continue;
      isRun = true;
      const isKept = (made: Float64Array[][][], from: number, row: number) =>
        plain.every((rows, k) =>
          rows[row]!.every((values, i) => isSame(values, made[k]![from]![i]!, largestOf(rows.flat()))),
        );
      if (alone && !isKept(alone, 0, batch - 1)) return true;
      for (let other = 0; other < batch; other++) {
        const changed = (await outputs(bench, batch, time, (row) => (row === other ? 0 : time)))!;
        for (let row = 0; row < batch; row++) if (row !== other && !isKept(changed, row, row)) return true;
      }
    }
    return isRun ? false : undefined;
  } finally {
    await bench.part.close();
  }
}

const everyOf = (length: number): readonly number[] => Array.from({ length: length - 1 }, (_, i) => i);

/** Whether truth values of the data enter. */
const isDriven = ({ entries, typeOf }: Bench): boolean =>
  entries.some(({ tensor, isData }) => isData && typeOf(tensor) === DataType.BOOL);

/** Undefined where the graph cannot be run at the length. */
async function lookAt(
  bench: Bench,
  time: number,
  places: readonly number[],
  fixed: { readonly batch: number | undefined; readonly time: number | undefined },
): Promise<Sight | undefined> {
  // each row of a batch has another part of the sequence changed; the last has none
  const batch = fixed.batch ?? places.length + 1;
  const rounds = fixed.batch === undefined ? [places] : places.map((place) => [place]);
  const plain = await outputs(bench, batch, time, () => time);
  if (!plain) return undefined;
  const largest = plain.map((rows) => largestOf(rows.flat()));
  for (const round of rounds) {
    const changed = (await outputs(
      bench,
      batch,
      time,
      (row) => (round[row] ?? (fixed.batch === undefined ? time : round[0]!)) + 1,
    ))!;
    for (const [k, rows] of plain.entries()) {
      for (let b = 0; b < batch; b++) {
        const upTo = Math.min(time - 1, round[b] ?? (fixed.batch === undefined ? time - 1 : round[0]!));
        for (let i = 0; i <= upTo; i++) {
          if (isSame(rows[b]![i]!, changed[k]![b]![i]!, largest[k]!)) continue;
          if (b === batch - 1 && fixed.batch === undefined)
            return { code: "mixes-batch", reason: "reads other sequences of the batch" };
          return { code: "not-causal", reason: `lets position ${i} see position ${upTo + 1} or later ones` };
        }
      }
    }
  }
  if (fixed.time !== undefined) return { seen: time };
  for (const length of [time - 1, Math.ceil(time / 2), 1]) {
    const shorter = await outputs(bench, batch, length, () => time, time);
    if (!shorter) continue;
    for (const [k, rows] of plain.entries())
      for (let b = 0; b < batch; b++)
        for (let i = 0; i < length; i++)
          if (!isSame(rows[b]![i]!, shorter[k]![b]![i]!, largest[k]!))
            return {
              code: "depends-on-length",
              reason: `gives position ${i} another value in a sequence of ${length} than of ${time}`,
            };
  }
  return { seen: time };
}

const largestOf = (rows: readonly Float64Array[]): number =>
  rows.reduce(
    (most, row) => row.reduce((each, value) => (Number.isFinite(value) ? Math.max(each, Math.abs(value)) : each), most),
    0,
  );

const isSame = (a: Float64Array, b: Float64Array, largest: number): boolean =>
  a.every((value, i) => Object.is(value, b[i]) || Math.abs(value - b[i]!) <= SAME * largest);
