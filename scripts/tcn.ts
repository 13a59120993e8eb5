/** A TCN as it is exported, and the same written by hand with its buffers as inputs and outputs: what a conversion is measured against. */
import { type Builder, createBuilder, makeModel } from "../converter/graph/build.ts";
import type { Model, ValueInfo } from "../converter/graph/graph.ts";
import { DataType } from "../converter/graph/tensor.ts";
import { uniform } from "../src/random.ts";

/** Layers of k taps with dilation 1, 2, 4, …, each with ReLU and a residual. */
export interface Tcn {
  readonly layers: number;
  readonly channels: number;
  readonly taps: number;
}

/** Frames that an output depends on. */
export const receptiveField = ({ layers, taps }: Tcn): number => 1 + (taps - 1) * (2 ** layers - 1);

const OPSET = 18;
const END = 2 ** 53 - 1;

/** signal [batch, channels, time] → features; each layer is padded with zeros in front. */
export function exportedTcn(tcn: Tcn): Model {
  return modelOf(tcn, [], [], (b, x, layer) => {
    const pads = b.ints("pads", [0, 0, reach(tcn, layer), 0, 0, 0]);
    return b.one("Pad", [x, pads]);
  });
}

/** The same with buffers: past_conv.{i} [batch, channels, rows] → present_conv.{i}. */
export function handWrittenTcn(tcn: Tcn): Model {
  const ports = (name: string) =>
    Array.from({ length: tcn.layers }, (_, i) => info(`${name}_conv.${i}`, ["batch", tcn.channels, reach(tcn, i)]));
  const [past, present] = [ports("past"), ports("present")];
  return modelOf(tcn, past, present, (b, x, layer) => {
    const window = b.one("Concat", [past[layer]!.name, x], { axis: 2 });
    const last = [b.ints("from", [-reach(tcn, layer)]), b.ints("to", [END]), b.ints("axis", [2])];
    b.one("Slice", [window, ...last], {}, { outputs: [present[layer]!.name] });
    return window;
  });
}

const reach = ({ taps }: Tcn, layer: number): number => (taps - 1) * 2 ** layer;

const info = (name: string, dims: ValueInfo["dims"]): ValueInfo => ({ name, type: DataType.FLOAT, dims });

function modelOf(
  { layers, channels, taps }: Tcn,
  past: readonly ValueInfo[],
  present: readonly ValueInfo[],
  before: (b: Builder, x: string, layer: number) => string,
): Model {
  const taken = [...past, ...present].map(({ name }) => name);
  const b = createBuilder(OPSET, ["signal", "features", ...taken]);
  const next = uniform(1);
  const scale = Math.sqrt(3 / (channels * taps));
  const draw = (size: number) => Float32Array.from({ length: size }, () => scale * (2 * next() - 1));
  let x = "signal";
  for (let layer = 0; layer < layers; layer++) {
    const weights = b.floats("w", [channels, channels, taps], draw(channels * channels * taps));
    const bias = b.floats("b", [channels], draw(channels));
    const convolved = b.one("Conv", [before(b, x, layer), weights, bias], { dilations: [2 ** layer] });
    const outputs = layer === layers - 1 ? { outputs: ["features"] } : {};
    x = b.one("Add", [x, b.one("Relu", [convolved])], {}, outputs);
  }
  return makeModel({
    inputs: [info("signal", ["batch", channels, "time"]), ...past],
    outputs: [info("features", ["batch", channels, "time"]), ...present],
    nodes: b.nodes,
    initializers: b.initializers,
    opsets: OPSET,
  });
}
