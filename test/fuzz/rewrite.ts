/** Exported models written differently: what is inserted changes no value, and neither do names, order, opset and constants' place. */

import { inlineFunctions } from "../../converter/expand/inline.ts";
import { readModel } from "../../converter/file/read.ts";
import { type Builder, createBuilder, initializerOf, makeNode, namesOf, rewire } from "../../converter/graph/build.ts";
import { cut } from "../../converter/graph/cut.ts";
import type { Graph, Initializer, Model, Node } from "../../converter/graph/graph.ts";
import { readsOf } from "../../converter/graph/reads.ts";
import {
  boolTensor,
  DataType,
  elementCount,
  float32Tensor,
  int64Tensor,
  makeTensor,
} from "../../converter/graph/tensor.ts";
import { openModel } from "../../converter/ort/run.ts";
import { networkBases, zooBases } from "./bases.ts";
import type { FuzzGraph } from "./generate.ts";
import { renameTensors } from "./names.ts";
import { type Random, random } from "./random.ts";

/** A float tensor at which something can be inserted. */
interface Place {
  readonly name: string;
  /** Size of each axis where it is the same in every run. */
  readonly dims: readonly (number | undefined)[];
}

/** Nodes that give the same tensor again. */
type Detour = (b: Builder, r: Random, place: Place) => string;

const perms = (r: Random, rank: number): readonly [number[], number[]] => {
  const perm = r.shuffled(Array.from({ length: rank }, (_, k) => k));
  return [perm, perm.map((_, k) => perm.indexOf(k))];
};

const scalar = (b: Builder, r: Random, value: number): string => b.floats("c", r.pick([[], [1]]), [value]);

/** An axis whose size is known and at least `least`. */
const channelAxis = (r: Random, { dims }: Place, least: number): number | undefined => {
  const axes = dims.flatMap((size, k) => (size !== undefined && size >= least ? [k] : []));
  return axes.length ? r.pick(axes) : undefined;
};

const identity: Detour = (b, _r, { name }) => b.one("Identity", [name]);

const DETOURS: Readonly<Record<string, Detour>> = {
  identity,
  transposes(b, r, { name, dims }) {
    const [there, back] = perms(r, dims.length);
    return b.one("Transpose", [b.one("Transpose", [name], { perm: there })], { perm: back });
  },
  newAxis(b, r, { name, dims }) {
    const axes = b.ints("axes", [r.int(0, dims.length)]);
    return b.one("Squeeze", [b.one("Unsqueeze", [name, axes]), axes]);
  },
  flattened(b, _r, { name }) {
    const shape = b.one("Shape", [name]);
    return b.one("Reshape", [b.one("Reshape", [name, b.ints("flat", [-1])]), shape]);
  },
  lastAxesJoined(b, r, place) {
    const { name, dims } = place;
    if (dims.length < 3) return identity(b, r, place);
    const joined = [...dims.slice(0, -2).map(() => 0), -1];
    return b.one("Reshape", [b.one("Reshape", [name, b.ints("joined", joined)]), b.one("Shape", [name])]);
  },
  double: (b, _r, { name }) => b.one("Cast", [b.one("Cast", [name], { to: 11 })], { to: 1 }),
  timesOne: (b, r, { name }) => b.one(r.pick(["Mul", "Div"]), [name, scalar(b, r, 1)]),
  plusZero: (b, r, { name }) => b.one(r.pick(["Add", "Sub"]), [name, scalar(b, r, 0)]),
  splitAndJoined(b, r, place) {
    const axis = channelAxis(r, place, 2);
    if (axis === undefined) return identity(b, r, place);
    const first = r.int(1, place.dims[axis]! - 1);
    const parts = b.add(
      "Split",
      [place.name, b.ints("sizes", [first, place.dims[axis]! - first])],
      { axis },
      { outputs: 2 },
    );
    return b.one("Concat", parts, { axis });
  },
  slicedAndJoined(b, r, place) {
    const axis = channelAxis(r, place, 2);
    if (axis === undefined) return identity(b, r, place);
    const at = r.int(1, place.dims[axis]! - 1);
    const part = (from: number, to: number) =>
      b.one("Slice", [place.name, b.ints("from", [from]), b.ints("to", [to]), b.ints("axis", [axis])]);
    return b.one("Concat", [part(0, at), part(at, Number.MAX_SAFE_INTEGER)], { axis });
  },
  negatedTwice: (b, _r, { name }) => b.one("Neg", [b.one("Neg", [name])]),
  expanded: (b, _r, { name }) => b.one("Expand", [name, b.one("Shape", [name])]),
  notPadded: (b, _r, { name, dims }) =>
    b.one("Pad", [name, b.ints("pads", new Array<number>(2 * dims.length).fill(0))], { mode: "constant" }),
  wholeSlice: (b, r, { name, dims }) =>
    b.one("Slice", [
      name,
      b.ints("from", [0]),
      b.ints("to", [r.pick([Number.MAX_SAFE_INTEGER, 2 ** 31 - 1])]),
      b.ints("axis", [r.int(0, Math.max(0, dims.length - 1))]),
    ]),
  always: (b, _r, { name }) => b.one("Where", [b.constant("true", boolTensor([1], [true])), name, name]),
  dropout: (b, _r, { name }) => b.one("Dropout", [name]),
  concatAlone: (b, r, { name, dims }) => b.one("Concat", [name], { axis: r.int(0, dims.length - 1) }),
  gathered(b, r, place) {
    const axis = channelAxis(r, place, 1);
    if (axis === undefined) return identity(b, r, place);
    const [there, back] = perms(r, place.dims[axis]!);
    const once = b.one("Gather", [place.name, b.ints("order", there)], { axis });
    return b.one("Gather", [once, b.ints("order", back)], { axis });
  },
  summed: (b, r, { name, dims }) => {
    const axes = b.ints("axes", [r.int(0, dims.length)]);
    return b.one("ReduceSum", [b.one("Unsqueeze", [name, axes]), axes], { keepdims: 0 });
  },
  stacked(b, r, { name, dims }) {
    const axis = r.int(0, dims.length);
    const copy = b.one("Unsqueeze", [name, b.ints("axes", [axis])]);
    return b.one("Gather", [b.one("Concat", [copy, copy], { axis }), b.ints("which", r.int(0, 1))], { axis });
  },
  tiledOnce: (b, _r, { name, dims }) =>
    b.one("Tile", [name, b.ints("repeats", new Array<number>(dims.length).fill(1))]),
  unitMatrix(b, r, place) {
    const size = place.dims.at(-1);
    if (size === undefined || place.dims.length < 2 || size > 64) return identity(b, r, place);
    const unit = Float32Array.from({ length: size * size }, (_, at) => (at % (size + 1) === 0 ? 1 : 0));
    return b.one("MatMul", [place.name, b.constant("unit", float32Tensor([size, size], unit))]);
  },
};

/** An exported model of a seed, written differently. */
export async function rewritten(seed: number): Promise<FuzzGraph> {
  const r = random(seed);
  const base = r.pick(r.chance(0.5) ? zooBases : networkBases);
  const reference = await readModel(base.file);
  const pieces: string[] = [base.name];
  let graph = await detours(reference, r, pieces);
  let opsets = reference.opsets;
  // a model-local function has an opset of its own
  if (r.chance(0.3) && base.name !== "longconv-function") [graph, opsets] = raised(graph, opsets, r, pieces);
  if (r.chance(0.3)) graph = constantsAsNodes(graph, r, pieces);
  if (r.chance(0.3)) graph = shuffled(graph, r, pieces);
  let renamed: ReadonlyMap<string, string> = new Map();
  // names inside of a loop stay
  const hasLoop = graph.nodes.some(({ op }) => op === "Scan" || op === "Loop" || op === "If");
  if (r.chance(0.4) && !hasLoop) [graph, renamed] = renameAll(graph, r, pieces);
  const now = new Map([...renamed].map(([own, theirs]) => [theirs, own]));
  const irVersion = Math.max(reference.irVersion, 10);
  const main = reference.graph.inputs[0]!.dims!;
  const number = (size: unknown) => (typeof size === "number" ? size : undefined);
  return {
    seed,
    kind: "rewritten",
    model: { ...reference, graph, opsets, irVersion },
    reference,
    renamed,
    pieces,
    axes: Object.fromEntries(Object.entries(base.axes).map(([name, axis]) => [now.get(name) ?? name, axis])),
    vocabulary: base.vocabulary,
    length: number(main[base.axes[reference.graph.inputs[0]!.name] ?? 1]),
    batch: number(main[0]),
    differs: [],
    ends: undefined,
    longest: base.longest,
  };
}

/** Inserts some detours. */
async function detours(model: Model, r: Random, pieces: string[]): Promise<Graph> {
  const places = await placesOf(model);
  const b = createBuilder(model.opsets.get("") ?? 1, namesOf(model.graph));
  let nodes: Node[] = [...model.graph.nodes];
  for (let count = r.int(1, 12); count > 0; count--) {
    const place = r.pick(places);
    const kind = r.pick(Object.keys(DETOURS));
    pieces.push(kind);
    const from = b.nodes.length;
    const again = DETOURS[kind]!(b, r, place);
    const at = nodes.findIndex((node) => node.outputs.includes(place.name)) + 1;
    const everyReader = r.chance(0.7);
    const readers = nodes.filter((node) => node.inputs.includes(place.name));
    const one = readers.length ? r.pick(readers) : undefined;
    const rest = nodes.slice(at).map((node) => {
      if (!node.inputs.includes(place.name) || !(everyReader || node === one)) return node;
      return rewire(node, { inputs: node.inputs.map((name) => (name === place.name ? again : name)) });
    });
    nodes = [...nodes.slice(0, at), ...b.nodes.slice(from), ...rest];
  }
  return pruned({ ...model.graph, nodes, initializers: new Map([...model.graph.initializers, ...b.initializers]) });
}

/** Leaves out detours that nobody reads. */
function pruned(graph: Graph): Graph {
  const wanted = new Set(graph.outputs.map(({ name }) => name));
  const nodes: Node[] = [];
  for (const node of [...graph.nodes].reverse()) {
    if (!node.outputs.some((name) => wanted.has(name))) continue;
    nodes.unshift(node);
    for (const name of readsOf(node)) wanted.add(name);
  }
  return { ...graph, nodes, initializers: new Map([...graph.initializers].filter(([name]) => wanted.has(name))) };
}

/** Float tensors of the graph and their sizes, by running it at two sizes. */
async function placesOf(model: Model): Promise<Place[]> {
  const inlined = inlineFunctions(model);
  const names = new Set(model.graph.nodes.flatMap((node) => node.outputs).filter(Boolean));
  const wanted = inlined.graph.nodes.flatMap((node) => node.outputs).filter((name) => names.has(name));
  const runner = await openModel(cut(inlined, inlined.graph.inputs, wanted), { optimization: "disabled" });
  try {
    const seen = new Map<string, (number | undefined)[]>();
    const fixed = model.graph.inputs[0]!.dims!.slice(0, 2).every((size) => typeof size === "number");
    for (const [batch, time] of fixed
      ? [[1, 48]]
      : [
          [2, 16],
          [5, 37],
        ]) {
      const feeds = Object.fromEntries(
        model.graph.inputs.map(({ name, type, dims }) => {
          const sizes = dims!.map((size, k) => (typeof size === "number" ? size : k === 0 ? batch! : time!));
          const count = elementCount(sizes);
          return [
            name,
            makeTensor(type, sizes, type === DataType.INT64 ? new BigInt64Array(count) : new Float32Array(count)),
          ];
        }),
      );
      for (const [name, { type, dims }] of Object.entries(await runner.run(feeds))) {
        if (type !== DataType.FLOAT || dims.length === 0) continue;
        seen.set(
          name,
          dims.map((size, k) => (seen.has(name) && seen.get(name)![k] !== size ? undefined : size)),
        );
      }
    }
    return [...seen].map(([name, dims]) => ({ name, dims }));
  } finally {
    await runner.close();
  }
}

/** A later opset: what these models use is the same there, but for DFT's axis. */
function raised(
  graph: Graph,
  opsets: ReadonlyMap<string, number>,
  r: Random,
  pieces: string[],
): [Graph, ReadonlyMap<string, number>] {
  const from = opsets.get("") ?? 1;
  if (from < 18 || from > 20) return [graph, opsets];
  const to = r.int(from + 1, 21);
  pieces.push(`opset ${to}`);
  const raisedOpsets = new Map([...opsets, ["", to] as const]);
  if (from >= 20 || to < 20) return [graph, raisedOpsets];
  const initializers = new Map(graph.initializers);
  const nodes = graph.nodes.map((node) => {
    if (node.op !== "DFT" || node.domain) return node;
    const { axis = 1, ...attributes } = node.attributes as Record<string, number>;
    const name = `dft_axis_${axis}`;
    initializers.set(name, initializerOf(name, int64Tensor([], [axis])));
    return makeNode(node.name, "DFT", [node.inputs[0]!, node.inputs[1] ?? "", name], node.outputs, {
      attributes,
      origin: node,
    });
  });
  return [{ ...graph, nodes, initializers }, raisedOpsets];
}

/** Some constants as nodes of their own. */
function constantsAsNodes(graph: Graph, r: Random, pieces: string[]): Graph {
  pieces.push("constants as nodes");
  const initializers = new Map<string, Initializer>();
  const constants: Node[] = [];
  for (const [name, initializer] of graph.initializers) {
    if (r.chance(0.5)) initializers.set(name, initializer);
    else
      constants.push(
        makeNode(`constant of ${name}`, "Constant", [], [name], {
          attributes: { value: { tensor: initializer.tensor() } },
        }),
      );
  }
  return { ...graph, nodes: [...constants, ...graph.nodes], initializers };
}

/** Another topological order. */
function shuffled(graph: Graph, r: Random, pieces: string[]): Graph {
  pieces.push("shuffled");
  const made = new Set([...graph.inputs.map(({ name }) => name), ...graph.initializers.keys(), ""]);
  const waiting = new Set(graph.nodes);
  const nodes: Node[] = [];
  while (waiting.size > 0) {
    const ready = [...waiting].filter((node) => [...readsOf(node)].every((name) => made.has(name)));
    const node = r.pick(ready);
    waiting.delete(node);
    nodes.push(node);
    for (const name of node.outputs) made.add(name);
  }
  return { ...graph, nodes };
}

/** New names for everything, inputs and outputs too. */
function renameAll(graph: Graph, r: Random, pieces: string[]): [Graph, ReadonlyMap<string, string>] {
  pieces.push("renamed");
  const names = new Map<string, string>([["", ""]]);
  const style = r.pick(["v%", "%/out:0", "tensor.%.weight", "past_%"]);
  const of = (name: string): string => {
    const known = names.get(name) ?? style.replace("%", String(names.size));
    names.set(name, known);
    return known;
  };
  const renamed = renameTensors(graph, of);
  const nodes = renamed.nodes.map((node, i) => rewire(node, { name: `n${i}` }));
  const theirs = [...graph.inputs, ...graph.outputs].map(({ name }) => [of(name), name] as const);
  return [{ ...renamed, nodes }, new Map(theirs)];
}
