/** Puts the converted graph together: every region gives way to its recurrence, with its state as input and output. */
import { ATTENTION_MASK } from "../../src/contract.ts";
import type { Found } from "../find/find.ts";
import type { Region } from "../find/region.ts";
import type { Form } from "../form.ts";
import { lowerConvolution, stepCondition, tablesFor } from "../lower/lower.ts";
import { type Builder, createBuilder, irVersionFor, namesOf } from "../onnx/build.ts";
import type { Initializer, Model, Node } from "../onnx/graph.ts";
import { topological } from "../onnx/order.ts";
import { prune } from "../onnx/prune.ts";
import { readsOf } from "../onnx/reads.ts";
import { withFields } from "../onnx/schema.ts";
import { DataType } from "../onnx/tensor.ts";
import { floatTypeOf } from "../onnx/widen.ts";
import { cutHead } from "./head.ts";
import { type AssembleOptions, type Interface, interfaceOf, type State } from "./interface.ts";
import { fromCanonical, type SymbolNames, toCanonical } from "./layout.ts";
import { addCounter, countedNodes } from "./positions.ts";
import { withSymbolicShape } from "./shapes.ts";
import { staticSymbols, symbolNames } from "./symbols.ts";

/** A convolution and the form that takes its place. */
export interface Layer {
  readonly region: Region;
  /** Undefined cuts the convolution out: what enters it is passed on, for the floor of a benchmark. */
  readonly form: Form | undefined;
}

/** The converted model, in memory. */
export function assemble(found: Found, layers: readonly Layer[], options: AssembleOptions): Model {
  // names are the same in the model and in the twin that was analysed; nodes are not
  const model = found.original;
  const b = createBuilder(model.opsets.get("") ?? 13, namesOf(model.graph));
  const isStatic = options.path === "step";
  const symbols = isStatic ? staticSymbols(b) : symbolNames(b, found.graphs.inputs);
  const mask = options.attentionMask ? maskColumns(b, symbols) : undefined;
  const states = lowerLayers(b, found, layers, { symbols, mask, path: options.path });
  const counter = found.counter.uses.length ? addCounter(b, layers.length, symbols, mask) : undefined;
  if (counter) states.push(counter);
  const counted = counter && countedNodes(b, found, options.tables, counter, symbols);
  const inside = new Set(layers.flatMap(({ region }) => [...region.nodes].map(({ name }) => name)));
  const rest = model.graph.nodes
    .filter((node) => !inside.has(node.name))
    .map((node) => withSymbolicShape(b, counted?.get(node.name) ?? node, found, symbols));
  const whole = [...rest, ...b.nodes];
  const nodes = options.numLogitsToKeep ? cutHead(b, found, whole) : whole;
  return finish(model, b, nodes, interfaceOf(found, states, options), options.metadata);
}

interface Surroundings {
  readonly symbols: SymbolNames;
  readonly mask: string | undefined;
  readonly path: AssembleOptions["path"];
}

/** Adds the recurrences in the places of their regions; gives their states. */
function lowerLayers(
  b: Builder,
  found: Found,
  layers: readonly Layer[],
  { symbols, mask, path }: Surroundings,
): State[] {
  const isStep = path === "step" ? undefined : stepCondition(b, symbols.time());
  const forms = layers.map(({ form }) => form);
  const tables = path === "step" ? [] : tablesFor(b, forms, symbols.time(), isStep);
  const states: State[] = [];
  for (const [i, { region, form }] of layers.entries()) {
    b.from(region.opening);
    const input = repeated(b, toCanonical(b, region.entry.tensor, region.entry.axes, symbols), region);
    const elementType = floatTypeOf(found.original, region.entry.tensor);
    const site = { index: i, input, elementType, mask, isStep, tables: tables[i] };
    const lowered = form
      ? lowerConvolution(b, form, site, { path })
      : { output: passOn(b, input, region), state: undefined };
    if (lowered.state) states.push(lowered.state);
    const y = region.bias ? withBias(b, lowered.output, region.bias, elementType) : lowered.output;
    fromCanonical(b, y, region.exit.axes, symbols, region.exit.tensor);
    b.from(undefined);
  }
  return states;
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

function finish(
  model: Model,
  b: Builder,
  nodes: readonly Node[],
  { inputs, outputs }: Interface,
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
