/**
 * Linear attention: scores that a function of two positions multiplies, and no softmax, are Σ_j D_ij (q_i · k_j) v_j. Where D_ij is
 * d γ^(i-j) for j ≤ i, and 0 for later keys, that is d q_i S_i with S_i = γ S_{i-1} + k_i ⊗ v_i: a matrix for each head.
 */
import type { Known } from "../../find/carried.ts";
import { cut } from "../../graph/cut.ts";
import type { Node } from "../../graph/graph.ts";
import { DataType, makeTensor, toNumbers } from "../../graph/tensor.ts";
import { openModel, type Runner } from "../../ort/run.ts";
import { precise, typeIn } from "../../parts/graphs.ts";
import { isFailedRun } from "../../parts/open-region.ts";
import { fixedSizes, zeroInputs } from "../../parts/seen-shapes.ts";
import { provePairs } from "../../prove/prove.ts";
import { channelsIn, isChannelAxis, type Layout } from "../../time/facts/fact.ts";
import type { Pairs } from "./pairs.ts";

/** A sum over the keys. */
export interface Sum {
  readonly node: Node;
  /** What the scores are summed with; undefined: nothing, for a normaliser. */
  readonly value: string | undefined;
  /** Numbers of a value; 1 where there is none. */
  readonly width: number;
}

/** An attention whose keys and values one matrix for each head stands for. */
export interface Linear {
  /** The product of queries and keys, and what multiplies it. */
  readonly nodes: readonly Node[];
  readonly sums: readonly Sum[];
  readonly query: string;
  readonly key: string;
  /** Functions of two positions that multiply the scores. */
  readonly factors: readonly string[];
  /** 1 where there are none, and no axis of theirs. */
  readonly heads: number;
  readonly hasHeads: boolean;
  readonly keyWidth: number;
  /** Of each head: d and log γ. */
  readonly scale: Float64Array;
  readonly rate: Float64Array;
}

/** Lengths at which all pairs are looked at, and numbers of them at most. */
const LOOKED = [3, 40, 512, 1024] as const;
const MOST_NUMBERS = 2 ** 25;
/** What powers of constants are called whose exponent is the difference of two positions where that is not negative. */
const NAME = String.raw`"(?:[^"\\]|\\.)*"`;
const PLACE = String.raw`(?:1?d\+0|(?:Abs|Relu)\{\}\(1d\+0\)|(?:Clip|Max)\{\}\(1d\+0,(?<bound>${NAME})\)|Cast[67]\(1d\+0\))`;
const CORES = [`Pow\\{\\}\\(${NAME},${PLACE}\\)`, `Exp\\{\\}\\(\\(${PLACE}\\*${NAME}\\)\\)`, NAME];
/** The same, 0 for later keys. */
const POWERS = CORES.map((core) => new RegExp(`^\\(${core}\\*?\\{d≥0\\}\\)$`));

/** A condition that holds up to the position that asks, or behind it. */
const CONDITION = /^¬?\{d≥[01]\}$/;

/** One times a constant. */
const SCALED = new RegExp(`^\\((.*)\\*${NAME}\\)$`);

/** What is left of a decay where it is measured. */
const LEFT = 1e-3;
/** Roundings of float32 by which a power may be off, for each factor in it. */
const ROUNDINGS = 16;

/** What is carried instead of rows of keys and values; undefined where it is no such attention. */
export async function linearOf(known: Known, pairs: Pairs): Promise<Linear | undefined> {
  const shape = shapeOf(known, pairs);
  if (!shape || fixedSizes(known.graphs.inputs).time !== undefined) return undefined;
  // rows of keys and values are right beyond what can be looked at
  if (!isProven(known, pairs, shape)) return undefined;
  const factors = await factorsOf(known, shape);
  return factors && { ...shape, ...factors };
}

type Shape = Omit<Linear, "scale" | "rate">;

/** A product, factors made of positions and constants, and sums over the keys. */
function shapeOf(known: Known, { nodes, layouts, keyed, positions }: Pairs): Shape | undefined {
  const [first, ...rest] = nodes;
  if (first?.op !== "MatMul") return undefined;
  const hasKeys = (name: string) => layouts.get(name)?.flat().includes("keys") === true;
  const ending = rest.filter(({ outputs }) => !hasKeys(outputs[0]!));
  const between = rest.filter((node) => !ending.includes(node));
  let score = first.outputs[0]!;
  for (const node of between) {
    if (!isFactor(known, node, score, layouts)) return undefined;
    score = node.outputs[0]!;
  }
  const [query, key] = first.inputs as [string, string];
  const q = streamAxes(known, query);
  const k = keyed.get(key);
  if (!q || !k || q.length < 3 || q.length > 4 || !isAlike(q, k) || !isRow(q, "time", -2) || !isRow(k, "keys", -1))
    return undefined;
  const sums = ending.map((node) => sumOf(node, score, known, keyed, q));
  const values = sums.flatMap((sum) => sum?.value ?? []);
  if (sums.length === 0 || sums.some((sum) => !sum) || keyed.size !== 1 + new Set(values).size) return undefined;
  const hasHeads = q.length === 4;
  const channels = [q.at(-1)!, k.at(-2)!, ...(hasHeads ? [q[1]!] : [])];
  if (!channels.every(isChannelAxis)) return undefined;
  if ([query, key, ...values].some((name) => typeIn(known.graphs, name) !== DataType.FLOAT)) return undefined;
  const factors = between.flatMap(({ inputs }) => inputs.filter((name) => positions.has(name)));
  return {
    ...{ nodes: [first, ...between], sums: sums as Sum[], query, key, factors, hasHeads },
    ...{ heads: hasHeads ? channelsIn(q[1]!) : 1, keyWidth: channelsIn(q.at(-1)!) },
  };
}

function streamAxes({ time }: Known, name: string): Layout | undefined {
  const fact = time.facts.get(name);
  return fact?.kind === "stream" ? fact.axes : undefined;
}

/** Batch and heads in front, the same in both. */
const isAlike = (a: Layout, b: Layout): boolean =>
  a.length === b.length && a[0]!.join() === "batch" && a.slice(0, -2).every((axis, k) => axis.join() === b[k]!.join());

const isRow = (axes: Layout, factor: "time" | "keys", at: number): boolean => axes.at(at)!.join() === factor;

/** A product of the scores with values, or their sum alone. */
function sumOf(node: Node, score: string, known: Known, keyed: Pairs["keyed"], q: Layout): Sum | undefined {
  const [x, y] = node.inputs as [string, string];
  if (x !== score || node.domain !== "") return undefined;
  if (node.op === "MatMul") {
    const v = keyed.get(y);
    if (!v || !isAlike(q, v) || !isRow(v, "keys", -2) || !isChannelAxis(v.at(-1)!)) return undefined;
    return { node, value: y, width: channelsIn(v.at(-1)!) };
  }
  const over = y ? known.constants.get(y)?.tensor() : undefined;
  const axes = over ? toNumbers(over) : Float64Array.from((node.attributes.axes as readonly number[]) ?? []);
  const isLast = axes.length === 1 && (axes[0] === -1 || axes[0] === q.length - 1);
  return node.op === "ReduceSum" && isLast ? { node, value: undefined, width: 1 } : undefined;
}

/** Whether a node multiplies the scores by what does not depend on the data. */
function isFactor({ time, constants }: Known, node: Node, score: string, layouts: Pairs["layouts"]): boolean {
  const isGiven = (name: string) => {
    const fact = time.facts.get(name);
    return !layouts.has(name) && (fact?.kind === "constant" || fact?.kind === "position");
  };
  const [x = "", y = "", z = ""] = node.inputs;
  if (node.domain !== "") return false;
  if (node.op === "Mul") return (x === score && isGiven(y)) || (y === score && isGiven(x));
  if (node.op === "Div") return x === score && isGiven(y);
  if (isTriangle(node)) return x === score && (y === "" || isZero(constants, y));
  return (
    node.op === "Where" &&
    isGiven(x) &&
    ((y === score && isZero(constants, z)) || (z === score && isZero(constants, y)))
  );
}

const isTriangle = ({ op, attributes }: Node): boolean => op === "Trilu" && Number(attributes.upper ?? 1) === 0;

function isZero(constants: Known["constants"], name: string): boolean {
  const tensor = constants.get(name)?.tensor();
  return tensor !== undefined && toNumbers(tensor).every((value) => value === 0);
}

/** d and log γ of each head, where all pairs have d γ^(i-j) or, of later keys, 0. */
async function factorsOf(known: Known, shape: Shape): Promise<Pick<Linear, "scale" | "rate"> | undefined> {
  const { heads } = shape;
  let factors: Pick<Linear, "scale" | "rate"> | undefined;
  if (shape.factors.length === 0 && !shape.nodes.some(isTriangle)) return undefined;
  const runner = await openFactors(known, shape);
  try {
    for (const length of LOOKED) {
      if (heads * length * length > MOST_NUMBERS) break;
      const matrix = await pairsAt(known, shape, runner, length);
      if (!matrix) break;
      const at = (h: number, i: number, j: number) => matrix[(h * length + i) * length + j]!;
      const own = Array.from({ length: heads }, (_, h) => h);
      factors = {
        scale: Float64Array.from(own, (h) => at(h, 0, 0)),
        rate: Float64Array.from(own, (h) => rateOf((lag) => at(h, lag, 0) / at(h, 0, 0), length)),
      };
      const { scale, rate } = factors;
      for (const h of own) {
        const [d, slope] = [scale[h]!, rate[h]!];
        if (!(d !== 0 && slope <= 0)) return undefined;
        for (let i = 0; i < length; i++)
          for (let j = 0; j < length; j++) {
            const due = j > i ? 0 : d * Math.exp(slope * (i - j));
            const allowed = ROUNDINGS * 2 ** -24 * (i - j + 1) * Math.abs(due) + (j > i ? 0 : 1e-37);
            if (!(Math.abs(at(h, i, j) - due) <= allowed)) return undefined;
          }
      }
    }
  } finally {
    await runner.close();
  }
  return factors;
}

/** The logarithm of a decay, of the largest lag at which there is something left of it: roundings are divided by the lag. */
function rateOf(left: (lag: number) => number, length: number): number {
  let lag = length - 1;
  while (lag > 1 && !(left(lag) > LEFT)) lag--;
  return Math.log(left(lag)) / lag;
}

/** The nodes between the products alone: scores in, weights out. */
function openFactors({ graphs }: Known, { nodes }: Shape): Promise<Runner> {
  const score = nodes[0]!.outputs[0]!;
  const { model } = graphs;
  const given = { name: score, type: DataType.FLOAT, dims: undefined };
  const part = cut(model, [...model.graph.inputs, given], [nodes.at(-1)!.outputs[0]!]);
  return openModel(precise(graphs, part));
}

/** What scores of 1 become, [heads, length, length]. */
async function pairsAt(
  { graphs }: Known,
  { nodes, heads, hasHeads }: Shape,
  runner: Runner,
  length: number,
): Promise<Float64Array | undefined> {
  const dims = [1, ...(hasHeads ? [heads] : []), length, length];
  const score = nodes[0]!.outputs[0]!;
  const ones = new Float32Array(heads * length * length).fill(1);
  const all = {
    ...zeroInputs(graphs.model, graphs.inputs, { batch: 1, time: length }),
    [score]: makeTensor(DataType.FLOAT, dims, ones),
  };
  const feeds = Object.fromEntries(Object.entries(all).filter(([name]) => runner.inputs.includes(name)));
  const outputs = await runner.run(feeds).catch((error: unknown) => {
    if (!isFailedRun(error)) throw error;
  });
  const weights = outputs?.[nodes.at(-1)!.outputs[0]!];
  return weights?.dims.join() === dims.join() ? toNumbers(weights!) : undefined;
}

/** Whether rules say of all that multiplies the scores that it is such a power, at every length. */
function isProven({ graphs, time, constants }: Known, { positions }: Pairs, { factors }: Shape): boolean {
  const typeOf = (tensor: string) => graphs.shapes.seen.get(tensor)?.type;
  const known = { ...{ model: graphs.model, index: graphs.index, time, constants, typeOf }, seen: new Set<string>() };
  return factors.every((name) => {
    if (!graphs.index.producer.has(name)) return false;
    const axisOf = (factor: "time" | "keys") => positions.get(name)!.findIndex((axis) => axis.includes(factor));
    const proof = provePairs(known, name, axisOf("time"), axisOf("keys"));
    if (!proof.proven) return false;
    if (CONDITION.test(proof.kernel.key)) return true;
    const key = SCALED.exec(proof.kernel.key)?.[1] ?? proof.kernel.key;
    const found = POWERS.map((power) => power.exec(key)).find((each) => each !== null);
    const bound = found?.groups?.bound;
    return found !== undefined && (bound === undefined || isZero(known.constants, JSON.parse(bound) as string));
  });
}
