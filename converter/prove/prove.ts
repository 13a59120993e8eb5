/**
 * Proves what probes only show: that a region is one convolution at every length. The nodes between its ends, and those that
 * make its kernel, are followed symbolically; where a comparison of sizes depends on the length, both cases are proven.
 */
import { LongConvError } from "../../src/errors.ts";
import type { Node } from "../graph/graph.ts";
import { toNumbers } from "../graph/tensor.ts";
import { dim, TIME } from "../time/facts/dim.ts";
import { axisOf as axisWith, type Layout, timeAxis } from "../time/facts/fact.ts";
import {
  atLeast,
  type Case,
  EVERY_LENGTH,
  firstOf,
  Inexact,
  isEmpty,
  isSame,
  LONGEST,
  NotRun,
  numberIn,
  Split,
  Unproven,
} from "./values/cases.ts";
import { keyUpTo } from "./values/cutting.ts";
import { delayed } from "./values/sequence.ts";
import { keyOfName, lineAt, positionOf, type Sequence, streamOf, tensor, type Value } from "./values/value.ts";
import { at, axesOf, type Known, nodesTo, Stopped, walk } from "./walk.ts";

export type { Known } from "./walk.ts";

export type Proof =
  | {
      readonly proven: true;
      /** Lags from which on the kernel is 0 by rule, of a function of the position: no more is read; undefined: not known. */
      readonly reach: number | undefined;
      /** Positions that the graph can be run at, and why no more; undefined: any number. */
      readonly ends: { readonly positions: number; readonly because: string } | undefined;
      /** Which function it is, and the tensors that hold it, row by row, where these are the kernel alone. */
      readonly kernel: { readonly key: string; readonly tensors: ReadonlySet<string> };
    }
  | { readonly proven: false; readonly node: Node; readonly because: string };

/** So many cases are told apart at most. */
const MOST_CASES = 512;

/** One end of a region. */
interface End {
  readonly tensor: string;
  readonly axes: Layout;
}

/**
 * Proves that what lies between two ends is a causal convolution with one kernel at every length.
 * @param longest no more is asked of greater lengths
 */
export function proveRegion(
  known: Known,
  region: { readonly entry: End; readonly exit: End; readonly opening: Node },
  longest: number = LONGEST,
): Proof {
  const { entry, exit } = region;
  const start = new Map<string, Value>([[entry.tensor, tensor(axesOf(entry.axes), streamOf(TIME))]]);
  return prove(known, exit.tensor, start, region.opening, (which, value) => causal(which, value, exit.axes), longest);
}

/** Proves that row i of a tensor is a function of i alone, at every length. */
export function provePosition(known: Known, name: string, layout: Layout): Proof {
  const node = known.index.producer.get(name);
  if (!node) throw new LongConvError("invalid-graph", "no node makes this tensor", { tensor: name });
  return prove(known, name, new Map(), node, (which, value) => {
    const s = sequenceAlong(which, value, layout);
    if (s.stream || numberIn(which, s.shift) !== 0) throw new Unproven("is moved along time");
    return s;
  });
}

/** Proves that entry (i, j) of a tensor is a function of i - j alone, at every length, and 0 for j > i. */
export function provePairs(known: Known, name: string, row: number, column: number): Proof {
  const node = known.index.producer.get(name);
  if (!node) throw new LongConvError("invalid-graph", "no node makes this tensor", { tensor: name });
  return prove(known, name, new Map(), node, (_which, value) => {
    const body = value?.kind === "tensor" && value.pair === undefined ? value.parts[0] : undefined;
    if (body?.kind !== "pairs" || body.row !== row || body.column !== column)
      throw new Unproven("is no function of the difference of two positions");
    if (body.first === undefined || body.first < 0) throw new Unproven("is not known to be 0 for later positions");
    return positionOf(body.key, TIME);
  });
}

/** A sequence with a row for each position of the layout. @throws Unproven where it is none */
function sequenceAlong(which: Case, value: Value | undefined, layout: Layout): Sequence {
  if (value?.kind !== "tensor" || value.pair !== undefined)
    throw new Unproven("does not come out as one row for each position");
  const [body] = value.parts;
  const k = timeAxis(layout);
  const size = lineAt(value.axes, k);
  const batch = axisWith(layout, "batch");
  if (body?.kind !== "sequence" || !size || value.axes.length !== layout.length)
    throw new Unproven("does not come out as one row for each position");
  if (batch >= 0 && value.axes[batch]!.join() !== "batch") throw new Unproven("does not keep the rows of the batch");
  if (!isSame(which, size, TIME)) {
    // at greater lengths too it is not what it was; between others it may be stretched behind the region, and run
    const reason = "gives another number of positions than it takes";
    throw which.to === LONGEST ? new NotRun(reason) : new Unproven(reason);
  }
  if (body.reversed || body.gain.size > 0) throw new Unproven("is scaled by a number made of the length");
  const isWhole = (!body.from || atLeast(which, dim(0), body.from)) && (!body.to || atLeast(which, body.to, TIME));
  if (!isWhole) throw new Unproven("wraps around or is cut off at some positions");
  return body;
}

function causal(which: Case, value: Value | undefined, layout: Layout): Sequence {
  const s = sequenceAlong(which, value, layout);
  const ahead = numberIn(which, s.shift);
  if (!s.stream) throw new Unproven("does not depend on the stream");
  if (ahead === undefined) throw new Unproven("is moved along time by the length");
  if (s.first < ahead) throw new Unproven(`looks ${ahead - s.first} positions ahead`);
  return delayed({ ...s, shift: dim(0) }, -ahead);
}

/** Whether nothing is claimed from a case on: a graph may run again at greater lengths, but numbers do not get exact again. */
const isEnd = (which: Case, why: NotRun | Inexact): boolean =>
  why instanceof Inexact || (which.from > 1 && which.to === LONGEST);

/** Walks to a tensor in every case, and compares what comes out. */
function prove(
  known: Known,
  goal: string,
  start: ReadonlyMap<string, Value>,
  blamed: Node,
  judge: (which: Case, value: Value | undefined) => Sequence,
  asked: number = LONGEST,
): Proof {
  const nodes = nodesTo(known, goal, start);
  const found: { readonly which: Case; readonly sequence: Sequence; readonly values: ReadonlyMap<string, Value> }[] =
    [];
  let ends: { positions: number; because: string } | undefined;
  const left: Case[] = [{ ...EVERY_LENGTH, to: Math.min(EVERY_LENGTH.to, asked) }];
  for (let count = 0; left.length > 0; count++) {
    const which = left.pop()!;
    if (isEmpty(which)) continue;
    if (count > MOST_CASES) return { proven: false, node: blamed, because: "its sizes fall into too many cases" };
    try {
      const { value, values } = walk(known, nodes, goal, start, which);
      found.push({ which, values, sequence: at(blamed, () => judge(which, value)) });
    } catch (error) {
      if (!(error instanceof Stopped)) throw error;
      const { node, why } = error;
      if (why instanceof Unproven) return { proven: false, node, because: why.because };
      if (why instanceof Split) left.push(...why.parts);
      else if (isEnd(which, why) && (!ends || firstOf(which) - 1 < ends.positions))
        ends = { positions: firstOf(which) - 1, because: why.because };
    }
  }
  if (found.length === 0 || ends?.positions === 0)
    return { proven: false, node: blamed, because: "it cannot be followed at any length" };
  const longest = found.reduce((a, b) => (b.which.to > a.which.to ? b : a));
  // where it cannot be run any more, in however many cases
  const last = longest.which.to;
  if (last < LONGEST && !(ends && ends.positions <= last))
    ends = { positions: last, because: ends?.because ?? "cannot be run at greater lengths" };
  for (const { which, sequence } of found) {
    const top = Math.min(which.to, longest.which.to);
    if (keyUpTo(sequence.key, top) !== keyUpTo(longest.sequence.key, top))
      return { proven: false, node: blamed, because: `it is another one from length ${which.from} to ${which.to}` };
  }
  const { key, reach, kernels } = longest.sequence;
  const isZero = (name: string) => {
    const constant = [...known.constants].find(([each]) => keyOfName(each) === name)?.[1];
    return constant?.dims.every((size) => size === 1) === true && toNumbers(constant.tensor())[0] === 0;
  };
  return { proven: true, reach, ends, kernel: { key, tensors: holding(kernels, longest.values, isZero) } };
}

/** A place that is the difference itself where that is not negative: d, |d|, or d held at a bound. */
const DIFFERENCE = String.raw`(?:1d\+0|(?:Abs|Relu)\{\}\(1d\+0\)|(?:Clip|Max)\{\}\(1d\+0,("(?:[^"\\]|\\.)*")\))`;
const PLACE = new RegExp(String.raw`\((?:d\+0|${DIFFERENCE}|Cast[67]\(${DIFFERENCE}\))\)$`);

/** The function whose rows a lower triangular Toeplitz matrix picks by the difference; else what the kernel is called. */
function rowsPicked(kernel: string, isZero: (name: string) => boolean): string {
  const [, entry] = /^\((.*)\{d≥0\}\)$/.exec(kernel) ?? [];
  const place = entry && PLACE.exec(entry);
  const bound = place?.[1] ?? place?.[2];
  return place && (bound === undefined || isZero(bound)) ? entry.slice(0, place.index) : kernel;
}

/** The tensors whose rows are the one function of the position that a stream is convolved with. */
function holding(
  kernels: ReadonlySet<string>,
  values: ReadonlyMap<string, Value>,
  isZero: (key: string) => boolean,
): ReadonlySet<string> {
  const [first, ...others] = kernels;
  const kernel = first && rowsPicked(first, isZero);
  const plain = (key: string) => keyUpTo(key, 0);
  const found = [...values].filter(([, value]) => {
    if (others.length > 0 || kernel === undefined || value.kind !== "tensor" || value.parts.length !== 1) return false;
    const [body] = value.parts;
    if (body?.kind === "fixed") return plain(body.key) === plain(kernel);
    return body?.kind === "sequence" && !body.stream && plain(body.key) === plain(kernel);
  });
  return new Set(found.map(([name]) => name));
}
