/** Layers with a state of their own along time: RNN, GRU, LSTM, Scan, running sums. */
import type { AddOptions } from "../../../converter/graph/build.ts";
import { withFields } from "../../../converter/graph/schema.ts";

import { valueInfoToProto } from "../../../converter/graph/valueinfo.ts";
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
  squeeze,
  transpose,
  unsqueeze,
  weights,
} from "../draft.ts";

type Op = "RNN" | "GRU" | "LSTM";

const GATES: Readonly<Record<Op, number>> = { RNN: 1, GRU: 3, LSTM: 4 };

interface Layer {
  readonly op: Op;
  /** Default: constants, or none. float32 [1, batch, hidden] */
  readonly start?: string;
  readonly direction?: "forward" | "reverse" | "bidirectional";
  readonly hidden: number;
}

/** The outputs of a layer on [n, batch, channels]: all hidden states, the last one, and the last cell of an LSTM. */
export function layer(d: Draft, data: string, channels: number, { op, start, direction, hidden }: Layer): string[] {
  const ways = direction === "bidirectional" ? 2 : 1;
  const gates = GATES[op];
  const w = weights(d, [ways, gates * hidden, channels], Math.sqrt(gates * hidden) * 0.5);
  const r = weights(d, [ways, gates * hidden, hidden], Math.sqrt(gates) * 0.3);
  const bias = d.r.chance(0.6) ? weights(d, [ways, 2 * gates * hidden], Math.sqrt(ways) * 0.3) : "";
  const inputs = [data, w, r, bias, "", start ?? ""];
  if (op === "LSTM" && d.r.chance(0.3)) inputs.push("", weights(d, [ways, 3 * hidden], Math.sqrt(ways) * 0.3));
  const attributes = {
    hidden_size: hidden,
    ...(direction && { direction }),
    ...(op === "GRU" && d.r.chance(0.5) && { linear_before_reset: 1 }),
    ...(op === "RNN" && d.r.chance(0.4) && { activations: { strings: new Array<string>(ways).fill("Relu") } }),
  };
  return d.b.add(op, inputs, attributes, { outputs: op === "LSTM" ? 3 : 2 } satisfies AddOptions);
}

export const timeFirst = (d: Draft, x: Stream): string => transpose(d, x.name, [1, 0, 2]);
/** All hidden states [n, 1, batch, hidden] as a stream. */
export const statesOf = (d: Draft, all: string, channels: number): Stream => {
  if (d.r.chance(0.5)) return { name: transpose(d, squeeze(d, all, [1]), [1, 0, 2]), channels };
  return { name: squeeze(d, transpose(d, all, [2, 0, 1, 3]), [2]), channels };
};
export const opOf = (d: Draft): Op => d.r.pick(["RNN", "GRU", "GRU", "LSTM", "LSTM"] as const);

/** A start that is no zeros, for each sequence the same. */
export function constantStart(d: Draft, x: Stream, hidden: number): string {
  const row = weights(d, [1, 1, hidden], 0.5);
  const one = d.b.ints("one", [1]);
  const shape = d.b.one("Concat", [one, batchOf(d, x), d.b.ints("hidden", [hidden])], { axis: 0 });
  return d.b.one("Expand", [row, shape]);
}

/** One or two layers, forward, from zeros or from a constant state. */
const layers: Piece = (d, x) => {
  let y = x;
  for (let count = d.r.int(1, 2); count > 0; count--) {
    const hidden = d.r.pick([x.channels, x.channels, 3]);
    const start = d.r.chance(0.3) ? { start: constantStart(d, x, hidden) } : {};
    y = statesOf(d, layer(d, timeFirst(d, y), y.channels, { op: opOf(d), hidden, ...start })[0]!, hidden);
  }
  return y.channels === x.channels ? y : linear(d, y, x.channels);
};

/** Begins where an input without time says. */
const conditionedStart: Piece = (d, x) => {
  d.conditioning ??= { name: d.b.name("conditioning"), channels: x.channels };
  if (d.conditioning.channels !== x.channels) return layers(d, x);
  const start = unsqueeze(d, d.b.one("Tanh", [d.conditioning.name]), [0]);
  const [all] = layer(d, timeFirst(d, x), x.channels, { op: d.r.pick(["RNN", "GRU"]), hidden: x.channels, start });
  return statesOf(d, all!, x.channels);
};

/** Both ways along the channels, which is nothing to time; a running sum behind it, so that something is carried. */
const acrossChannels: Piece = (d, x) => {
  // [channels, batch · n, 1]
  const flat = reshape(d, x.name, [-1, x.channels, 1]);
  const [all] = layer(d, transpose(d, flat, [1, 0, 2]), 1, { op: "GRU", hidden: 1, direction: "bidirectional" });
  const both = d.b.one("ReduceSum", [all!, d.b.ints("axes", [1])], { keepdims: 0 });
  return sums(d, same(x, reshape(d, transpose(d, both, [1, 0, 2]), [batchOf(d, x), lengthOf(d, x), x.channels])));
};

interface Loop {
  /** Nodes of the body: of the state and this position's row [batch, channels], the new state and what comes out. */
  readonly body: (d: Draft, state: string, row: string) => readonly [string, string];
  readonly backwards?: true;
}

/** A Scan along time, [batch, n, channels] by axes or with time first. */
export function loop(d: Draft, x: Stream, { body, backwards }: Loop): Stream {
  const shape = d.b.one("Concat", [batchOf(d, x), d.b.ints("channels", [x.channels])], { axis: 0 });
  const start = d.b.one("Expand", [scalar(d, 0), shape]);
  const inner = d.b.subgraph();
  const [state, row, next, out] = ["state", "row", "next", "out"].map((hint) => d.b.name(hint)) as [
    string,
    string,
    string,
    string,
  ];
  const [after, made] = body({ ...d, b: inner }, state, row);
  inner.add("Identity", [after], {}, { outputs: [next] });
  inner.add("Identity", [made], {}, { outputs: [out] });
  const info = (name: string) => ({ name, type: 1, dims: ["batch", x.channels] });
  const graph = withFields(inner.finish("body", [info(next), info(out)]), {
    input: [info(state), info(row)].map(valueInfoToProto),
  });
  const front = d.r.chance(0.5);
  const [, all] = d.b.add(
    "Scan",
    [start, front ? timeFirst(d, x) : x.name],
    {
      body: { graph },
      num_scan_inputs: 1,
      ...(!front && { scan_input_axes: [1], scan_output_axes: [1] }),
      ...(backwards && { scan_input_directions: [1], scan_output_directions: [1] }),
    },
    { outputs: 2 },
  );
  return same(x, front ? transpose(d, all!, [1, 0, 2]) : all!);
}

/** state ← a state + (1 - a) row, a learned or of the row. */
export const leaky: Loop["body"] = ({ b, r, ...d }, state, row) => {
  const gate = b.one("Sigmoid", [r.chance(0.5) ? row : scalar({ b, r, ...d }, 1)]);
  const kept = b.one("Mul", [gate, state]);
  const fresh = b.one("Mul", [b.one("Sub", [scalar({ b, r, ...d }, 1), gate]), row]);
  const next = b.one("Add", [kept, fresh]);
  return [next, r.chance(0.5) ? next : b.one("Tanh", [next])];
};
const largest: Loop["body"] = ({ b }, state, row) => {
  const next = b.one("Max", [state, row]);
  return [next, b.one("Sub", [row, next])];
};

export const sum = (d: Draft, name: string, attributes = {}) =>
  d.b.one("CumSum", [name, d.b.ints("axis", d.r.pick([1, -2]))], attributes);
export const small = (d: Draft, name: string) => d.b.one("Mul", [name, scalar(d, 0.1)]);

const sums: Piece = (d, x) => {
  const y = d.b.one(d.r.pick(["Tanh", "Sigmoid", "Relu"]), [x.name]);
  return same(x, small(d, sum(d, y, d.r.chance(0.4) ? { exclusive: 1 } : {})));
};

const counts = (d: Draft, x: Stream) => unsqueeze(d, d.b.one("Add", [positions(d, lengthOf(d, x)), scalar(d, 1)]), [1]);

/** Mean and deviation of what was read so far: the cumulative norm of speech networks. */
const cumulativeNorm: Piece = (d, x) => {
  // a count is a table in an export of a fixed length
  if (d.length !== undefined) return sums(d, x);
  const mean = (name: string) => {
    const perPosition = reduce(d, "ReduceMean", name, [2]);
    return d.b.one("Div", [sum(d, perPosition), counts(d, x)]);
  };
  const [first, second] = [mean(x.name), mean(d.b.one("Mul", [x.name, x.name]))];
  const variance = d.b.one("Sub", [second, d.b.one("Mul", [first, first])]);
  const deviation = d.b.one("Sqrt", [d.b.one("Add", [d.b.one("Relu", [variance]), scalar(d, 0.1)])]);
  return same(x, d.b.one("Div", [d.b.one("Sub", [x.name, first]), deviation]));
};

/** A running mean, weighed by the data: linear attention of one key. */
const weighedMean: Piece = (d, x) => {
  const weight = d.b.one("Sigmoid", [linear(d, x, x.channels).name]);
  const weighed = sum(d, d.b.one("Mul", [weight, x.name]));
  return same(x, d.b.one("Div", [weighed, d.b.one("Add", [sum(d, weight), scalar(d, 0.1)])]));
};

/** All of these are carried. */
export const RECURRENT: Readonly<Record<string, Piece>> = {
  layers,
  conditionedStart,
  acrossChannels,
  leakyScan: (d, x) => loop(d, x, { body: leaky }),
  maxScan: (d, x) => loop(d, x, { body: largest }),
  sums,
  cumulativeNorm,
  weighedMean,
};
