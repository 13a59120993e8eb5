/** What the length changes: residue classes, factors that step late, context windows. */
import {
  asScalar,
  type Draft,
  END,
  lengthOf,
  type Piece,
  positions,
  type Stream,
  same,
  scalar,
  slice,
  squeeze,
  unsqueeze,
} from "../draft.ts";
import { kernelOf, lengthAsFloat } from "../kernels.ts";
import { differsAt, filtered, type Overclaim, shortConv, transformed } from "./overclaim.ts";

/** A number of the length, float32 scalar or [1]. */
type Factor = (d: Draft, n: string) => string;

/** The stream, the kernel, or the output of a convolution, times a number of the length. */
function scaled(d: Draft, x: Stream, factor: Factor): Stream {
  const n = lengthOf(d, x);
  const by = factor(d, n);
  const way = d.r.int(0, 2);
  if (way === 0) return shortConv(d, same(x, d.b.one("Mul", [x.name, by])));
  if (way === 1) return filtered(d, x, d.b.one("Mul", [kernelOf(d, n, x.channels), by]));
  return same(x, d.b.one("Mul", [shortConv(d, x).name, by]));
}

const remainder = (d: Draft, n: string, by: number) => d.b.one("Mod", [n, d.b.ints("modulus", [by])]);
const plusOne = (d: Draft, name: string) => d.b.one("Add", [name, scalar(d, 1)]);
const asFloat = (d: Draft, name: string) => d.b.one("Cast", [name], { to: 1 });

const RESIDUES = [25, 26, 27, 28, 33];
const inResidues =
  (factor: Factor): Piece =>
  (d, x) => {
    differsAt(d, ...RESIDUES);
    return scaled(d, x, factor);
  };

/** Two percent more at odd lengths. */
const odd: Factor = (d, n) => plusOne(d, d.b.one("Mul", [asFloat(d, remainder(d, n, 2)), scalar(d, 0.02)]));

/** A table of four numbers, read at the length modulo 4. */
const modulo: Factor = (d, n) => d.b.one("Gather", [d.b.floats("by_four", [4], [1, 1, 1, 0.97]), remainder(d, n, 4)]);

const oneClass: Factor = (d, n) => {
  const hit = d.b.one("Equal", [remainder(d, n, 5), d.b.ints("class", [3])]);
  return d.b.one("Where", [hit, scalar(d, 0.95), scalar(d, 1)]);
};

/** n - 2 · floor(n / 2), in floats. */
const oddByFloor: Factor = (d, n) => {
  const length = lengthAsFloat(d, n);
  const half = d.b.one("Floor", [d.b.one("Mul", [length, scalar(d, 0.5)])]);
  const rest = d.b.one("Sub", [length, d.b.one("Mul", [half, scalar(d, 2)])]);
  return plusOne(d, d.b.one("Mul", [rest, scalar(d, 0.02)]));
};

/** cos(π n) = ±1. */
const oddByCosine: Factor = (d, n) => {
  const sign = d.b.one("Cos", [d.b.one("Mul", [lengthAsFloat(d, n), scalar(d, Math.PI)])]);
  return plusOne(d, d.b.one("Mul", [sign, scalar(d, 0.02)]));
};

/** A kernel that does not die away, and two points fewer than it takes at odd lengths: the last lag wraps around. */
const shortTransform: Piece = (d, x) => {
  differsAt(d, ...RESIDUES);
  const n = lengthOf(d, x);
  const double = d.b.one("Mul", [n, d.b.ints("two", [2])]);
  const fewer = d.b.one("Mul", [remainder(d, n, 2), d.b.ints("two", [2])]);
  const phase = unsqueeze(d, d.b.one("Mul", [positions(d, n), scalar(d, 0.7)]), [1]);
  const kernel = d.b.one("Expand", [d.b.one("Cos", [phase]), d.b.ints("shape", [1, x.channels])]);
  return transformed(d, x, kernel, d.b.one("Sub", [double, fewer]));
};

const LATE = 6100;
const late =
  (factor: Factor): Piece =>
  (d, x) => {
    differsAt(d, LATE, 9001);
    return scaled(d, x, factor);
  };

const ROWS = 8192;
const STEP = 5000;
/** 1 in rows below 5 000, and 2 from there on. */
const stepTable = (d: Draft) =>
  d.b.floats(
    "by_length",
    [ROWS],
    Array.from({ length: ROWS }, (_, k) => (k < STEP ? 1 : 2)),
  );
const atMost = (d: Draft, n: string, most: number) => d.b.one("Min", [n, d.b.ints("most", [most])]);
/** (n / 6 000)^40: nothing at 4 096. */
const steep = (d: Draft, n: string) =>
  d.b.one("Pow", [d.b.one("Div", [lengthAsFloat(d, n), scalar(d, 6000)]), scalar(d, 40)]);
const beyond = (d: Draft, n: string) => d.b.one("Sub", [lengthAsFloat(d, n), scalar(d, 6000)]);

const lateGather: Factor = (d, n) => d.b.one("Gather", [stepTable(d), atMost(d, n, ROWS - 1)]);
const lateSlice: Factor = (d, n) => d.b.one("ReduceMax", [slice(d, stepTable(d), 0, 0, n)], { keepdims: 1 });
/** The last row of as many as there are positions. */
const lateLastRow: Factor = (d, n) => slice(d, slice(d, stepTable(d), 0, 0, n), 0, -1, END);
const lateLog: Factor = (d, n) => {
  const ratio = d.b.one("Div", [d.b.one("Log", [lengthAsFloat(d, n)]), scalar(d, Math.log(STEP))]);
  return plusOne(d, d.b.one("Floor", [ratio]));
};
const lateExp: Factor = (d, n) => plusOne(d, d.b.one("Min", [d.b.one("Exp", [beyond(d, n)]), scalar(d, 1)]));
const lateSigmoid: Factor = (d, n) => plusOne(d, d.b.one("Sigmoid", [beyond(d, n)]));
const lateReciprocal: Factor = (d, n) => d.b.one("Reciprocal", [plusOne(d, steep(d, n))]);
const lateTanh: Factor = (d, n) => plusOne(d, d.b.one("Tanh", [steep(d, n)]));
const lateErf: Factor = (d, n) => d.b.one("Erf", [d.b.one("Sub", [lengthAsFloat(d, n), scalar(d, 6050)])]);
const lateDivision: Factor = (d, n) => plusOne(d, asFloat(d, d.b.one("Div", [n, d.b.ints("step", [STEP])])));
const lateRound: Factor = (d, n) =>
  plusOne(d, d.b.one("Round", [d.b.one("Div", [lengthAsFloat(d, n), scalar(d, 12_000)])]));
const lateClip: Factor = (d, n) => {
  const length = lengthAsFloat(d, n);
  return d.b.one("Div", [length, d.b.one("Clip", [length, scalar(d, 0), scalar(d, STEP)])]);
};

type Window = (d: Draft, x: Stream, most: number) => string;
const windowed =
  (window: Window, sizes: readonly number[] = [40, 300]): Piece =>
  (d, x) => {
    const most = d.r.pick(sizes);
    differsAt(d, most, most + 1, Math.floor(1.5 * most));
    return shortConv(d, same(x, window(d, x, most)));
  };

/** Where the last so many positions begin, int64 [1]. */
const startOf = (d: Draft, n: string, most: number) =>
  d.b.one("Max", [d.b.one("Sub", [n, d.b.ints("window", [most])]), d.b.ints("none", [0])]);
const lastPositions: Window = (d, x, most) => slice(d, x.name, 1, -most, END);
const lastByLength: Window = (d, x, most) => slice(d, x.name, 1, startOf(d, lengthOf(d, x), most), END);
const lastByGather: Window = (d, x, most) => {
  const n = lengthOf(d, x);
  const from = squeeze(d, startOf(d, n, most), [0]);
  return d.b.one("Gather", [x.name, d.b.one("Range", [from, asScalar(d, n), d.b.ints("by", 1)])], { axis: 1 });
};
const firstPositions: Window = (d, x, most) => slice(d, x.name, 1, 0, most);
/** As many positions as before, those that fell out zero. */
const lastOthersZero: Window = (d, x, most) => {
  const n = lengthOf(d, x);
  const first = asFloat(d, squeeze(d, startOf(d, n, most), [0]));
  const kept = asFloat(d, d.b.one("GreaterOrEqual", [positions(d, n), first]));
  return d.b.one("Mul", [x.name, unsqueeze(d, kept, [1])]);
};

const windows = (window: Window): Overclaim => ({ kind: 2, piece: windowed(window) });
const residue = (factor: Factor): Overclaim => ({ kind: 4, piece: inResidues(factor) });
const lately = (factor: Factor): Overclaim => ({ kind: 7, far: true, piece: late(factor) });

export const LENGTHS: Readonly<Record<string, Overclaim>> = {
  lastPositions: windows(lastPositions),
  lastByLength: windows(lastByLength),
  lastByGather: windows(lastByGather),
  firstPositions: windows(firstPositions),
  lastOthersZero: windows(lastOthersZero),
  longWindow: { kind: 2, far: true, piece: windowed(lastPositions, [1024, 5000]) },
  odd: residue(odd),
  modulo: residue(modulo),
  oneClass: residue(oneClass),
  oddByFloor: residue(oddByFloor),
  oddByCosine: residue(oddByCosine),
  shortTransform: { kind: 4, piece: shortTransform },
  lateGather: lately(lateGather),
  lateSlice: lately(lateSlice),
  lateLastRow: lately(lateLastRow),
  lateLog: lately(lateLog),
  lateExp: lately(lateExp),
  lateSigmoid: lately(lateSigmoid),
  lateReciprocal: lately(lateReciprocal),
  lateTanh: lately(lateTanh),
  lateErf: lately(lateErf),
  lateDivision: lately(lateDivision),
  lateRound: lately(lateRound),
  lateClip: lately(lateClip),
};
