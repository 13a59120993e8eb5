/**
 * A loop along time: Scan is kept, and begins with the states that the call before has left.
 * https://onnx.ai/onnx/operators/onnx__Scan.html
 */
import type { Claim } from "../../../src/contract.ts";
import type { Carried, Kind, Known, Place, Realisation } from "../../find/carried.ts";
import { type RefusedOpening, refuseOpening } from "../../find/region.ts";
import { mixesBatch, ROWS_SEEN } from "../../find/sight.ts";
import { begunWithStart, type Start, ssmPorts, startOf } from "../../find/start.ts";
import { fromFront } from "../../graph/axis.ts";
import type { Builder } from "../../graph/build.ts";
import type { Node } from "../../graph/graph.ts";
import { readsOf } from "../../graph/reads.ts";
import { DataType } from "../../graph/tensor.ts";
import { possibleLayouts } from "../../parts/seen-shapes.ts";
import type { Layout } from "../../time/facts/fact.ts";
import type { Opening } from "../../time/follow.ts";
import { isOffset } from "../../time/offset.ts";
import { scanAxes } from "../../time/rules/control.ts";
import { maskedBody } from "./masked.ts";
import { rowsOf } from "./rows.ts";

export const SCAN: Kind<RefusedOpening> = {
  name: "loop",
  isFirst: (_known, { node }) => isScan(node),
  async find(known, opening) {
    const { node } = opening;
    const loop = isScan(node) ? await loopOf(known, opening) : undefined;
    if (!loop || "code" in loop) return loop;
    const { carried, states, claim } = loop;
    return { ...carried, plan: async () => ({ ...realised(node, states), claim }) } satisfies Carried;
  },
};

/** A loop that can be carried. */
interface Loop {
  readonly carried: Omit<Carried, "plan">;
  readonly states: readonly State[];
  /** Whether a rule says that the rows of a batch keep apart; what is claimed where none does. */
  readonly isApart: boolean;
  readonly claim: Claim | undefined;
}

/** What a Scan carries, or why it cannot. */
export async function loopOf(known: Known, { node, reason }: Opening): Promise<Loop | RefusedOpening> {
  const { facts } = known.time;
  const refuse = (code: RefusedOpening["code"], why: string) => refuseOpening(node, code, why);
  const count = node.inputs.length - Number(node.attributes.num_scan_inputs);
  if (node.inputs.slice(count).some((name) => isOffset(facts.get(name)!)))
    return refuse("mixes-time", "loops over the padding before the first position");
  const inside = [...readsOf(node)].filter((name) => !node.inputs.includes(name));
  const stray = inside.find((name) => !isStill(known, name));
  if (stray) return refuse("depends-on-data", `reads the whole of '${stray}' at each position`);
  const layouts = layoutsOf(known, node, count);
  if (typeof layouts === "string") return refuse("unsupported-layout", layouts);
  const states: State[] = [];
  for (const [i, dims] of layouts.states.entries()) {
    const start = await startOf(known, node.inputs[i]!, 0);
    if (typeof start === "object" && "reason" in start) return refuse(start.code, start.reason);
    states.push({ dims, start });
  }
  const last = layouts.states.map((dims): Layout => [["batch"], ...dims.map((size) => (size === 1 ? [] : [size]))]);
  const exits = node.outputs.flatMap((tensor, i): Exit[] => {
    if (!tensor) return [];
    if (i < count) return [{ tensor, fact: { kind: "last", axes: last[i]! } }];
    return [{ tensor, fact: { kind: "stream", axes: layouts.streams[i - count]! } }];
  });
  const scanned = [...new Set(node.inputs.slice(count))].flatMap((tensor) => {
    const fact = facts.get(tensor);
    return fact?.kind === "stream" ? [{ tensor, axes: fact.axes }] : [];
  });
  const ends = exits.map(({ tensor, fact: { axes } }) => ({ tensor, axes }));
  const axes = scanAxes(node.inputs.length - count, node.attributes.scan_input_axes);
  const each = node.inputs.slice(count).map((name, i) => {
    const fact = facts.get(name);
    const layout = fact && "axes" in fact ? fact.axes : undefined;
    return layout?.filter((_, k) => k !== fromFront(axes[i]!, layout.length));
  });
  const rows = await rowsOf(known, node, layouts.states, each);
  if (rows && !rows.apart)
    return refuse("mixes-batch", `reads other sequences of the batch in its loop: ${rows.because}`);
  const isMixed = rows === undefined && (await mixesBatch(known, scanned, ends));
  if (isMixed === undefined)
    return refuse("mixes-batch", "does not run by itself, so other sequences may be read in its loop");
  if (isMixed) return refuse("mixes-batch", "reads other sequences of the batch in its loop");
  const because = "no rule says that the rows of a batch keep apart in its loop, and batches up to there were tried";
  const claim: Claim | undefined = rows ? undefined : { kind: "seen", rows: ROWS_SEEN, node: node.name, because };
  return {
    carried: { opening: node, nodes: new Set([node]), reason, exits },
    states,
    isApart: rows !== undefined,
    claim,
  };
}

export const isScan = ({ op, domain }: Node): boolean => domain === "" && op === "Scan";

/** Whether a tensor that a loop reads beside its inputs is the same at every position. */
const isStill = ({ time, constants, graphs }: Known, name: string): boolean => {
  const fact = time.facts.get(name);
  if (constants.has(name) || graphs.model.graph.initializers.has(name)) return true;
  return fact?.kind === "constant" || fact?.kind === "still";
};

interface Exit {
  readonly tensor: string;
  readonly fact: { readonly kind: "last" | "stream"; readonly axes: Layout };
}

interface State {
  /** Behind the batch. */
  readonly dims: readonly number[];
  readonly start: Start;
}

/** Dimensions of the states behind the batch, and layouts of what comes out for each position; a sentence where they have none. */
function layoutsOf(
  { graphs: { shapes } }: Known,
  node: Node,
  count: number,
): { states: readonly (readonly number[])[]; streams: readonly Layout[] } | string {
  const states: (readonly number[])[] = [];
  const streams: Layout[] = [];
  const axes = scanAxes(node.outputs.length - count, node.attributes.scan_output_axes);
  for (const [i, name] of node.outputs.entries()) {
    const seen = shapes.seen.get(name);
    if (!seen) {
      if (!name && i >= count) streams.push([]);
      else return "has a state whose shape is not known";
      continue;
    }
    if (i < count) {
      const [first] = seen.dims;
      const isBatch = shapes.runs.every(({ batch }, run) => seen.dims[run]![0] === batch);
      const isFixed = first!.every((size, k) => k === 0 || seen.dims.every((dims) => dims[k] === size));
      if (!isBatch || !isFixed || seen.type !== DataType.FLOAT)
        return "carries something that is not a float32 tensor with a row for each sequence";
      states.push(first!.slice(1));
      continue;
    }
    const axis = fromFront(axes[i - count]!, seen.dims[0]!.length);
    const layout = possibleLayouts(seen, shapes.runs).find((each) => each[axis]!.join() === "time");
    if (!layout) return "gives something that is not one row for each position and sequence";
    streams.push(layout);
  }
  return { states, streams };
}

function realised(node: Node, states: readonly State[]): Realisation {
  const because = "what the loop carries from one position to the next";
  return {
    ...{ opening: node, nodes: new Set([node]), needsStart: states.some(({ start }) => start !== "zeros") },
    reports: states.map(({ dims }) => ({
      ...{
        state: "ssm",
        form: "recurrent",
        channels: dims.reduce((a, c) => a * c, 1),
        lags: 0,
        order: 1,
        dims,
        because,
      },
    })),
    add: (b, place) => {
      const ports = states.map(({ dims }, i) => ssmPorts(place.index + i, dims));
      addScan(
        b,
        place.original(node),
        states,
        place,
        ports.map(({ past, present }) => [past.name, present.name]),
      );
      return ports;
    },
  };
}

function addScan(
  b: Builder,
  node: Node,
  states: readonly State[],
  place: Place,
  names: readonly (readonly string[])[],
): void {
  const begun = states.map(({ dims, start }, i) => {
    const [past] = names[i]!;
    if (start === "zeros") return past!;
    return begunWithStart(b, place, start, past!, { rank: 1 + dims.length, batchAxis: 0 });
  });
  const { mask } = place;
  const looped =
    mask === undefined
      ? node
      : maskedBody(
          node,
          states.map(({ dims }) => dims.length + 1),
        );
  const inputs = [...begun, ...node.inputs.slice(states.length), ...(mask === undefined ? [] : [mask])];
  // past and present may be one buffer: the loop has ended before the state is written
  const last = states.map(() => b.name("state"));
  const outputs = node.outputs.map((name, i) => (i < states.length ? last[i]! : name));
  b.copy(looped, inputs, outputs);
  for (const [i, name] of last.entries()) b.one("Identity", [name], {}, { outputs: [names[i]![1]!] });
  for (const i of states.keys()) {
    const name = node.outputs[i];
    if (name) b.one("Identity", [last[i]!], {}, { outputs: [name] });
  }
}
