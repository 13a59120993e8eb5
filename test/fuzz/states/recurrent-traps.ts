/** Layers along time with something wrong in them: backwards, along the batch, or with the whole sequence in their state. */
import {
  batchOf,
  type Draft,
  END,
  lengthOf,
  linear,
  type Piece,
  plus,
  reduce,
  reshape,
  same,
  scalar,
  slice,
  squeeze,
  transpose,
  unsqueeze,
  weights,
} from "../draft.ts";
import { lengthAsFloat } from "../kernels.ts";
import { differsAt } from "../overclaims/overclaim.ts";
import { constantStart, layer, leaky, loop, opOf, small, statesOf, sum, timeFirst } from "./recurrent.ts";

const backwards: Piece = (d, x) => {
  const [all] = layer(d, timeFirst(d, x), x.channels, { op: opOf(d), hidden: x.channels, direction: "reverse" });
  return statesOf(d, all!, x.channels);
};

const bothWays: Piece = (d, x) => {
  const [all] = layer(d, timeFirst(d, x), x.channels, { op: opOf(d), hidden: x.channels, direction: "bidirectional" });
  const way = d.r.int(0, 2);
  // [n, 2, batch, hidden]: the sum, both side by side, or the second alone
  if (way === 0) {
    const both = d.b.one("ReduceSum", [all!, d.b.ints("axes", [1])], { keepdims: 0 });
    return same(x, transpose(d, both, [1, 0, 2]));
  }
  if (way === 1) {
    const joined = reshape(d, transpose(d, all!, [2, 0, 1, 3]), [batchOf(d, x), lengthOf(d, x), 2 * x.channels]);
    return linear(d, { name: joined, channels: 2 * x.channels }, x.channels);
  }
  return same(x, transpose(d, squeeze(d, slice(d, all!, 1, 1, 2), [1]), [1, 0, 2]));
};

const reversed = (d: Draft, name: string, axis: number) => slice(d, name, axis, -1, -END, -1);

/** Turned around, forward, and turned around again. */
const turnedAround: Piece = (d, x) => {
  const data = reversed(d, timeFirst(d, x), 0);
  const [all] = layer(d, data, x.channels, { op: opOf(d), hidden: x.channels });
  return statesOf(d, reversed(d, all!, 0), x.channels);
};

/** Forward, but the batch is what it runs along. */
const acrossBatch: Piece = (d, x) => {
  const [all] = layer(d, x.name, x.channels, { op: opOf(d), hidden: x.channels });
  return same(x, squeeze(d, all!, [1]));
};

/** The last hidden state, at every position. */
const lastEverywhere: Piece = (d, x) => {
  const [, last] = layer(d, timeFirst(d, x), x.channels, { op: opOf(d), hidden: x.channels });
  return plus(d, x, transpose(d, last!, [1, 0, 2]));
};

/** Begins with a state made of the sequence. */
const startOfSequence: Piece = (d, x) => {
  const op = d.r.pick(["ReduceMean", "ReduceMax"]);
  const whole = d.r.chance(0.5) ? reduce(d, op, x.name, [1]) : slice(d, x.name, 1, -1, END);
  const start = transpose(d, d.b.one("Tanh", [whole]), [1, 0, 2]);
  const [all] = layer(d, timeFirst(d, x), x.channels, { op: d.r.pick(["RNN", "GRU"]), hidden: x.channels, start });
  return statesOf(d, all!, x.channels);
};

/** Begins with a state made of the length. */
const startOfLength: Piece = (d, x) => {
  const start = d.b.one("Mul", [
    constantStart(d, x, x.channels),
    d.b.one("Div", [scalar(d, 8), lengthAsFloat(d, lengthOf(d, x))]),
  ]);
  const [all] = layer(d, timeFirst(d, x), x.channels, { op: "GRU", hidden: x.channels, start });
  return statesOf(d, all!, x.channels);
};

/** Reads so many positions and no more. */
const someLengths: Piece = (d, x) => {
  const count = d.b.constant("some", { type: 6, dims: [1], data: new Int32Array([7]) });
  const lens = d.b.one("Expand", [count, batchOf(d, x)]);
  const w = weights(d, [1, 3 * x.channels, x.channels]);
  const r = weights(d, [1, 3 * x.channels, x.channels]);
  const all = d.b.one("GRU", [timeFirst(d, x), w, r, "", lens], { hidden_size: x.channels });
  return plus(d, x, transpose(d, squeeze(d, all, [1]), [1, 0, 2]));
};

/** A mean over as many as there are, not as were read. */
const meanOverAll: Piece = (d, x) =>
  same(x, d.b.one("Div", [sum(d, d.b.one("Tanh", [x.name])), lengthAsFloat(d, lengthOf(d, x))]));

const sumFromTheEnd: Piece = (d, x) =>
  same(x, small(d, sum(d, d.b.one("Tanh", [x.name]), { reverse: 1, exclusive: d.r.int(0, 1) })));

/** What is left to come: the sum of all without the sum so far. */
const remainder: Piece = (d, x) => {
  const y = d.b.one("Tanh", [x.name]);
  return same(x, small(d, d.b.one("Sub", [d.b.one("ReduceSum", [y, d.b.ints("axes", [1])]), sum(d, y)])));
};

/** A loop whose body reads the whole sequence. */
const readsAll: Piece = (d, x) => {
  const mean = reduce(d, "ReduceMean", x.name, [1], 0);
  return loop(d, x, {
    body: (inner, state, row) => {
      const next = inner.b.one("Tanh", [inner.b.one("Add", [state, row])]);
      return [next, inner.b.one("Sub", [next, mean])];
    },
  });
};

/** A loop over turned rows. */
const turnedLoop: Piece = (d, x) => {
  const y = loop(d, same(x, reversed(d, x.name, 1)), { body: leaky });
  return same(x, reversed(d, y.name, 1));
};

/** A loop whose body reads the length. */
const readsLength: Piece = (d, x) => {
  const n = lengthAsFloat(d, lengthOf(d, x));
  return loop(d, x, {
    body: (inner, state, row) => {
      const next = inner.b.one("Add", [state, inner.b.one("Div", [row, n])]);
      return [next, next];
    },
  });
};

/** A loop whose body mixes the batch. */
const batchLoop: Piece = (d, x) =>
  loop(d, x, {
    body: (inner, state, row) => {
      const next = inner.b.one("Tanh", [inner.b.one("Add", [state, reduce(inner, "ReduceMax", row, [0])])]);
      return [next, next];
    },
  });

/** The same, much later, in a layer or in a loop; or made of what an input without time says. */
const startOfLateLength: Piece = (d, x) => {
  const from = d.r.pick([30, 700, 1100, 6000]);
  differsAt(d, from + 2);
  const late = d.b.one("Cast", [d.b.one("Greater", [lengthAsFloat(d, lengthOf(d, x)), scalar(d, from)])], { to: 1 });
  d.conditioning ??= { name: d.b.name("conditioning"), channels: x.channels };
  const own = d.conditioning.channels === x.channels && d.r.chance(0.5);
  const from1 = own ? unsqueeze(d, d.conditioning.name, [0]) : constantStart(d, x, x.channels);
  const start = d.b.one("Mul", [from1, d.r.chance(0.5) ? late : d.b.one("Add", [late, scalar(d, 0.5)])]);
  const [all] = layer(d, timeFirst(d, x), x.channels, { op: "GRU", hidden: x.channels, start });
  return statesOf(d, all!, x.channels);
};

/** Begins with a row of a table for each row of the batch. */
const startOfRow: Piece = (d, x) => {
  const rows = slice(d, weights(d, [64, x.channels], 4), 0, 0, batchOf(d, x));
  const start = unsqueeze(d, rows, [0]);
  const [all] = layer(d, timeFirst(d, x), x.channels, { op: "GRU", hidden: x.channels, start });
  return statesOf(d, all!, x.channels);
};

export const RECURRENT_TRAPS: Readonly<Record<string, Piece>> = {
  backwards,
  bothWays,
  turnedAround,
  acrossBatch,
  lastEverywhere,
  startOfSequence,
  startOfLength,
  startOfLateLength,
  startOfRow,
  someLengths,
  meanOverAll,
  sumFromTheEnd,
  remainder,
  backwardsScan: (d, x) => loop(d, x, { body: leaky, backwards: true }),
  readsAll,
  turnedLoop,
  readsLength,
  batchLoop,
};
