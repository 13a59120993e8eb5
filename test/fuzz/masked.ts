/** Language models as Hugging Face's are exported: ids, a mask of padding in front, perhaps positions; attention and what works position by position. */
import { makeModel } from "../../converter/graph/build.ts";
import { ATTENTION_MASK, INPUT_IDS, LOGITS, POSITION_IDS } from "../../src/contract.ts";
import { type Draft, linear, newDraft, type Stream, scalar, unsqueeze, weights } from "./draft.ts";
import { type FuzzGraph, needed, VOCABULARY } from "./generate.ts";
import { lagMatrix } from "./kernels.ts";
import { pointwise } from "./pointwise.ts";
import { random } from "./random.ts";
import { type Allowed, type Attention, and, attend, causal, rotary, slopes, window } from "./states/attention.ts";
import { LONGEST } from "./trials.ts";

const FLOAT = 1;
const INT64 = 7;
/** Rows of the table of positions. */
const ROWS = 1400;

/** No infinity: a row of padding alone would give no numbers. */
const LOW = [-1e9, -3.4028234663852886e38];

/** Whether a key is a token: bool [batch, 1, 1, n]. */
const tokens = (d: Draft): string => d.b.one("Cast", [unsqueeze(d, ATTENTION_MASK, [1, 2])], { to: 9 });
const hiding =
  (allowed: Allowed): Allowed =>
  (d, n, heads) =>
    and(d, allowed(d, n, heads), tokens(d));

const KINDS: Readonly<Record<string, Attention>> = {
  masked: { allowed: hiding(causal) },
  maskedWindow: { allowed: hiding(window) },
  maskedRotary: { allowed: hiding(causal), turned: rotary },
  maskedSlopes: { allowed: hiding(causal), bias: slopes },
};

const asFloat = (d: Draft, name: string) => d.b.one("Cast", [name], { to: FLOAT });
const counted = (d: Draft) =>
  d.b.one("ReduceSum", [asFloat(d, ATTENTION_MASK), d.b.ints("axes", [1])], { keepdims: 1 });

const MISTAKES: Readonly<Record<string, Attention>> = {
  /** Padding is hidden, the future is not. */
  paddingAlone: { allowed: (d) => tokens(d) },
  oneAhead: { allowed: hiding((d, n) => d.b.one("GreaterOrEqual", [lagMatrix(d, n), scalar(d, -1)])) },
  /** Scores by how many tokens there are in all. */
  byCount: {
    allowed: hiding(causal),
    scores: (d, scores) => d.b.one("Div", [scores, d.b.one("Sqrt", [unsqueeze(d, counted(d), [2, 3])])]),
  },
  /** A key is hidden where the next one is padding. */
  nextIsToken: {
    allowed: (d, n, heads) => {
      const next = d.b.one("Pad", [ATTENTION_MASK, d.b.ints("pads", [0, -1, 0, 1])], { mode: "constant" });
      return and(d, causal(d, n, heads), d.b.one("Cast", [unsqueeze(d, next, [1, 2])], { to: 9 }));
    },
  },
};

/** Ids, and what is known of their places: a table by the positions that are given, or by counting tokens. */
function embedded(d: Draft, channels: number, hasPositions: boolean): Stream {
  const table = weights(d, [VOCABULARY, channels], Math.sqrt(VOCABULARY));
  const x = { name: d.b.one("Gather", [table, INPUT_IDS], { axis: 0 }), channels };
  if (!hasPositions) return x;
  const rows = d.b.one("Gather", [weights(d, [ROWS, channels], Math.sqrt(ROWS) / 2), POSITION_IDS], { axis: 0 });
  d.pieces.push("positions given");
  return { name: d.b.one("Add", [x.name, rows]), channels };
}

/** The graph of a seed. */
export function masked(seed: number): FuzzGraph {
  const r = random(seed);
  const opset = r.pick([17, 18, 19, 20, 21]);
  const channels = r.pick([2, 4, 6]);
  const d = newDraft(r, opset, channels, { length: undefined, batch: undefined });
  const hasPositions = r.chance(0.5);
  let x = embedded(d, channels, hasPositions);
  const trapped = r.chance(0.35);
  const layers = r.int(1, 2);
  const trapAt = trapped ? r.int(0, layers - 1) : -1;
  for (let layer = 0; layer < layers; layer++) {
    if (r.chance(0.5)) x = alone(d, x);
    const table = layer === trapAt ? MISTAKES : KINDS;
    const name = r.pick(Object.keys(table));
    d.pieces.push(name);
    x = { ...x, name: d.b.one("Add", [x.name, attend(d, x, { low: r.pick(LOW), ...table[name]! }).name]) };
    if (r.chance(0.5)) x = alone(d, x);
  }
  d.b.add("Identity", [linear(d, x, VOCABULARY).name], {}, { outputs: [LOGITS] });
  const ids = [INPUT_IDS, ATTENTION_MASK, ...(hasPositions ? [POSITION_IDS] : [])];
  const outputs = [{ name: LOGITS, type: FLOAT, dims: ["batch", "n", VOCABULARY] }];
  const model = makeModel({
    inputs: ids.map((name) => ({ name, type: INT64, dims: ["batch", "n"] })),
    outputs,
    nodes: needed(d, outputs),
    initializers: d.b.initializers,
    opsets: opset,
  });
  return {
    ...{ seed, kind: trapped ? "trap" : "causal", model, reference: model, renamed: new Map(), pieces: d.pieces },
    ...{ axes: {}, vocabulary: VOCABULARY, length: undefined, batch: undefined, differs: d.differs, ends: undefined },
    ...{ masked: true, longest: LONGEST.square },
  };
}

/** Something that works position by position, and leaves the channels as they are. */
function alone(d: Draft, x: Stream): Stream {
  // no other input
  d.conditioning = { name: "", channels: 0 };
  const y = pointwise(d, x);
  return y.channels === x.channels ? y : linear(d, y, x.channels);
}
