/** Attention that lets something of the future in: everywhere, at one head, from one length or position on, or by its normaliser. */
import { type Draft, END, lengthOf, type Piece, reduce, type Stream, same, scalar, slice, weights } from "../draft.ts";
import { lagMatrix, lengthAsFloat } from "../kernels.ts";
import { differsAt } from "../overclaims/overclaim.ts";
import {
  type Allowed,
  type Attention,
  and,
  asTheyAre,
  attend,
  type Bias,
  causal,
  decaying,
  faded,
  rowsAndColumns,
  skewed,
  slopes,
} from "./attention.ts";

const orElse = (d: Draft, a: string, c: string) => d.b.one("Or", [a, c]);
const asFloat = (d: Draft, name: string) => d.b.one("Cast", [name], { to: 1 });

/** One position ahead, in several words. */
const oneAhead: Allowed = (d, n) => {
  const [i, j] = rowsAndColumns(d, n);
  const way = d.r.int(0, 2);
  if (way === 0) return d.b.one("LessOrEqual", [j, d.b.one("Add", [i, scalar(d, 1)])]);
  if (way === 1) return d.b.one("Greater", [lagMatrix(d, n), scalar(d, -1.5)]);
  const ones = d.b.one("Expand", [scalar(d, 1), d.b.one("Concat", [n, n], { axis: 0 })]);
  return d.b.one("Cast", [d.b.one("Trilu", [ones, d.b.ints("diagonal", 1)], { upper: 0 })], { to: 9 });
};

/** At the last head only. */
const oneHead: Allowed = (d, n, heads) => {
  const from = Array.from({ length: heads }, (_, h) => (h === heads - 1 ? -1 : 0));
  return d.b.one("GreaterOrEqual", [lagMatrix(d, n), d.b.floats("ahead", [heads, 1, 1], from)]);
};

const LATE = [70, 200, 600, 1000];
/** In longer sequences. */
const fromLength: Allowed = (d, n) => {
  const from = d.r.pick(LATE);
  differsAt(d, from + 3);
  const late = asFloat(d, d.b.one("Greater", [lengthAsFloat(d, n), scalar(d, from)]));
  return d.b.one("GreaterOrEqual", [lagMatrix(d, n), d.b.one("Neg", [late])]);
};
/** At later positions. */
const fromPosition: Allowed = (d, n) => {
  const from = d.r.pick(LATE);
  differsAt(d, from + 20);
  const [i] = rowsAndColumns(d, n);
  const late = asFloat(d, d.b.one("GreaterOrEqual", [i, scalar(d, from)]));
  return d.b.one("GreaterOrEqual", [lagMatrix(d, n), d.b.one("Neg", [late])]);
};
/** For one pair of positions, and no other. */
const onePair: Allowed = (d, n, heads) => {
  const at = d.r.pick([5, 40, 90, 300, 700, 1100]);
  differsAt(d, at + 2, at + 7);
  const [i, j] = rowsAndColumns(d, n);
  const is = (k: string, place: number) => d.b.one("Equal", [k, scalar(d, place)]);
  return orElse(d, causal(d, n, heads), and(d, is(i, at), is(j, at + 1)));
};
/** Every so many positions. */
const atTimes: Allowed = (d, n) => {
  const every = d.r.pick([7, 64, 100, 513]);
  differsAt(d, 2 * every + 5);
  const [i] = rowsAndColumns(d, n);
  const rest = d.b.one("Mod", [i, scalar(d, every)], { fmod: 1 });
  const now = asFloat(d, d.b.one("Equal", [rest, scalar(d, every - 1)]));
  return d.b.one("GreaterOrEqual", [lagMatrix(d, n), d.b.one("Neg", [now])]);
};
const bothSides: Allowed = (d, n) =>
  d.b.one("Less", [d.b.one("Abs", [lagMatrix(d, n)]), scalar(d, d.r.pick([2, 8, 30]))]);
const prefix: Allowed = (d, n, heads) => {
  const [, j] = rowsAndColumns(d, n);
  return orElse(d, causal(d, n, heads), d.b.one("Less", [j, scalar(d, d.r.pick([2, 3, 6]))]));
};
/** Blocks that see themselves whole. */
const wholeBlocks: Allowed = (d, n) => {
  const [i, j] = rowsAndColumns(d, n);
  const size = scalar(d, d.r.pick([4, 16, 64]));
  const blockOf = (k: string) => d.b.one("Floor", [d.b.one("Div", [k, size])]);
  return d.b.one("GreaterOrEqual", [blockOf(i), blockOf(j)]);
};
/** Keys counted from the end. */
const lastKeys: Allowed = (d, n, heads) => {
  const [, j] = rowsAndColumns(d, n);
  const left = d.b.one("Sub", [lengthAsFloat(d, n), j]);
  return and(d, causal(d, n, heads), d.b.one("LessOrEqual", [left, scalar(d, d.r.pick([6, 20, 64]))]));
};
const everyOther: Allowed = (d, n) =>
  d.b.one("Equal", [d.b.one("Mod", [d.b.one("Abs", [lagMatrix(d, n)]), scalar(d, 2)], { fmod: 1 }), scalar(d, 0)]);
/** Queries see what is behind them. */
const upsideDown: Allowed = (d, n) => d.b.one("LessOrEqual", [lagMatrix(d, n), scalar(d, 0)]);

/** Distances both ways, and no mask. */
const slopesAlone: Bias = (d, n, heads) => d.b.one("Neg", [d.b.one("Abs", [slopes(d, n, heads)])]);
/** A slope so steep that one takes it for a mask. */
const steep: Bias = (d, n) => d.b.one("Mul", [d.b.one("Relu", [d.b.one("Neg", [lagMatrix(d, n)])]), scalar(d, -4)]);

/** Hidden in the sum above, but not in the one below. */
const wholeNormaliser = (d: Draft, scores: string, allowed: string | undefined): string => {
  const raised = d.b.one("Exp", [scores]);
  const shown = d.b.one("Mul", [raised, asFloat(d, allowed!)]);
  return d.b.one("Div", [shown, reduce(d, "ReduceSum", raised, [-1])]);
};
/** A softmax over all, masked behind it. */
const maskedBehind = (d: Draft, scores: string, allowed: string | undefined): string =>
  d.b.one("Where", [allowed!, d.b.one("Softmax", [scores], { axis: -1 }), scalar(d, 0)]);
const overQueries = (d: Draft, scores: string, allowed: string | undefined): string =>
  d.b.one("Softmax", [d.b.one("Where", [allowed!, scores, scalar(d, -1e9)])], { axis: 2 });
const overHeads = (d: Draft, scores: string): string => d.b.one("Softmax", [scores], { axis: 1 });
/** Divided by the largest score of all. */
const byLargest = (d: Draft, scores: string, allowed: string | undefined): string => {
  const most = reduce(d, "ReduceMax", d.b.one("Abs", [scores]), [-1]);
  return d.b.one("Div", [decaying(d, scores, allowed), d.b.one("Add", [most, scalar(d, 1)])]);
};
const byLength = (d: Draft, scores: string, n: string): string =>
  d.b.one("Mul", [scores, d.b.one("Div", [scalar(d, 6), d.b.one("Sqrt", [lengthAsFloat(d, n)])])]);

const next = (d: Draft, x: Stream): Stream =>
  same(x, d.b.one("Pad", [x.name, d.b.ints("pads", [0, -1, 0, 0, 1, 0])], { mode: "constant" }));
const turned = (d: Draft, x: Stream): Stream => same(x, slice(d, x.name, 1, -1, -END, -1));
const centred = (d: Draft, x: Stream): Stream =>
  same(x, d.b.one("Sub", [x.name, reduce(d, "ReduceMean", x.name, [1])]));

/** A trained matrix of scores, which an export of fixed length has. */
const trainedScores: Bias = (d, n) => {
  if (d.length !== undefined) return weights(d, [d.length, d.length], 2);
  d.square = true;
  d.differs.push({ length: 63, batch: 1 });
  return slice(d, slice(d, weights(d, [1400, 1400], 60), 0, 0, n), 1, 0, n);
};

const HOWS: Readonly<Record<string, Attention>> = {
  noMask: {},
  oneAhead: { allowed: oneAhead },
  oneHead: { allowed: oneHead },
  fromLength: { allowed: fromLength },
  fromPosition: { allowed: fromPosition },
  onePair: { allowed: onePair },
  atTimes: { allowed: atTimes },
  bothSides: { allowed: bothSides },
  prefix: { allowed: prefix },
  wholeBlocks: { allowed: wholeBlocks },
  lastKeys: { allowed: lastKeys },
  everyOther: { allowed: everyOther },
  upsideDown: { allowed: upsideDown },
  softMask: { allowed: causal, low: -3 },
  faintMask: { allowed: causal, low: -14 },
  slopesAlone: { bias: slopesAlone },
  steep: { bias: steep },
  trainedScores: { bias: trainedScores },
  wholeNormaliser: { allowed: causal, weights: wholeNormaliser },
  maskedBehind: { allowed: causal, weights: maskedBehind },
  overQueries: { allowed: causal, weights: overQueries },
  overHeads: { weights: overHeads },
  skewedUnmasked: { relative: skewed },
  fadingAhead: { scores: faded(-1), weights: asTheyAre },
  byLargest: { allowed: causal, weights: byLargest },
  byLength: { allowed: causal, scores: byLength },
  queryAhead: { allowed: causal, query: next },
  valueAhead: { allowed: causal, value: next },
  valueTurned: { allowed: causal, value: turned },
  centredQuery: { allowed: causal, query: centred },
};

/** No mask in the operator. */
const operatorBothWays: Piece = (d, x) => {
  if (d.b.opset < 23) return attend(d, x, {});
  d.square = true;
  const name = d.b.one("Attention", [x.name, x.name, x.name], { q_num_heads: 1, kv_num_heads: 1 });
  return same(x, d.b.one("Add", [x.name, name]));
};

/** As many sums of keys and values as there are positions, divided by all of them. */
const meanOfAll: Piece = (d, x) => {
  const y = attend(d, x, { allowed: causal, weights: decaying });
  return same(x, d.b.one("Div", [y.name, d.b.one("Sqrt", [lengthAsFloat(d, lengthOf(d, x))])]));
};

export const ATTENTION_TRAPS: Readonly<Record<string, Piece>> = {
  ...Object.fromEntries(
    Object.entries(HOWS).map(
      ([name, how]) =>
        [name, (d: Draft, x: Stream) => same(x, d.b.one("Add", [x.name, attend(d, x, how).name]))] as const,
    ),
  ),
  operatorBothWays,
  meanOfAll,
};
