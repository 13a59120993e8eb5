/** Puts the converted graph together: every region gives way to its recurrence, with its state as input and output. */
import { ATTENTION_MASK, BATCH_SIZE, NUM_LOGITS_TO_KEEP, SEQUENCE_LENGTH, TOTAL_LENGTH } from "../../src/contract.ts";
import type { Found } from "../find/find.ts";
import type { Region } from "../find/region.ts";
import type { Form } from "../form.ts";
import { lowerConvolution, stepCondition, tablesFor } from "../lower/lower.ts";
import { type Builder, createBuilder, irVersionFor, namesOf } from "../onnx/build.ts";
import type { Initializer, Model, Node, ValueInfo } from "../onnx/graph.ts";
import { readsOf, rewire } from "../onnx/node.ts";
import { topological } from "../onnx/order.ts";
import { withFields } from "../onnx/schema.ts";
import { DataType } from "../onnx/tensor.ts";
import { floatTypeOf } from "../onnx/widen.ts";
import { axisOf, type Layout, timeAxis } from "../time/fact.ts";
import { headCutting, keepLast } from "./head.ts";
import { fromCanonical, type SymbolNames, toCanonical, withoutSymbols } from "./layout.ts";
import { addCounter, countedNodes } from "./positions.ts";
import { prune } from "./prune.ts";
import { withSymbolicShape } from "./shapes.ts";
import type { Tables } from "./tables.ts";

/** A convolution and the form that takes its place. */
export interface Layer {
  readonly region: Region;
  /** Undefined cuts the convolution out: what enters it is passed on, for the floor of a benchmark. */
  readonly form: Form | undefined;
}

export interface AssembleOptions {
  /** Add the input `attention_mask`, so that left-padded batches are exact. */
  readonly attentionMask: boolean;
  /** Add the input `num_logits_to_keep`. */
  readonly numLogitsToKeep: boolean;
  /**
   * `step`: one token of one sequence a call, without control flow and with static shapes, so that a GPU can record
   * its commands once (graph capture).
   */
  readonly path: "both" | "step";
  /** The tables that the model looks up by position. */
  readonly tables: Tables;
  readonly metadata: ReadonlyMap<string, string>;
}

/** The converted model, in memory. */
export function assemble(found: Found, layers: readonly Layer[], options: AssembleOptions): Model {
  // names are the same in the model and in the twin that was analysed; nodes are not
  const { inputs } = found.graphs;
  const model = found.original;
  const b = createBuilder(model.opsets.get("") ?? 13, namesOf(model.graph));
  const isStatic = options.path === "step";
  const symbols = isStatic
    ? STATIC_SYMBOLS(b)
    : symbolNames(b, inputs.main.name, inputs.layouts.get(inputs.main.name)!);
  const mask = options.attentionMask ? maskColumns(b, symbols) : undefined;
  const isStep = isStatic ? undefined : stepCondition(b, symbols.time());
  const forms = layers.map(({ form }) => form);
  const tables = isStatic ? [] : tablesFor(b, forms, symbols.time(), isStep);
  const states: { past: ValueInfo; present: ValueInfo }[] = [];
  const inside = new Set<string>();
  for (const [i, { region, form }] of layers.entries()) {
    for (const node of region.nodes) inside.add(node.name);
    b.from(region.opening);
    const input = repeated(b, toCanonical(b, region.entry.tensor, region.entry.axes, symbols), region);
    const elementType = floatTypeOf(model, region.entry.tensor);
    const site = { index: i, input, elementType, mask, isStep, tables: tables[i] };
    const lowered = form
      ? lowerConvolution(b, form, site, { path: options.path })
      : { output: passOn(b, input, region), state: undefined };
    if (lowered.state) states.push(lowered.state);
    const y = region.bias ? withBias(b, lowered.output, region.bias, elementType) : lowered.output;
    fromCanonical(b, y, region.exit.axes, symbols, region.exit.tensor);
    b.from(undefined);
  }
  const counter = found.counter.uses.length ? addCounter(b, layers.length, symbols, mask) : undefined;
  if (counter) states.push(counter);
  const counted = counter && countedNodes(b, found, options.tables, counter, symbols);
  const rest = model.graph.nodes
    .filter((node) => !inside.has(node.name))
    .map((node) => withSymbolicShape(b, counted?.get(node.name) ?? node, found, symbols));
  const whole = [...rest, ...b.nodes];
  const nodes = options.numLogitsToKeep ? cutHead(b, found, whole) : whole;

  const graphInputs = [
    ...model.graph.inputs.map((input) => symbolic(input, inputs.layouts.get(input.name)!, false, isStatic)),
    ...(options.attentionMask
      ? [{ name: ATTENTION_MASK, type: DataType.INT64, dims: [BATCH_SIZE, TOTAL_LENGTH] }]
      : []),
    ...(options.numLogitsToKeep ? [{ name: NUM_LOGITS_TO_KEEP, type: DataType.INT64, dims: [] }] : []),
    ...states.map((state) => (isStatic ? oneSequence(state.past) : state.past)),
  ];
  const graphOutputs = [
    ...model.graph.outputs.map((output, i) =>
      symbolic(output, layoutOfOutput(found, output), options.numLogitsToKeep && i === 0, isStatic),
    ),
    ...states.map((state) => (isStatic ? oneSequence(state.present) : state.present)),
  ];
  return finish(model, b, nodes, graphInputs, graphOutputs, options.metadata);
}

/** Each channel as often as it is answered by a kernel; a stream of one channel is left to the recurrence to broadcast. */
function repeated(b: Builder, input: string, { entryChannels, channels }: Region): string {
  if (entryChannels === channels || entryChannels === 1) return input;
  const sources = Array.from({ length: channels }, (_, c) => Math.floor((c * entryChannels) / channels));
  return b.one("Gather", [input, b.ints("channels", sources)], { axis: 2 }, { hint: "repeated" });
}

/** What enters the convolution, in as many channels as leave it. */
function passOn(b: Builder, input: string, { entryChannels, channels }: Region): string {
  if (entryChannels !== 1 || channels === 1) return input;
  return b.one("Tile", [input, b.ints("repeats", [1, 1, channels / entryChannels])], {}, { hint: "passed_on" });
}

/** The declared dimensions follow the layout; the number of kept logits has a symbol of its own. */
function symbolic(info: ValueInfo, layout: Layout, kept = false, isStatic = false): ValueInfo {
  const axes = isStatic ? withoutSymbols(layout) : layout;
  const symbol = kept ? "num_logits" : SEQUENCE_LENGTH;
  const dims = axes.map((axis) =>
    axis.length === 0
      ? 1
      : axis.length > 1 && axis.some((f) => typeof f !== "number")
        ? axis.join("_")
        : axis[0] === "batch"
          ? BATCH_SIZE
          : axis[0] === "time"
            ? symbol
            : axis.reduce<number>((p, f) => p * Number(f), 1),
  );
  return { name: info.name, type: info.type, dims };
}

function layoutOfOutput(found: Found, output: ValueInfo): Layout {
  const fact = found.time.facts.get(output.name);
  return fact && "axes" in fact && fact.axes
    ? fact.axes
    : (output.dims ?? []).map((size) => (typeof size === "number" && size > 1 ? [size] : []));
}

/** A state of a batch of one. */
const oneSequence = (info: ValueInfo): ValueInfo => ({ ...info, dims: [1, ...(info.dims ?? []).slice(1)] });

/** Batch size and length of the step: both 1, so that no shape is computed while it runs. */
const STATIC_SYMBOLS = (b: Builder): SymbolNames => ({
  batch: () => b.ints("batch_size", [1]),
  time: () => b.ints("sequence_length", [1]),
  areOne: true,
});

/** Batch size and length, read from the main input where they are needed at all. */
function symbolNames(b: Builder, main: string, axes: Layout): SymbolNames {
  const read = (axis: number, hint: string) => {
    let name: string | undefined;
    return () => {
      name ??=
        b.opset >= 15
          ? b.one("Shape", [main], { start: axis, end: axis + 1 }, { hint })
          : b.one("Gather", [b.one("Shape", [main], {}, { hint: "shape" }), b.ints("axis", [axis])], {}, { hint });
      return name;
    };
  };
  return { batch: read(axisOf(axes, "batch"), "batch_size"), time: read(timeAxis(axes), "sequence_length") };
}

/** The mask's last sequence_length columns as float32 [batch, time, 1]. */
function maskColumns(b: Builder, symbols: SymbolNames): string {
  const start = b.one("Neg", [symbols.time()], {}, { hint: "first_column" });
  const columns = b.one(
    "Slice",
    [ATTENTION_MASK, start, b.ints("end", [2 ** 53 - 1]), b.ints("axis", [1])],
    {},
    { hint: "mask" },
  );
  const floats = b.one("Cast", [columns], { to: DataType.FLOAT }, { hint: "mask" });
  return b.one("Unsqueeze", [floats, b.ints("axis", [2])], {}, { hint: "mask" });
}

/** Adds a number to each channel; the addend is cast to the stream's type where that is not float32. */
function withBias(b: Builder, stream: string, bias: Float64Array, type: number): string {
  const addend = b.floats("bias", [bias.length], bias);
  const typed = type === DataType.FLOAT ? addend : b.one("Cast", [addend], { to: type }, { hint: "bias" });
  return b.one("Add", [stream, typed], {}, { hint: "biased" });
}

/** Cuts the stream in front of the product with the vocabulary, or the logits themselves. */
function cutHead(b: Builder, found: Found, nodes: readonly Node[]): Node[] {
  const before = b.nodes.length;
  const logits = found.original.graph.outputs[0]!.name;
  const cutting = headCutting(logits, found.graphs.index, found.time);
  // a product inside a region is gone
  if (!cutting || !nodes.some((node) => node.name === cutting.node.name)) {
    const axis = timeAxis(layoutOfOutput(found, found.original.graph.outputs[0]!));
    const whole = b.name("all_logits");
    const renamed = nodes.map((node) =>
      node.outputs.includes(logits)
        ? rewire(node, { outputs: node.outputs.map((name) => (name === logits ? whole : name)) })
        : node,
    );
    b.one("Identity", [keepLast(b, whole, axis)], {}, { outputs: [logits] });
    return [...renamed, ...b.nodes.slice(before)];
  }
  const kept = keepLast(b, cutting.node.inputs[cutting.input]!, cutting.axis);
  const rewired = nodes.map((node) =>
    node.name === cutting.node.name
      ? rewire(node, { inputs: node.inputs.map((name, i) => (i === cutting.input ? kept : name)) })
      : node,
  );
  return [...rewired, ...b.nodes.slice(before)];
}

function finish(
  model: Model,
  b: Builder,
  nodes: readonly Node[],
  inputs: readonly ValueInfo[],
  outputs: readonly ValueInfo[],
  metadata: ReadonlyMap<string, string>,
): Model {
  const initializers = new Map([...model.graph.initializers, ...b.initializers]);
  const given = [...inputs.map((input) => input.name), ...initializers.keys()];
  const names = outputs.map((output) => output.name);
  const sorted = topological(prune(nodes, names), given, names, model.file);
  const read = new Set(sorted.flatMap((node) => [...readsOf(node)]).concat(names));
  const used = new Map([...initializers].filter(([name]) => read.has(name)));
  return {
    ...model,
    irVersion: leastIrVersion(model, used.values(), sorted),
    graph: { inputs, outputs, nodes: sorted, initializers: used },
    metadata: new Map([...model.metadata, ...metadata]),
    // declared shapes of inner tensors are those of whole sequences
    proto: withFields(model.proto, { graph: withFields(model.proto.graph ?? {}, { valueInfo: [] }), functions: [] }),
  };
}

/** Exporters declare newer IR versions than their opset needs, and older runtimes refuse those: PyTorch's opset 18 has IR 10. */
function leastIrVersion(model: Model, initializers: Iterable<Initializer>, nodes: readonly Node[]): number {
  const types = [
    ...[...initializers].map(({ type }) => type),
    ...nodes.map(({ attributes: { to } }) => Number(to ?? 0)),
  ];
  // float8, int4 and what came after them are newer than IR 8
  if (types.some((type) => type > DataType.BFLOAT16)) return model.irVersion;
  return Math.min(model.irVersion, irVersionFor(model.opsets.get("") ?? 0));
}
