/** What functions of the position are at a pair of a query and a key, followed to their sources. */
import type { Known } from "../../find/carried.ts";
import { toNumbers } from "../../graph/tensor.ts";
import { comparedAlike } from "./alike.ts";
import { type At, constantAt, type Made, madeOf } from "./made.ts";
import { ANY, isZero, number, ofNumbers, type Region, type Value } from "./value.ts";
import { elementwise, pairsIn, triangle } from "./values.ts";

/** What was answered for a function of the position: paths that part and meet again are walked once. */
type Answers<T> = Map<string, T | undefined>;

function once<T>(answers: Answers<T>, { name, row, key }: At, answer: () => T | undefined, how = ""): T | undefined {
  const place = `${row} ${key} ${how} ${name}`;
  if (!answers.has(place)) answers.set(place, answer());
  return answers.get(place);
}

/** Numbers of a table that are looked at. */
const MOST_NUMBERS = 2 ** 24;

/** What a table holds at the pairs of a region. */
function inBlock(
  known: Known,
  { table, row, key }: Extract<Made, { how: "block" }>,
  region: Region,
): Value | undefined {
  const constant = known.constants.get(table)!;
  const { dims } = constant;
  const size = dims.reduce((product, each) => product * each, 1);
  if (size > MOST_NUMBERS) return undefined;
  const numbers = toNumbers(constant.tensor());
  const strideOf = (axis: number) => (axis < 0 ? 0 : dims.slice(axis + 1).reduce((product, each) => product * each, 1));
  const [rows, keys] = [row, key].map((axis) => (axis < 0 ? 1 : dims[axis]!));
  const others = Array.from({ length: size }, (_, at) => at).filter((at) =>
    [row, key].every((axis) => axis < 0 || Math.floor(at / strideOf(axis)) % dims[axis]! === 0),
  );
  const pairs = row < 0 || key < 0 ? pairsIn(rows!, keys!, EVERYWHERE) : pairsIn(rows!, keys!, region);
  function* entries() {
    for (const [i, j] of pairs) for (const at of others) yield numbers[at + i * strideOf(row) + j * strideOf(key)]!;
  }
  return ofNumbers(constant.tensor().type, entries());
}

const EVERYWHERE: Region = { first: "query", behind: Number.NEGATIVE_INFINITY };

/** A table that ends, after so many positions. */
export interface End {
  readonly table: string;
  readonly positions: number;
}

/** Where the table ends that a function of the position reads. */
export function endOf(known: Known, at: At, answers: Answers<End> = new Map()): End | undefined {
  return once(answers, at, () => endIn(known, at, answers));
}

function endIn(known: Known, at: At, answers: Answers<End>): End | undefined {
  const made = madeOf(known, at);
  if (made?.how === "block") {
    const sizes = [made.row, made.key]
      .filter((axis) => axis >= 0)
      .map((axis) => known.constants.get(made.table)!.dims[axis]!);
    return sizes.length > 0 ? { table: made.table, positions: Math.min(...sizes) } : undefined;
  }
  const parts = made && "of" in made ? [made.of].flat() : [];
  const ends = parts.flatMap((part) => endOf(known, part as At, answers) ?? []);
  return ends.sort((a, b) => a.positions - b.positions)[0];
}

/** What holds at every position of a function of one axis. */
const alongOne = (known: Known, of: At, answers: Answers<Value>): Value | undefined =>
  of.row >= 0 && of.key >= 0
    ? undefined
    : valueAt(known, of, { first: of.row >= 0 ? "query" : "key", behind: 0 }, answers);

/** What a function of one position is everywhere, where that is one number. */
function sameNumber(known: Known, of: At, answers: Answers<Value>): number | undefined {
  const value = alongOne(known, of, answers);
  return value?.kind === "linear" && value.a === 0 && value.b === 0 ? value.c : undefined;
}

/** A function of the position at all pairs of a region; undefined where it may depend on the length. */
export function valueAt(known: Known, at: At, region: Region, answers: Answers<Value> = new Map()): Value | undefined {
  return once(answers, at, () => valueIn(known, at, region, answers), `${region.first} ${region.behind}`);
}

function valueIn(known: Known, at: At, region: Region, answers: Answers<Value>): Value | undefined {
  const made = madeOf(known, at);
  switch (made?.how) {
    case undefined:
      return undefined;
    case "constant":
      return constantAt(known, at.name);
    case "range":
      if (at.row !== 0 && at.key !== 0) return undefined;
      return { kind: "linear", a: at.row === 0 ? 1 : 0, b: at.key === 0 ? 1 : 0, c: made.first };
    case "filled":
      return made.value;
    case "moved":
      return valueAt(known, made.of, region, answers);
    case "chosen":
      return valueAt(known, made.of, region, answers) && ANY;
    case "block":
      return inBlock(known, made, region);
    case "summed": {
      const x = made.isAlong ? alongOne(known, made.of, answers) : undefined;
      return x && (isZero(x) ? x : ANY);
    }
    case "behind": {
      const [front, x] = [valueAt(known, made.front, region, answers), alongOne(known, made.of, answers)];
      const isNext = front?.kind === "linear" && x?.kind === "linear" && front.c === x.c - x.a - x.b;
      return front && x && (isNext ? { ...x, c: front.c } : ANY);
    }
    case "cut": {
      const x = alongOne(known, made.of, answers);
      if (x?.kind !== "linear") return x && ANY;
      const c = x.c + (x.a + x.b) * made.from;
      return made.alone ? number(c) : { ...x, c };
    }
    case "triangle": {
      const x = valueAt(known, made.of, region, answers);
      return x && triangle(x, made.upper, made.by, region);
    }
    case "beside": {
      const parts = made.of.map((each) => valueAt(known, each, region, answers));
      return parts.includes(undefined) ? undefined : ANY;
    }
    case "picked":
      // rows beyond the table's end fail, and are never others
      return (
        valueAt(known, made.of, region, answers) &&
        (constantAt(known, made.table).kind === "any" ? ANY : { kind: "score" })
      );
    case "elementwise": {
      const inputs = made.of.map((each) => valueAt(known, each, region, answers));
      if (inputs.includes(undefined)) return undefined;
      const alike = comparedAlike(known, made, region, (each) => sameNumber(known, each, answers));
      if (alike) return alike;
      return elementwise(made.node, inputs as Value[], region) ?? ANY;
    }
  }
}

/** How a function of the position moves from (i, j) to (i + 1, j + 1): by so much, or in another way. */
function slopeOf(known: Known, at: At, answers: Answers<number> = new Map()): number | undefined {
  return once(answers, at, () => slopeIn(known, at, answers));
}

function slopeIn(known: Known, at: At, answers: Answers<number>): number | undefined {
  const made = madeOf(known, at);
  switch (made?.how) {
    case "constant":
      return at.row < 0 && at.key < 0 ? 0 : undefined;
    case "filled":
      return 0;
    case "summed":
    case "behind":
    case "cut": {
      if (made.how === "summed" && !made.isAlong) return slopeOf(known, made.of, answers) === 0 ? 0 : undefined;
      const value = valueAt(known, at, { first: "query", behind: 0 });
      return value?.kind === "linear" ? value.a + value.b : undefined;
    }
    case "range":
      return (at.row === 0 ? 1 : 0) + (at.key === 0 ? 1 : 0);
    case "moved":
    case "chosen":
    case "triangle": {
      const slope = slopeOf(known, made.of, answers);
      return made.how === "moved" || slope === 0 ? slope : undefined;
    }
    case "beside":
      return made.of.every((each) => slopeOf(known, each, answers) === 0) ? 0 : undefined;
    case "elementwise": {
      const slopes = made.of.map((each) => slopeOf(known, each, answers));
      const [x, y] = slopes;
      if (slopes.every((slope) => slope === 0)) return 0;
      if (x === undefined || y === undefined) return made.node.op === "Cast" ? x : undefined;
      if (made.node.op === "Add") return x + y;
      if (made.node.op === "Sub") return x - y;
      return COMPARISONS.has(made.node.op) && x === y ? 0 : undefined;
    }
    case "picked":
      return isClipped(known, made.of) ? slopeOf(known, made.of, answers) : undefined;
    default:
      return undefined;
  }
}

/** Whether a number is kept within bounds, so that the rows of a table that there are for a sequence are those for any. */
function isClipped(known: Known, at: At): boolean {
  const made = madeOf(known, at);
  if (made?.how === "moved") return isClipped(known, made.of);
  return made?.how === "elementwise" && made.node.op === "Clip" && made.of.length === 3;
}

const COMPARISONS = new Set(["Equal", "Greater", "GreaterOrEqual", "Less", "LessOrEqual"]);

/** Whether a tensor is the same all along an axis, by rule. */
export const isSameAlong = (known: Known, name: string, axis: number): boolean =>
  slopeOf(known, { name, row: axis, key: -1 }) === 0;

/**
 * Whether a function of two positions is one of their difference, by rule, that can be made for positions beyond the sequence: rows
 * of a table may end with it.
 */
export const isOfDifference = (known: Known, at: At): boolean => slopeOf(known, at) === 0;
