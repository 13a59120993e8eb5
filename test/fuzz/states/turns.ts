/** Loops over the rows of a sequence as people write them, and running products; with their mistakes. */
import { withFields } from "../../../converter/graph/schema.ts";
import { valueInfoToProto } from "../../../converter/graph/valueinfo.ts";
import {
  asScalar,
  batchOf,
  type Draft,
  lengthOf,
  type Piece,
  positions,
  reduce,
  type Stream,
  same,
  scalar,
  slice,
  transpose,
  unsqueeze,
  weights,
} from "../draft.ts";
import { leaky, loop, opOf, statesOf, sum, timeFirst } from "./recurrent.ts";

const FLOAT = 1;
const INT64 = 7;
const BOOL = 9;

interface Turning {
  /** Of the state and this turn's row [batch, channels], the new state and what comes out. */
  readonly body: (d: Draft, state: string, row: string, turn: string) => readonly [string, string];
  /** Which row a turn reads, as an int64 scalar; default its own. */
  readonly at?: (d: Draft, turn: string) => string;
  /** How often it turns, as an int64 scalar; default once for each position. */
  readonly often?: string;
  /** The state before the first turn; default zeros. */
  readonly start?: string;
}

type Collecting = "given" | "joined" | "sequence";

/** A Loop along time. Rows are given by each turn, joined onto what is there, or appended to a list. */
function turning(d: Draft, x: Stream, { body, at, often, start }: Turning): Stream {
  const zeros = (sizes: string) => d.b.one("Expand", [scalar(d, 0), sizes]);
  const channels = d.b.ints("channels", [x.channels]);
  const begins = start ?? zeros(d.b.one("Concat", [batchOf(d, x), channels], { axis: 0 }));
  const collecting = d.r.pick<Collecting>(["given", "joined", "sequence"]);
  const front = d.r.chance(0.5);
  const rows = front ? timeFirst(d, x) : x.name;
  const inner = d.b.subgraph();
  const name = (hint: string) => d.b.name(hint);
  const [turn, goesOn, state, before] = ["turn", "goes_on", "state", "rows"].map(name) as [
    string,
    string,
    string,
    string,
  ];
  const [still, next, out] = ["still", "next", "out"].map(name) as [string, string, string];
  const within = { ...d, b: inner };
  const row = inner.one("Gather", [rows, at?.(within, turn) ?? turn], { axis: front ? 0 : 1 });
  const [after, made] = body(within, state, row, turn);
  inner.add("Identity", [goesOn], {}, { outputs: [still] });
  inner.add("Identity", [after], {}, { outputs: [next] });
  if (collecting === "given") inner.add("Identity", [made], {}, { outputs: [out] });
  else if (collecting === "joined")
    inner.add(
      "Concat",
      [before, inner.one("Unsqueeze", [made, inner.ints("one", [1])])],
      { axis: 1 },
      { outputs: [out] },
    );
  else inner.add("SequenceInsert", [before, made], {}, { outputs: [out] });
  const carries = collecting === "given" ? [] : [before];
  const row2 = ["batch", x.channels];
  const kinds = { given: row2, joined: ["batch", "rows", x.channels], sequence: undefined }[collecting];
  const given = [
    { name: still, type: BOOL, dims: [] },
    { name: next, type: FLOAT, dims: row2 },
    { name: out, type: kinds ? FLOAT : 0, dims: kinds },
  ];
  const graph = withFields(inner.finish("body", given), {
    input: [
      valueInfoToProto({ name: turn, type: INT64, dims: [] }),
      valueInfoToProto({ name: goesOn, type: BOOL, dims: [] }),
      valueInfoToProto({ name: state, type: FLOAT, dims: ["batch", x.channels] }),
      ...carries.map((each) =>
        collecting === "sequence"
          ? { name: each }
          : valueInfoToProto({ name: each, type: FLOAT, dims: ["batch", "rows", x.channels] }),
      ),
    ],
  });
  const none = {
    given: () => [],
    joined: () => [zeros(d.b.one("Concat", [batchOf(d, x), d.b.ints("none", [0]), channels], { axis: 0 }))],
    sequence: () => [d.b.one("SequenceEmpty", [], { dtype: FLOAT })],
  }[collecting]();
  const limit = often ?? asScalar(d, lengthOf(d, x));
  const always = d.b.constant("always", { type: BOOL, dims: [], data: new Uint8Array([1]) });
  const [, all] = d.b.add("Loop", [limit, always, begins, ...none], { body: { graph } }, { outputs: 2 });
  if (collecting === "given") return same(x, transpose(d, all!, [1, 0, 2]));
  if (collecting === "joined") return same(x, all!);
  return same(x, d.b.one("ConcatFromSequence", [all!], { axis: 1, new_axis: 1 }));
}

/** A cell written out: h' = tanh(W x + R h), or gated. */
const cell =
  (gated: boolean, w: string, r: string): Turning["body"] =>
  ({ b }, state, row) => {
    const next = b.one("Tanh", [b.one("Add", [b.one("MatMul", [row, w]), b.one("MatMul", [state, r])])]);
    if (!gated) return [next, next];
    const gate = b.one("Sigmoid", [b.one("MatMul", [row, r])]);
    const kept = b.one("Add", [b.one("Mul", [gate, state]), b.one("Sub", [next, b.one("Mul", [gate, next])])]);
    return [kept, next];
  };
const cellOf = (d: Draft, { channels }: Stream) =>
  cell(d.r.chance(0.5), weights(d, [channels, channels]), weights(d, [channels, channels], 0.5));

/** In an export of one length a loop turns a number of times: there a Scan. */
const along = (d: Draft, x: Stream, body: Turning["body"]): Stream =>
  d.length === undefined
    ? turning(d, x, { body })
    : loop(d, x, { body: (within, state, row) => body(within, state, row, "") });

const loopedCell: Piece = (d, x) => along(d, x, cellOf(d, x));
const loopedLeak: Piece = (d, x) => along(d, x, leaky);

/** Factors about one, so that no product ends in nothing, or without bound, within 20,000 positions. */
const factors = (d: Draft, x: Stream): string => {
  const bent = d.b.one("Tanh", [x.name]);
  return d.b.one("Add", [d.b.one("Mul", [bent, scalar(d, 0.004)]), scalar(d, 1)]);
};
const one: (d: Draft, x: Stream) => string = (d, x) =>
  d.b.one("Expand", [
    scalar(d, 1),
    d.b.one("Concat", [batchOf(d, x), d.b.ints("channels", [x.channels])], { axis: 0 }),
  ]);

/** By the operator, in a loop, or as the exponential of a sum of logarithms. */
const products: Piece = (d, x) => {
  const y = factors(d, x);
  const way = d.r.int(0, 2);
  if (way === 0 && d.b.opset >= 26)
    return same(x, d.b.one("CumProd", [y, d.b.ints("axis", d.r.pick([1, -2]))], { exclusive: d.r.int(0, 1) }));
  if (way === 1 || d.length !== undefined) return same(x, d.b.one("Exp", [sum(d, d.b.one("Log", [y]))]));
  const body: Turning["body"] = ({ b }, state, row) => {
    const next = b.one("Mul", [state, row]);
    return [next, next];
  };
  return turning(d, same(x, y), { body, start: one(d, x) });
};

/** Every sequence is as long as there are positions: a number of the length as `sequence_lens`. */
const wholeLengths: Piece = (d, x) => gruOfLengths(d, x, lengthOf(d, x));

function gruOfLengths(d: Draft, x: Stream, length: string): Stream {
  const lens = d.b.one("Expand", [d.b.one("Cast", [length], { to: 6 }), batchOf(d, x)]);
  const [w, r] = [0, 1].map(() => weights(d, [1, 3 * x.channels, x.channels], Math.sqrt(3 * x.channels) * 0.4)) as [
    string,
    string,
  ];
  return statesOf(d, d.b.one("GRU", [timeFirst(d, x), w, r, "", lens], { hidden_size: x.channels }), x.channels);
}

export const TURNS: Readonly<Record<string, Piece>> = { loopedCell, loopedLeak, products, wholeLengths };

const last = (d: Draft, x: Stream): string => d.b.one("Sub", [asScalar(d, lengthOf(d, x)), d.b.ints("one", 1)]);
const nextRow: Piece = (d, x) => {
  const end = last(d, x);
  return turning(d, x, {
    body: leaky,
    at: ({ b }, turn) => b.one("Min", [b.one("Add", [turn, b.ints("one", 1)]), end]),
  });
};
const fromTheLastRow: Piece = (d, x) => {
  const end = last(d, x);
  return turning(d, x, { body: leaky, at: ({ b }, turn) => b.one("Sub", [end, turn]) });
};
const beginsWithLast: Piece = (d, x) =>
  turning(d, x, { body: cellOf(d, x), start: d.b.one("Gather", [x.name, d.b.ints("last", -1)], { axis: 1 }) });
const lastTurnDiffers: Piece = (d, x) => {
  const end = last(d, x);
  const body: Turning["body"] = ({ b }, state, row, turn) => {
    const next = b.one("Tanh", [b.one("Add", [state, row])]);
    return [next, b.one("Where", [b.one("Equal", [turn, end]), row, next])];
  };
  return turning(d, x, { body });
};
/** A turn too few, and a row of zeros behind, or the last row again. */
const oneTurnLess: Piece = (d, x) => {
  const y = turning(d, x, { body: leaky, often: last(d, x) });
  const behind = d.r.chance(0.5)
    ? d.b.one("Mul", [slice(d, x.name, 1, 0, 1), scalar(d, 0)])
    : slice(d, x.name, 1, -1, 2 ** 40);
  return same(x, d.b.one("Concat", [y.name, behind], { axis: 1 }));
};
const meanInside: Piece = (d, x) => {
  const mean = reduce(d, "ReduceMean", x.name, [1], 0);
  const body: Turning["body"] = ({ b }, state, row) => {
    const next = b.one("Tanh", [b.one("Add", [state, b.one("Sub", [row, mean])])]);
    return [next, next];
  };
  return turning(d, x, { body });
};
/** The number of the turn against the length. */
const byShare: Piece = (d, x) => {
  const n = d.b.one("Cast", [asScalar(d, lengthOf(d, x))], { to: FLOAT });
  const body: Turning["body"] = ({ b }, state, row, turn) => {
    const share = b.one("Div", [b.one("Cast", [turn], { to: FLOAT }), n]);
    const next = b.one("Add", [b.one("Mul", [state, share]), row]);
    return [next, next];
  };
  return turning(d, x, { body });
};
/** The product of all over the product so far. */
const productsToCome: Piece = (d, x) => {
  const y = d.b.one("Log", [factors(d, x)]);
  return same(x, d.b.one("Exp", [d.b.one("Sub", [d.b.one("ReduceSum", [y, d.b.ints("axes", [1])]), sum(d, y)])]));
};
const productBackwards: Piece = (d, x) =>
  loop(d, same(x, factors(d, x)), {
    body: ({ b }, state, row) => {
      const next = b.one("Add", [b.one("Mul", [state, row]), row]);
      return [next, next];
    },
    backwards: true,
  });
const oneLengthLess: Piece = (d, x) => gruOfLengths(d, x, d.b.one("Sub", [lengthOf(d, x), d.b.ints("one", [1])]));
/** Later positions by how many there are. */
const agedGates: Piece = (d, x) => {
  const k = positions(d, lengthOf(d, x));
  const age = d.b.one("Sub", [reduce(d, "ReduceMax", k, [0]), k]);
  const gate = unsqueeze(d, d.b.one("Exp", [d.b.one("Mul", [age, scalar(d, -0.05)])]), [1]);
  const gated = same(x, d.b.one("Mul", [x.name, gate]));
  return opOf(d) === "RNN" ? loop(d, gated, { body: leaky }) : turning(d, gated, { body: leaky });
};

export const TURN_TRAPS: Readonly<Record<string, Piece>> = {
  nextRow,
  fromTheLastRow,
  beginsWithLast,
  lastTurnDiffers,
  oneTurnLess,
  meanInside,
  byShare,
  productsToCome,
  productBackwards,
  oneLengthLess,
  agedGates,
};
