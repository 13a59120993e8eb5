/** Random graphs: a chain of pieces between an input and one or two outputs. */

import { makeModel } from "../../converter/graph/build.ts";
import type { Model, ValueInfo } from "../../converter/graph/graph.ts";
import { LONGCONV_DOMAIN } from "../../converter/graph/longconv.ts";
import { readsOf } from "../../converter/graph/reads.ts";
import { float32Tensor } from "../../converter/graph/tensor.ts";
import type { TimeAxes } from "../converted.ts";
import { CAUSAL, POSITIONAL } from "./convolutions.ts";
import { type Draft, END, linear, newDraft, type Piece, type Size, type Stream, slice, transpose } from "./draft.ts";
import { otherNames } from "./names.ts";
import { OVERCLAIM_KINDS, OVERCLAIMS } from "./overclaims/index.ts";
import { pointwise } from "./pointwise.ts";
import { PUBLISHED, PUBLISHED_POSITIONS, PUBLISHED_TRAPS } from "./published.ts";
import { type Random, random } from "./random.ts";
import { SPELLINGS, SPELT_POSITIONS } from "./spellings.ts";
import { ANSWER_TRAPS, ANSWERS, type Answer } from "./states/answers.ts";
import { CARRIED, MISTAKES } from "./states/index.ts";
import { TRAPS } from "./traps.ts";
import { LONGEST } from "./trials.ts";

const FLOAT = 1;
const INT64 = 7;
export const VOCABULARY = 11;

/** A graph to be converted, and what is known of it by its making. */
export interface FuzzGraph {
  readonly seed: number;
  /** `overclaim`: a trap that shows at some sizes only; `named`: causal, under names that a converted model uses itself. */
  readonly kind: "causal" | "trap" | "overclaim" | "rewritten" | "named";
  readonly model: Model;
  /** What gives the outputs that must be met; the model itself unless it was rewritten. */
  readonly reference: Model;
  /** Names of the reference's inputs and outputs by those of the model, where they differ. */
  readonly renamed: ReadonlyMap<string, string>;
  /** What it is made of. */
  readonly pieces: readonly string[];
  /** It takes a mask of padding: outputs mean nothing where it is 0. */
  readonly masked?: true;
  /** The form in which the model has its inputs and outputs, where that is another than the reference's. */
  readonly worn?: { readonly timeFirst: ReadonlySet<string>; readonly int32: ReadonlySet<string> };
  /** Time axes of inputs and outputs that are not 1. */
  readonly axes: TimeAxes;
  /** Inputs of token ids are below this. */
  readonly vocabulary: number;
  /** Sizes of an export with fixed shapes. */
  readonly length: number | undefined;
  readonly batch: number | undefined;
  /** Sizes at which it is no longer what it is at small ones. */
  readonly differs: readonly Size[];
  /** Positions up to which anything can be known of it, where it ends. */
  readonly ends: number | undefined;
  /** Positions up to which it can be compared at reasonable cost. */
  readonly longest: number;
}

/** Causal pieces whose cost grows with the length alone, and whose memory is a few positions. */
const CHEAP = ["byConv", "shift", "tokenShift", "multires"];

/**
 * The random graph of a seed: causal and convertible, or with a trap in it.
 * @param asked name of an overclaim that must be in it
 */
export function generate(seed: number, asked?: string): FuzzGraph {
  const r = random(seed);
  const isAsked = asked !== undefined;
  const trapped = isAsked ? !isCarried(asked) : r.chance(0.45);
  const drawn = r.chance(0.5) ? r.pick(OVERCLAIM_KINDS.get(r.int(1, OVERCLAIM_KINDS.size))!) : undefined;
  const name = asked ?? (trapped ? drawn : undefined);
  const overclaim = name === undefined ? undefined : OVERCLAIMS[name];
  const fixedLength = overclaim ? overclaim.fixed === true : r.chance(0.2);
  const length = fixedLength ? r.pick([8, 16, 32]) : undefined;
  const batch = fixedLength && r.chance(0.7) ? r.int(1, 3) : undefined;
  // channels that could be taken for time or batch, too
  const any = length !== undefined && r.chance(0.3) ? length : r.pick([1, 2, 3, 4, 6, 8, 12]);
  const channels = overclaim && !overclaim.fixed ? r.int(1, 3) : any;
  const opset = r.pick([17, 18, 18, 19, 20, 21, 23, 26]);
  const d = newDraft(r, opset, channels, { length, batch });
  const axes: Record<string, number> = {};
  const { input, stream } = inputOf(d, r, channels, axes);
  d.source = stream;
  const blocks = r.int(1, overclaim ? 2 : 3);
  const askedAt = isAsked ? r.int(0, blocks - 1) : -1;
  // a mistake may be in what is made of the whole sequence at the end
  const wrongAnswer = trapped && !isAsked && !overclaim && length === undefined && r.chance(0.1);
  const trapAt = isAsked ? askedAt : trapped && !wrongAnswer ? r.int(0, blocks - 1) : -1;
  const streams: Stream[] = [];
  let x = stream;
  for (let block = 0; block < blocks; block++) {
    for (let i = r.int(0, 2); i > 0; i--) x = pointwise(d, x);
    // a trap alone, or beside a convolution
    if (block !== trapAt || r.chance(0.5))
      x = residual(d, x, overclaim ? cheapPiece(d) : causalPiece(d, block === 0 || length !== undefined));
    if (block === trapAt) x = residual(d, x, isAsked || overclaim ? oneNamed(d, name!) : mistake(d));
    for (let i = r.int(0, 2); i > 0; i--) x = pointwise(d, x);
    streams.push(x);
  }
  const last = r.chance(0.5) ? linear(d, x, r.int(1, 6)) : x;
  const isAnswer = wrongAnswer || (length === undefined && !overclaim && r.chance(0.1));
  const outputs = [
    isAnswer ? answerOf(d, last, wrongAnswer ? ANSWER_TRAPS : ANSWERS, axes) : outputOf(d, r, last, "y", axes),
  ];
  if (streams.length > 1 && r.chance(0.2)) outputs.push(outputOf(d, r, streams[0]!, "features", axes));
  const inputs = [input];
  if (d.conditioning) {
    const { name, channels: size } = d.conditioning;
    inputs.push({ name, type: FLOAT, dims: [batch ?? "batch", size] });
    axes[name] = -1;
  }
  const opsets = new Map([
    ["", opset],
    ...(d.b.nodes.some((node) => node.domain) ? ([[LONGCONV_DOMAIN, 1]] as const) : []),
  ]);
  const model = makeModel({ inputs, outputs, nodes: needed(d, outputs), initializers: d.b.initializers, opsets });
  const kind = overclaim ? "overclaim" : trapped ? "trap" : "causal";
  const longest = d.square ? LONGEST.square : LONGEST.linear;
  const { pieces, differs, ends } = d;
  const known = {
    seed,
    kind,
    reference: model,
    pieces,
    vocabulary: VOCABULARY,
    length,
    batch,
    differs,
    ends,
    longest,
  } as const;
  if (!r.chance(0.12) || asked !== undefined) return { ...known, model, axes, renamed: new Map() };
  return { ...known, ...otherNames(model, axes, r, pieces), kind: kind === "causal" ? "named" : kind };
}

/** Token ids and a table, a signal [batch, n, channels], or one [batch, channels, n]. */
function inputOf(
  d: Draft,
  r: Random,
  channels: number,
  axes: Record<string, number>,
): { input: ValueInfo; stream: Stream } {
  const [batch, n] = [d.batch ?? "batch", d.length ?? "n"];
  const way = r.next();
  if (way < 0.4) {
    const table = d.b.constant(
      "embedding",
      float32Tensor(
        [VOCABULARY, channels],
        Float32Array.from({ length: VOCABULARY * channels }, () => r.normal()),
      ),
    );
    // pairs of neighbouring ids, hashed
    const otherIds = d.length === undefined && r.chance(0.12) ? r.pick([bigrams, idsBefore])(d) : "x";
    const name = d.b.one("Gather", [table, otherIds], { axis: 0 });
    return { input: { name: "x", type: INT64, dims: [batch, n] }, stream: { name, channels } };
  }
  if (way < 0.85)
    return { input: { name: "x", type: FLOAT, dims: [batch, n, channels] }, stream: { name: "x", channels } };
  axes.x = 2;
  return {
    input: { name: "x", type: FLOAT, dims: [batch, channels, n] },
    stream: { name: transpose(d, "x", [0, 2, 1]), channels },
  };
}

/** The id of some position before, 0 in front. */
function idsBefore(d: Draft): string {
  d.pieces.push("ids before");
  const by = d.r.int(1, 2);
  return d.b.one("Pad", ["x", d.b.ints("pads", [0, by, 0, -by])], { mode: "constant" });
}

/** (3 · id before + id) mod the vocabulary. */
function bigrams(d: Draft): string {
  d.pieces.push("bigrams");
  const before = d.b.one("Pad", ["x", d.b.ints("pads", [0, 1, 0, -1])], { mode: "constant" });
  const sum = d.b.one("Add", ["x", d.b.one("Mul", [before, d.b.ints("three", 3)])]);
  return d.b.one("Mod", [sum, d.b.ints("vocabulary", VOCABULARY)]);
}

function outputOf(d: Draft, r: Random, x: Stream, name: string, axes: Record<string, number>): ValueInfo {
  const [batch, n] = [d.batch ?? "batch", d.length ?? "n"];
  if (d.length === undefined && r.chance(0.06)) {
    // the last position alone, as exports of language models for generation have it
    axes[name] = -1;
    d.pieces.push("last position");
    const way = r.chance(0.5);
    if (way) d.b.add("Gather", [x.name, d.b.ints("last", -1)], { axis: 1 }, { outputs: [name] });
    else d.b.add("Identity", [slice(d, x.name, 1, -1, END)], {}, { outputs: [name] });
    return { name, type: FLOAT, dims: way ? [batch, x.channels] : [batch, 1, x.channels] };
  }
  if (r.chance(0.2)) {
    axes[name] = 2;
    d.b.add("Transpose", [x.name], { perm: [0, 2, 1] }, { outputs: [name] });
    return { name, type: FLOAT, dims: [batch, x.channels, n] };
  }
  d.b.add("Identity", [x.name], {}, { outputs: [name] });
  return { name, type: FLOAT, dims: [batch, n, x.channels] };
}

const CONVOLVED = { ...CAUSAL, ...SPELLINGS, ...PUBLISHED };
const BY_POSITION = { ...POSITIONAL, ...SPELT_POSITIONS, ...PUBLISHED_POSITIONS };
const WRONG = { ...TRAPS, ...PUBLISHED_TRAPS };

/** What is made of a whole sequence: `y`, [batch, channels]. */
function answerOf(
  d: Draft,
  x: Stream,
  answers: Readonly<Record<string, Answer>>,
  axes: Record<string, number>,
): ValueInfo {
  const name = d.r.pick(Object.keys(answers));
  d.pieces.push(`answer ${name}`);
  axes.y = -1;
  d.b.add("Identity", [answers[name]!(d, x)], {}, { outputs: ["y"] });
  return { name: "y", type: FLOAT, dims: [d.batch ?? "batch", x.channels] };
}

/** Without positions in a fixed export, and in the first block: positions alone are no convolution. */
function causalPiece(d: Draft, plain: boolean): Piece {
  if (!plain && d.r.chance(0.1)) return oneOf(d, BY_POSITION);
  // functions of two positions are tables in a fixed export, which no rule continues; its loops turn a number of times
  const kinds = Object.keys(CARRIED).filter((kind) => d.length === undefined || !["attention", "turns"].includes(kind));
  return oneOf(d, d.r.chance(0.5) ? CARRIED[d.r.pick(kinds)]! : CONVOLVED);
}

/** A piece that does not run position by position. */
const mistake = (d: Draft): Piece => oneOf(d, d.r.chance(0.6) ? MISTAKES[d.r.pick(Object.keys(MISTAKES))]! : WRONG);

/** Beside an overclaim: its claim must end where the overclaim does, and nowhere else. */
const cheapPiece = (d: Draft): Piece => named(d, d.r.pick(CHEAP), CAUSAL);

const oneOf = (d: Draft, pieces: Readonly<Record<string, Piece>>): Piece =>
  named(d, d.r.pick(Object.keys(pieces)), pieces);

const GROUPS: readonly Readonly<Record<string, Piece>>[] = [
  ...Object.values(CARRIED),
  ...Object.values(MISTAKES),
  CONVOLVED,
  BY_POSITION,
  WRONG,
];
/** Every piece that may be asked for. */
const ASKED: ReadonlyMap<string, Piece> = new Map([
  ...GROUPS.flatMap((pieces) => Object.entries(pieces)),
  ...Object.entries(OVERCLAIMS).map(([name, { piece }]) => [name, piece] as const),
]);
export const PIECES: readonly string[] = [...ASKED.keys()];
const isCarried = (name: string) =>
  [...Object.values(CARRIED), CONVOLVED, BY_POSITION].some((pieces) => Object.hasOwn(pieces, name));

const oneNamed = (d: Draft, name: string): Piece => named(d, name, { [name]: ASKED.get(name)! });

const named =
  (d: Draft, name: string, pieces: Readonly<Record<string, Piece>>): Piece =>
  (draft, x) => {
    d.pieces.push(name);
    return pieces[name]!(draft, x);
  };

const residual = (d: Draft, x: Stream, piece: Piece): Stream => {
  const y = piece(d, x);
  return d.r.chance(0.4) && y.channels === x.channels
    ? { name: d.b.one("Add", [x.name, y.name]), channels: x.channels }
    : y;
};

/** Nodes that an output needs: exporters leave no others. */
export function needed(d: Draft, outputs: readonly ValueInfo[]): Draft["b"]["nodes"] {
  const wanted = new Set(outputs.map(({ name }) => name));
  const kept = [];
  for (const node of [...d.b.nodes].reverse()) {
    if (!node.outputs.some((name) => wanted.has(name))) continue;
    kept.unshift(node);
    for (const name of readsOf(node)) wanted.add(name);
  }
  return kept;
}
