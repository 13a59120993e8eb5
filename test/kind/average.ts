/**
 * A kind of state that the converter does not know: the exponential average y_i = d·y_{i−1} + (1 − d)·x_i as an operator
 * `toy::ExponentialAverage` of x [batch, time, channels]. All that a kind is: what its operator is to time, how it closes an
 * opening, what it carries, and its nodes.
 */
import type { Carried, Kind, Place, Realisation, StateReport } from "../../converter/find/carried.ts";
import type { RefusedOpening } from "../../converter/find/region.ts";
import { ssmPorts } from "../../converter/find/start.ts";
import type { Builder } from "../../converter/graph/build.ts";
import type { Node } from "../../converter/graph/graph.ts";
import { DataType } from "../../converter/graph/tensor.ts";
import { axisSize, type Layout } from "../../converter/time/facts/fact.ts";
import { mixes } from "../../converter/time/facts/rule.ts";

export const DOMAIN = "toy";
export const OPERATOR = "ExponentialAverage";
const LAST = 2 ** 53 - 1;

export const AVERAGE: Kind<RefusedOpening> = {
  name: "average",
  operators: { [`${DOMAIN}::${OPERATOR}`]: () => mixes("averages over the positions before it") },
  isFirst: (_known, { node }) => node.domain === DOMAIN && node.op === OPERATOR,
  async find({ time }, { node, stream, reason }) {
    const fact = time.facts.get(stream);
    if (node.domain !== DOMAIN || fact?.kind !== "stream") return undefined;
    const { axes } = fact;
    return {
      ...{ opening: node, nodes: new Set([node]), reason },
      exits: [{ tensor: node.outputs[0]!, fact: { kind: "stream", axes } }],
      plan: async () => realised(node, axes),
    } satisfies Carried;
  },
};

function realised(node: Node, axes: Layout): Realisation {
  const channels = axisSize(axes[2]!, { batch: 1, time: 1 });
  const report: StateReport = {
    ...{ state: "ssm", form: "recurrent", channels, lags: 0, order: 1, dims: [1, channels] },
    because: "the average so far is carried",
  };
  return {
    ...{ opening: node, nodes: new Set([node]), reports: [report], needsStart: false },
    add: (b, place) => {
      const ports = ssmPorts(place.index, [1, channels]);
      addAverage(b, node, place, ports.past.name, ports.present.name);
      return [ports];
    },
  };
}

/** y = D x + d^(i+1) past, with D_ij = (1 − d) d^(i−j) up to the diagonal. */
function addAverage(b: Builder, node: Node, place: Place, past: string, present: string): void {
  const decay = Number(node.attributes.decay);
  const x = place.mask ? b.one("Mul", [node.inputs[0]!, place.mask]) : node.inputs[0]!;
  const n = b.one("Squeeze", [place.symbols.time(), b.ints("axis", [0])]);
  const places = b.one("Range", [b.ints("first", 0), n, b.ints("by", 1)]);
  const at = b.one("Cast", [places], { to: DataType.FLOAT });
  const column = b.one("Unsqueeze", [at, b.ints("axis", [1])]);
  const apart = b.one("Sub", [column, at]);
  const base = b.floats("decay", [], [decay]);
  const zero = b.floats("zero", [], [0]);
  const weight = b.one("Mul", [b.one("Pow", [base, b.one("Max", [apart, zero])]), b.floats("rest", [], [1 - decay])]);
  const matrix = b.one("Where", [b.one("Less", [apart, zero]), zero, weight]);
  const left = b.one("Pow", [base, b.one("Add", [column, b.floats("one", [], [1])])]);
  const [y] = [b.one("Add", [b.one("MatMul", [matrix, x]), b.one("Mul", [left, past])], {}, { outputs: node.outputs })];
  b.one("Slice", [y, b.ints("from", [-1]), b.ints("to", [LAST]), b.ints("axis", [1])], {}, { outputs: [present] });
}
