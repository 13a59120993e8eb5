/**
 * A loop along time that is a linear recurrence with constant factors, channel by channel (LRU, an exponential average, momentum): no
 * loop is left of it. What it makes of its inputs and of its states is computed at all positions at once, and between the two the states
 * are multiplied and added (converter/lower/blocks.ts). Factors that depend on the data leave it a loop.
 */
import type { Carried, Kind, Known, Place, Realisation } from "../../find/carried.ts";
import type { RefusedOpening } from "../../find/region.ts";
import { ssmPorts } from "../../find/start.ts";
import { fromFront } from "../../graph/axis.ts";
import { type Builder, fromFloat } from "../../graph/build.ts";
import type { Node } from "../../graph/graph.ts";
import { DataType } from "../../graph/tensor.ts";
import { type Blocks, blockRecurrence, isBounded } from "../../lower/blocks.ts";
import { hidden } from "../../lower/lower.ts";
import type { Constant } from "../../time/fold.ts";
import { scanAxes } from "../../time/rules/control.ts";
import { type Affine, affineStates, type Rest } from "./affine.ts";
import { type Body, bodyOf, constantsOf } from "./body.ts";
import { isScan, loopOf } from "./scan.ts";
import { spreader, spreadOf } from "./spread.ts";

/** States of a channel at most: each multiplies each. */
const MOST_STATES = 4;

export const LINEAR: Kind<RefusedOpening> = {
  name: "linear recurrence",
  isFirst: (_known, { node }) => isScan(node),
  async find(known, opening) {
    const { node } = opening;
    const loop = isScan(node) ? await linearIn(known, node) : undefined;
    const found = loop && (await loopOf(known, opening));
    if (!found || "code" in found) return undefined;
    const { carried, states, isApart } = found;
    if (!isApart || states.some(({ start }) => start !== "zeros")) return undefined;
    return { ...carried, plan: async () => realised(node, loop) } satisfies Carried;
  },
};

/** A loop of which nothing must stay one. */
interface LinearLoop {
  readonly body: Body;
  readonly constants: ReadonlyMap<string, Constant>;
  /** Dimensions of each of the states behind the batch. */
  readonly dims: readonly number[];
  readonly states: readonly Affine[];
  readonly spread: NonNullable<ReturnType<typeof spreadOf>>;
  /** What is scanned, and what is given at each position: along which axis, of how many. */
  readonly scanned: readonly Along[];
  readonly given: readonly Along[];
}

interface Along {
  readonly axis: number;
  readonly rank: number;
}

async function linearIn(known: Known, node: Node): Promise<LinearLoop | undefined> {
  const body = bodyOf(node);
  const count = node.inputs.length - Number(node.attributes.num_scan_inputs);
  const dims = stateDims(known, node, count);
  if (!body || !dims || count > MOST_STATES) return undefined;
  const constants = await constantsOf(known, node, body);
  const states = constants && affineStates(body, count, dims, constants);
  if (!states) return undefined;
  const along = (names: readonly string[], given: unknown): Along[] => {
    const axes = scanAxes(names.length, given);
    return names.map((name, i) => {
      const rank = known.graphs.shapes.seen.get(name)?.dims[0]?.length ?? 0;
      return { axis: fromFront(axes[i]!, rank), rank };
    });
  };
  const scanned = along(node.inputs.slice(count), node.attributes.scan_input_axes);
  const given = along(node.outputs.slice(count), node.attributes.scan_output_axes);
  const ranks = new Map(body.inputs.slice(count).map((name, i) => [name, scanned[i]!.rank - 1]));
  const read = new Set(ranks.keys());
  const rests = states.flatMap(({ rest }) => (rest ? tensorsOf(rest) : []));
  const before = spreadOf(body.nodes, rests, constants, ranks);
  for (const name of body.outputs.slice(0, count)) if (!ranks.has(name)) ranks.set(name, dims.length + 1);
  const outputs = body.outputs.slice(count);
  const after = spreadOf(body.nodes, outputs, constants, ranks);
  // each state is driven, and each output is made, by what differs from position to position
  const moves = states.every(({ rest }) => rest && isMoved(body, tensorsOf(rest), read));
  const isWhole = [...scanned, ...given].every(({ rank }) => rank > 1);
  if (!before || !after || !moves || !isWhole || outputs.some((name) => constants.has(name))) return undefined;
  const loop = { body, constants, dims, states, spread: new Map([...before, ...after]), scanned, given };
  return isBounded(blocksOf(loop)) ? loop : undefined;
}

/** Dimensions behind the batch, where all states have the same, from the beginning; undefined where they have not. */
function stateDims({ graphs, constants }: Known, node: Node, count: number): readonly number[] | undefined {
  const all = Array.from({ length: count }, (_, i) => {
    const after = graphs.shapes.seen.get(node.outputs[i]!)?.dims;
    const before = graphs.shapes.seen.get(node.inputs[i]!)?.dims ?? [constants.get(node.inputs[i]!)?.dims];
    const same = after?.every((own, run) => {
      const first = before[run] ?? before[0];
      return first?.length === own.length && own.every((size, k) => k === 0 || size === first[k]);
    });
    return same ? after![0]!.slice(1) : undefined;
  });
  const [first] = all;
  return first && first.length > 0 && all.every((dims) => dims?.join() === first.join()) ? first : undefined;
}

const tensorsOf = (rest: Rest): string[] => (rest.kind === "tensor" ? [rest.name] : rest.of.flatMap(tensorsOf));

/** Whether one of these tensors is made of what is read at each position. */
function isMoved({ nodes }: Body, tensors: readonly string[], read: ReadonlySet<string>): boolean {
  const reached = new Set(read);
  for (const { inputs, outputs } of nodes)
    if (inputs.some((name) => reached.has(name))) for (const name of outputs) reached.add(name);
  return tensors.some((name) => reached.has(name));
}

function blocksOf({ states, dims }: LinearLoop): Blocks {
  const [count, channels] = [states.length, dims.reduce((a, b) => a * b, 1)];
  const factors = new Float64Array(count * count * channels);
  for (const [to, state] of states.entries())
    for (const [from, values] of state.factors) factors.set(values, (to * count + from) * channels);
  return { states: count, channels, factors };
}

function realised(node: Node, loop: LinearLoop): Realisation {
  const { states, channels } = blocksOf(loop);
  const because = "a linear recurrence of constant factors: its states are multiplied and added, without a loop";
  return {
    ...{ opening: node, nodes: new Set([node]), needsStart: false },
    reports: [{ ...{ state: "ssm", form: "recurrent", channels, lags: 0, order: states }, because }],
    add: (b, place) => {
      const ports = ssmPorts(place.index, [states, channels]);
      addLinear(b, node, loop, place, { past: ports.past.name, present: ports.present.name });
      return [ports];
    },
  };
}

/** Names of the state's ports. */
interface Ports {
  readonly past: string;
  readonly present: string;
}

function addLinear(b: Builder, node: Node, loop: LinearLoop, place: Place, { past, present }: Ports): void {
  const { body, constants, dims, states, spread } = loop;
  const [count, blocks] = [states.length, blocksOf(loop)];
  const given = new Map<string, string>();
  for (const [i, { axis, rank }] of loop.scanned.entries())
    given.set(
      body.inputs[count + i]!,
      inFloat(b, atSecond(b, node.inputs[count + i]!, axis, rank), place, node, i + count),
    );
  const before = spreader(b, body.nodes, spread, constants, given);
  const flat = b.ints("flat", [0, 0, blocks.channels]);
  const driven = states.map(({ rest }) => {
    // what is the same for all channels is for each of them
    const whole = b.one("Add", [restIn(b, rest!, before), b.floats("each", dims, new Float32Array(blocks.channels))]);
    return dims.length === 1 ? whole : b.one("Reshape", [whole, flat], {}, { hint: "driven" });
  });
  const all = count === 1 ? driven[0]! : b.one("Concat", driven, { axis: 2 }, { hint: "driven" });
  const x = place.mask === undefined ? all : hidden(b, all, place.mask);
  const y = blockRecurrence(b, blocks, { x, past, present }, place);
  const apart = b.one("Reshape", [y, b.ints("states", [0, 0, count, ...dims])], {}, { hint: "states" });
  for (const [i, name] of body.outputs.slice(0, count).entries()) {
    const row = b.ints("row", i);
    if (!given.has(name)) given.set(name, b.one("Gather", [apart, row], { axis: 2 }, { hint: "state" }));
    const last = node.outputs[i];
    if (!last) continue;
    const own = b.one("Gather", [present, row], { axis: 1 }, { hint: "last" });
    b.one("Reshape", [own, b.ints("state", [0, ...dims])], {}, { outputs: [last] });
  }
  const after = spreader(b, body.nodes, spread, constants, given);
  for (const [i, { axis, rank }] of loop.given.entries()) {
    const name = node.outputs[count + i];
    if (name) fromSecond(b, after(body.outputs[count + i]!), axis, rank, { name, type: place.typeOf(name) });
  }
}

/** What does not depend on the states. */
function restIn(b: Builder, rest: Rest, nameOf: (name: string) => string): string {
  if (rest.kind === "tensor") return nameOf(rest.name);
  const parts = rest.of.map((each) => restIn(b, each, nameOf));
  return b.one(rest.op, parts, {}, { hint: "driven" });
}

/** In float32, as the factors are. */
function inFloat(b: Builder, tensor: string, place: Place, node: Node, input: number): string {
  if (place.typeOf(node.inputs[input]!) === DataType.FLOAT) return tensor;
  return b.one("Cast", [tensor], { to: DataType.FLOAT }, { hint: "scanned" });
}

/** The axis that is scanned brought behind the batch. */
function atSecond(b: Builder, tensor: string, axis: number, rank: number): string {
  const [batch, ...others] = Array.from({ length: rank }, (_, k) => k).filter((k) => k !== axis);
  return axis === 1 ? tensor : b.one("Transpose", [tensor], { perm: [batch!, axis, ...others] }, { hint: "scanned" });
}

/** And back, under its name. */
function fromSecond(
  b: Builder,
  tensor: string,
  axis: number,
  rank: number,
  { name, type }: { readonly name: string; readonly type: number },
): void {
  const perm = Array.from({ length: rank }, (_, k) => k).filter((k) => k !== 1);
  perm.splice(axis, 0, 1);
  b.one("Transpose", [fromFloat(b, tensor, type, "given")], { perm }, { outputs: [name] });
}
