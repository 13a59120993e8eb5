/** What is said of sequences against numbers: random programs of cutting, padding, turning, adding and transforming. */
import fc from "fast-check";
import { test } from "vitest";
import { type Dim, dim, equal, evaluate, subtract, TIME } from "../../time/facts/dim.ts";
import { type Case, EVERY_LENGTH, examplesOf, floor, isEmpty, least, most, Split, Unproven } from "./cases.ts";
import { cutTo, endedAt, keyUpTo, padded, sliced, turned } from "./cutting.ts";
import { convolved, mapped, multiplied, summed, weighted } from "./sequence.ts";
import { positionOf, type Sequence, streamOf } from "./value.ts";

/** A size in both worlds. */
interface Size {
  readonly of: (which: Case) => Dim;
  readonly at: (n: number) => number;
}

const size = (of: Size["of"], at: Size["at"]): Size => ({ of, at });
const plus = (size: Dim, by: number): Dim => ({ ...size, constant: size.constant + by });

const sizes: fc.Arbitrary<Size> = fc.oneof(
  fc.integer({ min: 0, max: 9 }).map((c) =>
    size(
      () => dim(c),
      () => c,
    ),
  ),
  fc.integer({ min: 0, max: 3 }).map((c) =>
    size(
      () => plus(TIME, c),
      (n) => n + c,
    ),
  ),
  fc.integer({ min: -1, max: 1 }).map((c) =>
    size(
      () => plus({ ...TIME, time: 2 }, c),
      (n) => 2 * n + c,
    ),
  ),
  fc.integer({ min: 1, max: 12 }).map((c) =>
    size(
      (which) => least(which, TIME, dim(c)),
      (n) => Math.min(n, c),
    ),
  ),
  fc.integer({ min: 1, max: 12 }).map((c) =>
    size(
      (which) => most(which, dim(0), plus(TIME, -c)),
      (n) => Math.max(0, n - c),
    ),
  ),
  fc.constant(
    size(
      (which) => floor(which, { ...dim(0), time: 0.5 }),
      (n) => Math.floor(n / 2),
    ),
  ),
  fc.constant(
    size(
      (which) =>
        subtract(TIME, { ...floor(which, { ...dim(0), time: 0.5 }), ...twice(floor(which, { ...dim(0), time: 0.5 })) }),
      (n) => n % 2,
    ),
  ),
);

function twice({ constant, time }: Dim): Dim {
  return { ...dim(2 * constant), time: 2 * time };
}

/** A line in both worlds. */
interface Line {
  readonly said: Sequence;
  readonly size: Dim;
}

type Step = {
  readonly what: "pad" | "slice" | "flip" | "add" | "subtract" | "multiply" | "map" | "weight" | "transform" | "end";
  readonly which: number;
  readonly other: number;
  readonly a: Size;
  readonly b: Size;
};

const steps = fc.array(
  fc.record<Step>({
    what: fc.constantFrom(
      ...([
        "pad",
        "slice",
        "flip",
        "add",
        "subtract",
        "multiply",
        "map",
        "weight",
        "transform",
        "transform",
        "end",
      ] as const),
    ),
    which: fc.nat(20),
    other: fc.nat(20),
    a: sizes,
    b: sizes,
  }),
  { minLength: 1, maxLength: 7 },
);

/** Rows of a table: as many as wanted. */
const row = (table: number, i: number): number => ((i * i * 7 + i * 3 + table * 11) % 9) - 4;

const TABLE_ROWS = 6;

const start = (): Line[] => [
  { said: streamOf(TIME), size: TIME },
  { said: positionOf("f", TIME), size: TIME },
  { said: positionOf("g", TIME), size: TIME },
  { said: { ...positionOf("t", dim(TABLE_ROWS)), to: undefined, reach: TABLE_ROWS }, size: dim(TABLE_ROWS) },
];

const numbers = (n: number, impulse: number): number[][] => [
  Array.from({ length: n }, (_, i) => (i === impulse ? 1 : 0)),
  Array.from({ length: n }, (_, i) => row(0, i)),
  Array.from({ length: n }, (_, i) => row(1, i)),
  Array.from({ length: TABLE_ROWS }, (_, i) => row(2, i) || 1),
];

const curve = (v: number): number => ((v * v + 3 * v + 50) % 7) + 1;

/** One step on what is said; undefined: it is not followed. */
function follow(which: Case, { what, a, b, ...chosen }: Step, lines: readonly Line[]): Line | undefined {
  const one = lines[chosen.which % lines.length]!;
  const other = lines[chosen.other % lines.length]!;
  const [x, y] = [a.of(which), b.of(which)];
  const part = (line: Line, from: Dim, to: Dim): Line => {
    const first = least(which, from, line.size);
    const last = most(which, first, least(which, to, line.size));
    return { said: sliced(which, line.said, first, last, line.size), size: subtract(last, first) };
  };
  const together = (of: (p: Sequence, q: Sequence) => Sequence): Line => {
    const shorter = least(which, one.size, other.size);
    return { said: of(part(one, dim(0), shorter).said, part(other, dim(0), shorter).said), size: shorter };
  };
  try {
    if (what === "pad") {
      const said = padded(equal(y, dim(0)) ? one.said : endedAt(which, one.said, one.size), x);
      return {
        said,
        size: {
          ...one.size,
          constant: one.size.constant + x.constant + y.constant,
          time: one.size.time + x.time + y.time,
        },
      };
    }
    if (what === "slice") return part(one, x, y);
    if (what === "flip") return { said: turned(endedAt(which, one.said, one.size)), size: one.size };
    if (what === "add") return together((p, q) => summed(which, p, q, 1));
    if (what === "subtract") return together((p, q) => summed(which, p, q, -1));
    if (what === "multiply") return together((p, q) => multiplied(which, p, q));
    if (what === "map") return { ...one, said: mapped(which, [one.said], `map(${one.said.key})`, one.size) };
    if (what === "weight") return { ...one, said: weighted(one.said, "w") };
    if (what === "end") return { ...one, said: endedAt(which, one.said, one.size) };
    const points = most(which, x, dim(1));
    const over = [one, other].map((line) => cutTo(which, line.said, line.size, points));
    return { said: convolved(which, over, points), size: points };
  } catch (error) {
    if (error instanceof Unproven) return undefined;
    throw error;
  }
}

/** The same step on numbers. */
function run(n: number, { what, a, b, ...chosen }: Step, lines: readonly (readonly number[])[]): number[] {
  const one = lines[chosen.which % lines.length]!;
  const other = lines[chosen.other % lines.length]!;
  const [x, y] = [a.at(n), b.at(n)];
  const together = (of: (p: number, q: number) => number) =>
    Array.from({ length: Math.min(one.length, other.length) }, (_, i) => of(one[i]!, other[i]!));
  if (what === "pad") return [...new Array<number>(x).fill(0), ...one, ...new Array<number>(y).fill(0)];
  if (what === "slice") return one.slice(x, Math.max(x, y));
  if (what === "flip") return [...one].reverse();
  if (what === "add") return together((p, q) => p + q);
  if (what === "subtract") return together((p, q) => p - q);
  if (what === "multiply") return together((p, q) => p * q);
  if (what === "map") return one.map(curve);
  if (what === "weight") return one.map((v) => 3 * v);
  if (what === "end") return [...one];
  const points = Math.max(1, x);
  const sum = new Array<number>(points).fill(0);
  for (const [i, u] of one.slice(0, points).entries())
    for (const [j, v] of other.slice(0, points).entries()) sum[(i + j) % points]! += u * v;
  return sum;
}

/** What a case says in the end, and the values of f (of a stream: of its kernel) that were found at its lengths. */
interface Seen {
  readonly which: Case;
  readonly key: string;
  readonly values: ReadonlyMap<number, number>;
}

/** Lengths are told apart by the small numbers above. */
const LONGEST_RUN = 30;
const LENGTHS = 3;

function check(program: readonly Step[], seen: Map<number, Seen[]>, which: Case): void {
  const lines: Line[] = start();
  const done: Step[] = [];
  for (const step of program) {
    const made = follow(which, step, lines);
    if (!made) continue;
    lines.push(made);
    done.push(step);
  }
  const lengths = examplesOf(which, LENGTHS);
  const worlds = lengths.flatMap((n) =>
    [0, Math.floor(n / 2), n - 1].map((impulse) => {
      const world = numbers(n, impulse);
      for (const step of done) world.push(run(n, step, world));
      return { n, impulse, world };
    }),
  );
  for (const [k, { said, size }] of lines.entries()) {
    const values = new Map<number, number>();
    for (const { n, impulse, world } of worlds) {
      const at = (d: Dim) => evaluate(d, { batch: 1, time: n });
      const refuse = (what: string): never => {
        throw new Error(`${what} ${JSON.stringify({ n, impulse, said, numbers: world[k], steps: done })}`);
      };
      const entries = world[k]!;
      if (entries.length !== at(size)) refuse("size");
      for (const [p, value] of entries.entries()) {
        const m = said.reversed ? entries.length - 1 - p : p;
        if ((m < at(said.support[0]) || m >= at(said.support[1])) && value !== 0) refuse(`outside of support at ${p}`);
        if ((said.from && m < at(said.from)) || (said.to && m >= at(said.to))) continue;
        const q = m + at(said.shift) - (said.stream ? impulse : 0);
        if ((q < said.first || (said.reach !== undefined && q >= said.reach)) && value !== 0) refuse(`f(${q})`);
        if ((values.get(q) ?? value) !== value) refuse(`f(${q}) is another`);
        values.set(q, value);
      }
    }
    const all = seen.get(k) ?? [];
    // the same key in two cases: the same f, as far as the shorter one sees it
    for (const other of all) {
      const top = Math.min(which.to, other.which.to);
      if (keyUpTo(said.key, top) !== keyUpTo(other.key, top)) continue;
      for (const [q, value] of values)
        if (q < top && (other.values.get(q) ?? value) !== value)
          throw new Error(`${said.key} at ${q} ${JSON.stringify([which, other.which, said, done])}`);
    }
    seen.set(k, [...all, { which, key: said.key, values }]);
  }
}

/** Every case of a program. */
function checkAll(program: readonly Step[]): void {
  const seen = new Map<number, Seen[]>();
  const left: Case[] = [{ ...EVERY_LENGTH, to: LONGEST_RUN }];
  for (let which = left.pop(); which; which = left.pop()) {
    if (isEmpty(which)) continue;
    try {
      check(program, seen, which);
    } catch (error) {
      if (!(error instanceof Split)) throw error;
      left.push(...error.parts);
    }
  }
}

test("all that is said of a sequence holds for its numbers", () => {
  fc.assert(fc.property(steps, checkAll), { numRuns: Number(process.env.RUNS ?? 300) });
});
