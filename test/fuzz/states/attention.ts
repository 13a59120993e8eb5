/** Attention in the spellings that exporters and people use: masks, heads, softmax written out, positions. */
import {
  batchOf,
  type Draft,
  lengthOf,
  linear,
  type Piece,
  positions,
  reduce,
  reshape,
  type Stream,
  same,
  scalar,
  slice,
  transpose,
  unsqueeze,
  weights,
} from "../draft.ts";
import { lagMatrix } from "../kernels.ts";

/** What a query at row i may see of column j; bool, [n, n] or [heads, n, n]. */
export type Allowed = (d: Draft, n: string, heads: number) => string;
/** What is added to a score, float32 [n, n] or [heads, n, n]. */
export type Bias = (d: Draft, n: string, heads: number) => string;

export interface Attention {
  readonly allowed?: Allowed;
  readonly bias?: Bias;
  /** What hides a score; default one of those that exporters write. */
  readonly low?: number;
  /** Queries and keys with their positions, [batch, n, heads, width]. */
  readonly turned?: (d: Draft, name: string, n: string, width: number) => string;
  /** Of the scores that are left, the weights; default a softmax over the keys. */
  readonly weights?: (d: Draft, scores: string, allowed: string | undefined) => string;
  /** What is added to the scores, of queries [batch, heads, n, width]. */
  readonly relative?: (d: Draft, queries: string, n: string, width: number) => string;
  /** Scores, as they come from the product. */
  readonly scores?: (d: Draft, scores: string, n: string) => string;
  /** Where queries and values are read from. */
  readonly query?: (d: Draft, x: Stream) => Stream;
  readonly value?: (d: Draft, x: Stream) => Stream;
}

const LOW = [-1e9, Number.NEGATIVE_INFINITY, -3.4028234663852886e38];

/** One attention, projected back to the channels. */
export function attend(d: Draft, x: Stream, how: Attention): Stream {
  const [heads, width] = [d.r.pick([1, 2, 4]), d.r.pick([2, 4])];
  const shared = d.r.pick([1, 1, 2].filter((groups) => heads % groups === 0));
  const n = lengthOf(d, x);
  d.square = true;
  const own = { ...x, name: how.query?.(d, x).name ?? x.name };
  const project = (from: Stream, count: number, turn: boolean) => {
    const split = reshape(d, linear(d, from, count * width).name, [batchOf(d, x), n, count, width]);
    return turn && how.turned ? how.turned(d, split, n, width) : split;
  };
  const few = heads / shared;
  const q = transpose(d, project(own, heads, true), [0, 2, 1, 3]);
  const k = repeated(d, x, transpose(d, project(x, few, true), [0, 2, 1, 3]), { few, shared, width, n });
  const v = repeated(d, x, transpose(d, project(how.value?.(d, x) ?? x, few, false), [0, 2, 1, 3]), {
    ...{ few, shared, width, n },
  });
  const scaled = d.r.chance(0.5);
  const factor = scalar(d, 1 / Math.sqrt(width));
  const left = scaled ? d.b.one("Mul", [q, factor]) : q;
  let scores = d.r.chance(0.3)
    ? d.b.one("Einsum", [left, k], { equation: "bhid,bhjd->bhij" })
    : d.b.one("MatMul", [left, transpose(d, k, [0, 1, 3, 2])]);
  if (!scaled) scores = d.b.one("Mul", [scores, factor]);
  if (how.scores) scores = how.scores(d, scores, n);
  if (how.relative) scores = d.b.one("Add", [scores, how.relative(d, q, n, width)]);
  if (how.bias) scores = d.b.one("Add", [scores, how.bias(d, n, heads)]);
  const allowed = how.allowed?.(d, n, heads);
  const weigh = how.weights ?? ((_: Draft, masked: string) => normalised(d, masked));
  const masked = allowed === undefined || how.weights ? scores : hidden(d, scores, allowed, how.low);
  const mixed = d.b.one("MatMul", [weigh(d, masked, allowed), v]);
  const joined = reshape(d, transpose(d, mixed, [0, 2, 1, 3]), [batchOf(d, x), n, heads * width]);
  return linear(d, { name: joined, channels: heads * width }, x.channels);
}

/** Each of few heads for several. */
function repeated(
  d: Draft,
  x: Stream,
  name: string,
  { few, shared, width, n }: { few: number; shared: number; width: number; n: string },
): string {
  if (shared === 1) return name;
  const sizes = [batchOf(d, x), d.b.ints("heads", [few]), d.b.ints("each", [shared]), n, d.b.ints("width", [width])];
  const spread = d.b.one("Expand", [unsqueeze(d, name, [2]), d.b.one("Concat", sizes, { axis: 0 })]);
  return reshape(d, spread, [batchOf(d, x), few * shared, n, width]);
}

function hidden(d: Draft, scores: string, allowed: string, low = d.r.pick(LOW)): string {
  const value = scalar(d, low);
  switch (d.r.int(0, 2)) {
    case 0:
      return d.b.one("Where", [allowed, scores, value]);
    case 1:
      return d.b.one("Add", [scores, d.b.one("Where", [allowed, scalar(d, 0), value])]);
    default: {
      if (!Number.isFinite(low)) return d.b.one("Where", [d.b.one("Not", [allowed]), value, scores]);
      const shown = d.b.one("Cast", [allowed], { to: 1 });
      return d.b.one("Add", [scores, d.b.one("Mul", [d.b.one("Sub", [scalar(d, 1), shown]), value])]);
    }
  }
}

/** Softmax over the keys, by the operator or written out. */
function normalised(d: Draft, scores: string): string {
  if (d.r.chance(0.6)) return d.b.one("Softmax", [scores], { axis: d.r.pick([-1, 3]) });
  const most = reduce(d, "ReduceMax", scores, [-1]);
  const raised = d.b.one("Exp", [d.b.one("Sub", [scores, most])]);
  return d.b.one("Div", [raised, reduce(d, "ReduceSum", raised, [-1])]);
}

/** i and j as float32 [n, 1] and [1, n]. */
export function rowsAndColumns(d: Draft, n: string): readonly [string, string] {
  d.square = true;
  const k = positions(d, n);
  return [unsqueeze(d, k, [1]), unsqueeze(d, k, [0])];
}

/** j ≤ i. */
export const causal: Allowed = (d, n) => {
  const lag = () => lagMatrix(d, n);
  switch (d.r.int(0, 4)) {
    case 0:
      return d.b.one("GreaterOrEqual", [lag(), scalar(d, 0)]);
    case 1:
      return d.b.one("Not", [d.b.one("Less", [lag(), scalar(d, 0)])]);
    case 2: {
      const [i, j] = rowsAndColumns(d, n);
      return d.b.one("LessOrEqual", [j, i]);
    }
    case 3: {
      const [i, j] = rowsAndColumns(d, n);
      return d.b.one("Greater", [d.b.one("Add", [i, scalar(d, 1)]), j]);
    }
    default: {
      d.square = true;
      const ones = d.b.one("Expand", [scalar(d, 1), d.b.one("Concat", [n, n], { axis: 0 })]);
      return d.b.one("Cast", [d.b.one("Trilu", [ones], { upper: 0 })], { to: 9 });
    }
  }
};

export const and = (d: Draft, a: string, c: string): string => d.b.one("And", [a, c]);
export const window: Allowed = (d, n, heads) =>
  and(d, causal(d, n, heads), d.b.one("Less", [lagMatrix(d, n), scalar(d, d.r.pick([2, 5, 16, 40]))]));
/** The first two positions always, and a window. */
const sinks: Allowed = (d, n, heads) => {
  const [, j] = rowsAndColumns(d, n);
  const near = d.b.one("Less", [lagMatrix(d, n), scalar(d, d.r.pick([4, 9]))]);
  return and(d, causal(d, n, heads), d.b.one("Or", [near, d.b.one("Less", [j, scalar(d, 2)])]));
};
/** Blocks of so many positions, each for itself. */
const blocks: Allowed = (d, n, heads) => {
  const [i, j] = rowsAndColumns(d, n);
  const blockOf = (k: string) => d.b.one("Floor", [d.b.one("Div", [k, scalar(d, 8)])]);
  return and(d, causal(d, n, heads), d.b.one("Equal", [blockOf(i), blockOf(j)]));
};
/** Every third of those before. */
const dilated: Allowed = (d, n, heads) => {
  const rest = d.b.one("Mod", [lagMatrix(d, n), scalar(d, 3)], { fmod: 1 });
  return and(d, causal(d, n, heads), d.b.one("Equal", [rest, scalar(d, 0)]));
};

/** Less the further away: a slope for each head. */
export const slopes: Bias = (d, n, heads) => {
  const by = d.b.floats(
    "slopes",
    [heads, 1, 1],
    Array.from({ length: heads }, (_, h) => -(2 ** -(h + 1))),
  );
  return d.b.one("Mul", [lagMatrix(d, n), by]);
};
/** A trained number for each distance up to so many. */
const distances: Bias = (d, n) => {
  const rows = 17;
  const lag = d.b.one("Clip", [lagMatrix(d, n), scalar(d, d.r.pick([0, -3])), scalar(d, rows - 4)]);
  const at = d.b.one("Cast", [d.b.one("Add", [lag, scalar(d, 3)])], { to: 7 });
  return d.b.one("Gather", [weights(d, [rows], 0.5), at], { axis: 0 });
};

/** Pairs of channels turned by an angle that grows with the position. */
export const rotary = (d: Draft, name: string, n: string, width: number): string => {
  const half = width / 2;
  const rates = d.b.floats(
    "rates",
    [1, half],
    Array.from({ length: half }, (_, i) => 10 ** -i),
  );
  const angle = d.b.one("MatMul", [unsqueeze(d, positions(d, n), [1]), rates]);
  const spread = (op: string) => unsqueeze(d, d.b.one(op, [angle]), [1]);
  const [cos, sin] = [spread("Cos"), spread("Sin")];
  const [a, c] = [slice(d, name, 3, 0, half), slice(d, name, 3, half, width)];
  const minus = d.b.one("Sub", [d.b.one("Mul", [a, cos]), d.b.one("Mul", [c, sin])]);
  const add = d.b.one("Add", [d.b.one("Mul", [c, cos]), d.b.one("Mul", [a, sin])]);
  return d.b.one("Concat", [minus, add], { axis: 3 });
};

/** Cosines and sines, [rows, half]. */
export const rotaryTables = (d: Draft, rows: number, half: number): string[] =>
  [Math.cos, Math.sin].map((turn) =>
    d.b.floats(
      turn.name,
      [rows, half],
      Float32Array.from({ length: rows * half }, (_, at) => turn(Math.floor(at / half) * 10 ** -(at % half))),
    ),
  );

/** The same by ONNX Runtime's operator, with tables. */
const rotaryOperator = (d: Draft, name: string, _n: string, width: number): string => {
  const tables = rotaryTables(d, 8192, width / 2);
  const inputs = [transpose(d, name, [0, 2, 1, 3]), d.b.ints("first", [0]), ...tables];
  const attributes = { interleaved: d.r.int(0, 1) };
  return transpose(d, d.b.one("RotaryEmbedding", inputs, attributes, { domain: "com.microsoft" }), [0, 2, 1, 3]);
};

/** Products with sines of the distance n - 1, ..., 0, shifted so that they meet their keys: Transformer-XL's. */
export const skewed: NonNullable<Attention["relative"]> = (d, queries, n, width) => {
  d.square = true;
  const count = d.b.one("Cast", [d.b.one("Squeeze", [n])], { to: 1 });
  const last = d.b.one("Sub", [count, scalar(d, 1)]);
  const lags = d.b.one("Range", [last, scalar(d, -1), scalar(d, -1)]);
  const waves = d.b.one("Sin", [d.b.one("Mul", [unsqueeze(d, lags, [1]), weights(d, [1, width], 0.5)])]);
  const products = d.b.one("MatMul", [queries, transpose(d, waves, [1, 0])]);
  const padded = d.b.one("Pad", [products, d.b.ints("pads", [0, 0, 0, 1, 0, 0, 0, 0])]);
  const sizes = d.b.one("Concat", [d.b.one("Shape", [queries], { end: 2 }), d.b.ints("rest", [-1]), n], { axis: 0 });
  return slice(d, d.b.one("Reshape", [padded, sizes]), 2, 1, 2 ** 53 - 1);
};

/** Scores times a decay with the distance, and no softmax: retention. */
export const decaying = (d: Draft, scores: string, allowed: string | undefined): string => {
  const shown = d.b.one("Cast", [allowed!], { to: 1 });
  return d.b.one("Mul", [scores, d.b.one("Mul", [shown, scalar(d, 0.2)])]);
};

/** Scores times a power of the distance, 0 for keys behind a distance: RetNet's, where that is 0. */
export const faded =
  (from: number): NonNullable<Attention["scores"]> =>
  (d, scores, n) => {
    const lag = lagMatrix(d, n);
    const held = d.b.one("Max", [lag, scalar(d, Math.min(0, from))]);
    const rate = d.r.pick([0, 0.01, 0.3]);
    const fade = d.r.pick([
      () => d.b.one("Exp", [d.b.one("Mul", [held, scalar(d, -rate)])]),
      () => d.b.one("Pow", [scalar(d, Math.exp(-rate)), held]),
    ])();
    const decay = d.b.one("Where", [d.b.one("GreaterOrEqual", [lag, scalar(d, from)]), fade, scalar(d, 0)]);
    return d.b.one("Mul", [scores, decay]);
  };

/** Scores that are the weights. */
export const asTheyAre: NonNullable<Attention["weights"]> = (_d, scores) => scores;

export const added = (d: Draft, x: Stream, y: Stream): Stream => same(x, d.b.one("Add", [x.name, y.name]));

/** By name: all hide the future. */
export const KINDS: Readonly<Record<string, Attention>> = {
  causal: { allowed: causal },
  window: { allowed: window },
  sinks: { allowed: sinks },
  blocks: { allowed: blocks },
  dilated: { allowed: dilated },
  slopes: { allowed: causal, bias: slopes },
  distances: { allowed: causal, bias: distances },
  rotary: { allowed: causal, turned: rotary },
  rotaryWindow: { allowed: window, turned: rotary },
  rotaryOperator: { allowed: causal, turned: rotaryOperator },
  skewed: { allowed: causal, relative: skewed },
  retention: { allowed: causal, weights: decaying },
  fading: { scores: faded(0), weights: asTheyAre },
};

export const ATTENTION: Readonly<Record<string, Piece>> = {
  ...Object.fromEntries(
    Object.entries(KINDS).map(([name, how]) => [`${name}Attention`, (d, x) => added(d, x, attend(d, x, how))] as const),
  ),
};
