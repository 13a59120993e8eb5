/**
 * Recurrent layers along time: RNN, GRU and LSTM are kept, and begin with the hidden state that the call before has left.
 * https://onnx.ai/onnx/operators/onnx__LSTM.html; those with the batch in front were turned before (converter/expand).
 */
import type { Carried, Kind, Place, Realisation, StateReport } from "../../find/carried.ts";
import { type RefusedOpening, refuseOpening } from "../../find/region.ts";
import { begunWithStart, type Start, ssmPorts, startOf } from "../../find/start.ts";
import type { Builder } from "../../graph/build.ts";
import type { Node } from "../../graph/graph.ts";
import { type Axis, channelsIn, type Fact, type Layout, timeAxis } from "../../time/facts/fact.ts";
import { isOffset } from "../../time/offset.ts";
import { recurrentLayouts } from "../../time/rules/recurrent.ts";
import { isWholeLength } from "../../time/whole.ts";
import { shownOf, untilEnd } from "./shown.ts";

/** States that each operator carries: the hidden one, and the cell. */
const STATES: Readonly<Record<string, number>> = { RNN: 1, GRU: 1, LSTM: 2 };
/** Inputs 5 and 6: initial_h and initial_c. */
const INITIAL = 5;
const LENGTHS = 4;

export const RECURRENT: Kind<RefusedOpening> = {
  name: "recurrent layer",
  isFirst: (_known, { node }) => isRecurrent(node),
  async find(known, opening) {
    const { node, reason } = opening;
    if (!isRecurrent(node)) return undefined;
    const refuse = (code: RefusedOpening["code"], why: string) => refuseOpening(node, code, why);
    const fact = known.time.facts.get(node.inputs[0]!);
    if (fact?.kind !== "stream" || fact.axes.length !== 3) return refuse("mixes-time", reason);
    if (isOffset(fact)) return refuse("mixes-time", "is recurrent over the padding before the first position");
    const batch = fact.axes[1]!;
    if (batch[0] !== "batch" || timeAxis(fact.axes) !== 0 || batch.includes("time"))
      return refuse("unsupported-layout", "is recurrent over a batch that is laid out in another order");
    const { facts, context } = known.time;
    const fixed = context.fixed ? context.sizes.time : undefined;
    const around = { facts, constants: known.constants, producer: known.graphs.index.producer };
    const isWhole = !node.inputs[LENGTHS] || isWholeLength(node.inputs[LENGTHS], around, fixed);
    const lengths = isWhole ? undefined : facts.get(node.inputs[LENGTHS]!);
    if (lengths && (lengths.kind !== "still" || lengths.axes.join() !== "batch"))
      return refuse(
        "unsupported-layout",
        "reads as many positions as sequence_lens that are no input for each sequence",
      );
    const starts: Start[] = [];
    for (let i = 0; i < STATES[node.op]!; i++) {
      const start = await startOf(known, node.inputs[INITIAL + i] ?? "", 1);
      if (typeof start === "object" && "reason" in start) return refuse(start.code, start.reason);
      starts.push(start);
    }
    const hidden = Number(node.attributes.hidden_size);
    const { all, last } = recurrentLayouts(fact.axes, { layout: 0, directions: 1, hidden });
    const given: Fact[] = [
      { kind: "stream", axes: all },
      { kind: "last", axes: last },
      { kind: "last", axes: last },
    ];
    return {
      ...{ opening: node, nodes: new Set([node]), reason, seesPadding: batch.length > 1 ? true : undefined },
      exits: node.outputs.flatMap((tensor, i) => (tensor ? [{ tensor, fact: given[i]! }] : [])),
      plan: async () => realised(node, { starts, hidden, batch, axes: fact.axes, ends: lengths !== undefined }),
    } satisfies Carried;
  },
};

/** Whether it reads sequence_lens. */
export const endsWhereToldTo = (node: Node): boolean => isRecurrent(node) && Boolean(node.inputs[LENGTHS]);

const isRecurrent = ({ op, domain }: Node): boolean => domain === "" && Object.hasOwn(STATES, op);

interface Layer {
  readonly starts: readonly Start[];
  readonly hidden: number;
  readonly batch: Axis;
  readonly axes: Layout;
  /** Sequences end where sequence_lens says. */
  readonly ends: boolean;
}

function realised(node: Node, layer: Layer): Realisation {
  const { starts, hidden, batch } = layer;
  const channels = channelsIn(batch) * hidden;
  const report: StateReport = {
    ...{ state: "ssm", form: "recurrent", channels, lags: 0, order: starts.length },
    because: starts.length === 2 ? "its hidden state and its cell are carried" : "its hidden state is carried",
  };
  return {
    ...{ opening: node, nodes: new Set([node]), reports: [report] },
    needsStart: layer.ends || starts.some((start) => start !== "zeros"),
    add: (b, place) => {
      const { index, original } = place;
      const ports = ssmPorts(index, [starts.length, channels]);
      addLayer(b, original(node), layer, place, { past: ports.past.name, present: ports.present.name, channels });
      return [ports];
    },
  };
}

/** The layer with its state as input and output. */
function addLayer(
  b: Builder,
  node: Node,
  layer: Layer,
  place: Place,
  { past, present, channels }: { readonly past: string; readonly present: string; readonly channels: number },
): void {
  const { starts, hidden } = layer;
  const one = [1, -1, hidden];
  const rows = starts.map((_, i) => (starts.length === 1 ? past : row(b, past, i)));
  const states = rows.map((own, i) => {
    const shaped = b.one("Reshape", [own, b.ints("state", one)], {}, { hint: "state" });
    const start = starts[i]!;
    if (start === "zeros") return shaped;
    return begunWithStart(b, place, start, shaped, { rank: 3, batchAxis: 1 });
  });
  const shown = layer.ends ? untilEnd(b, node, node.inputs[LENGTHS]!, place) : shownOf(b, node, layer.batch, place);
  // that it is the length itself says nothing
  const inputs = node.inputs.map((name, i) => (i === LENGTHS ? "" : name));
  while (inputs.length < INITIAL + states.length) inputs.push("");
  for (const [i, state] of states.entries()) inputs[INITIAL + i] = state;
  if (shown) {
    inputs[0] = shown.toFront(inputs[0]!);
    inputs[LENGTHS] = shown.lengths;
  }
  const made = [...node.outputs, ...Array.from({ length: 3 }, () => "")].slice(0, 1 + states.length);
  const outputs = made.map((name, i) => (name && !shown ? name : b.name(`${node.name}_${i}`)));
  b.copy(node, inputs, outputs);
  if (shown && node.outputs[0]) shown.toBack(outputs[0]!, node.outputs[0]);
  const size = b.ints("row", [-1, 1, channels]);
  const last = outputs.slice(1).map((name, i) => {
    const kept = shown ? shown.orBefore(name, states[i]!) : name;
    const answer = node.outputs[i + 1];
    if (shown && answer) b.one("Identity", [kept], {}, { outputs: [answer] });
    return [kept, size] as const;
  });
  if (last.length === 1) b.one("Reshape", [...last[0]!], {}, { outputs: [present] });
  else {
    const shaped = last.map((each) => b.one("Reshape", [...each], {}, { hint: "state" }));
    b.one("Concat", shaped, { axis: 1 }, { outputs: [present] });
  }
}

const row = (b: Builder, past: string, i: number): string =>
  b.one("Slice", [past, b.ints("from", [i]), b.ints("to", [i + 1]), b.ints("axis", [1])], {}, { hint: "state" });
