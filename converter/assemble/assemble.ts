/** Puts the converted graph together: everything that carries a state gives way to its realisation, with the state as input and output. */
import { ATTENTION_MASK } from "../../src/contract.ts";
import type { Place, Realisation, StatePorts } from "../find/carried.ts";
import type { Found } from "../find/found.ts";
import { type Builder, createBuilder, irVersionFor, namesOf } from "../graph/build.ts";
import type { Initializer, Model, Node } from "../graph/graph.ts";
import type { Driven } from "../graph/language.ts";
import { topological } from "../graph/order.ts";
import { prune } from "../graph/prune.ts";
import { readsOf } from "../graph/reads.ts";
import { withFields } from "../graph/schema.ts";
import { DataType } from "../graph/tensor.ts";
import { stepCondition } from "../lower/lower.ts";
import { prefillPlans } from "../lower/prefill-plan.ts";
import { floatTypeOf } from "../ort/widen.ts";
import { typeIn } from "../parts/graphs.ts";
import type { SymbolNames } from "../parts/layout.ts";
import { withInt64Ids } from "./int64-ids.ts";
import { type AssembleOptions, type Interface, interfaceOf } from "./interface.ts";
import { keepLastPositions } from "./last-positions.ts";
import { countedNodes } from "./positions.ts";
import { shapeOfGone, withSymbolicShape } from "./symbolic-shapes.ts";
import { staticSymbols, symbolNames } from "./symbols.ts";
import { shareTied } from "./tied.ts";

/**
 * The converted model, in memory.
 * @param realisations of everything that carries a state, in the order of the graph; the counter of positions and the length cache are the last
 */
export function assemble(found: Found, realisations: readonly Realisation[], options: AssembleOptions): Model {
  // names are the same in the model and in the twin that was analysed; nodes are not
  const model = found.original;
  const b = createBuilder(model.opsets.get("") ?? 13, namesOf(model.graph));
  const isStatic = options.path === "step";
  const symbols = isStatic ? staticSymbols(b) : symbolNames(b, found.graphs.inputs);
  const mask = options.attentionMask ? maskColumns(b, symbols) : undefined;
  const counted = { read: b.name("read_before"), position: b.name("positions") };
  const { driven } = found.graphs;
  // an export with a mask of its own hides padding as it does, and states see what its layers see
  const hides = driven.mask === undefined ? mask : undefined;
  const states = addStates(b, found, realisations, {
    symbols,
    mask: hides,
    columns: mask,
    path: options.path,
    ...counted,
  });
  addDriven(b, model, driven, symbols, counted.position);
  const meeting = countedNodes(b, found, options.tables, counted.position, symbols);
  const inside = new Set(realisations.flatMap(({ nodes }) => [...nodes].map(({ name }) => name)));
  const made = new Set(b.nodes.flatMap(({ outputs }) => outputs));
  const gone = new Set(realisations.flatMap(({ nodes }) => [...nodes].flatMap(({ outputs }) => outputs)));
  const readsGone = ({ op, domain, inputs: [tensor = ""] }: Node) =>
    op === "Shape" && domain === "" && gone.has(tensor) && !made.has(tensor);
  const rest = model.graph.nodes
    .filter((node) => !inside.has(node.name))
    .map((node) =>
      readsGone(node)
        ? shapeOfGone(b, node, found, symbols)
        : withSymbolicShape(b, meeting.get(node.name) ?? node, found, symbols),
    );
  const all = [...rest, ...b.nodes];
  const nodes = options.numLogitsToKeep ? keepLastPositions(b, found, all) : all;
  const whole = finish(model, b, nodes, interfaceOf(found, states, options), options.metadata);
  return shareTied(options.transformersJs ? withInt64Ids(whole) : whole);
}

type Surroundings = Pick<Place, "symbols" | "mask" | "columns" | "path" | "read" | "position">;

/** Adds the realisations in the places of their nodes; gives their states. */
function addStates(b: Builder, found: Found, realisations: readonly Realisation[], around: Surroundings): StatePorts[] {
  const { symbols, path } = around;
  const isStep = path === "step" ? undefined : stepCondition(b, symbols.time());
  const wanted = realisations.map(({ planWanted }) => planWanted);
  const plans = path === "step" ? [] : prefillPlans(b, wanted, symbols.time(), isStep);
  const originals = new Map(found.original.graph.nodes.map((node) => [node.name, node]));
  const states: StatePorts[] = [];
  let index = 0;
  for (const [i, realisation] of realisations.entries()) {
    b.from(realisation.opening);
    const ports = realisation.add(b, {
      ...{ ...around, index, isStep, plan: plans[i] },
      model: found.original,
      original: ({ name }) => originals.get(name)!,
      typeOf: (tensor) => {
        const seen = typeIn(found.graphs, tensor);
        return seen === DataType.FLOAT ? floatTypeOf(found.original, tensor) : seen;
      },
    });
    states.push(...ports);
    index += realisation.reports.length;
    b.from(undefined);
  }
  return states;
}

/** What the export takes as inputs beside its ids: the new columns of the mask, and the counted positions. */
function addDriven(b: Builder, model: Model, driven: Driven, symbols: SymbolNames, position: string): void {
  const typeOf = (name: string) => model.graph.inputs.find((input) => input.name === name)!.type;
  if (driven.mask !== undefined) {
    const cut = newColumns(b, symbols);
    b.one("Cast", [cut], { to: typeOf(driven.mask) }, { outputs: [driven.mask] });
  }
  if (driven.positions !== undefined) {
    const size = b.one("Concat", [symbols.batch(), symbols.time()], { axis: 0 }, { hint: "tokens" });
    const places = b.one("Reshape", [position, size], {}, { hint: "positions" });
    b.one("Cast", [places], { to: typeOf(driven.positions) }, { outputs: [driven.positions] });
  }
}

/** The mask's last sequence_length columns, int64 [batch, time]. */
function newColumns(b: Builder, symbols: SymbolNames): string {
  if (symbols.areOne) return b.one("Expand", [b.ints("one", [1]), b.ints("size", [1, 1])], {}, { hint: "mask" });
  const start = b.one("Neg", [symbols.time()], {}, { hint: "first_column" });
  const ends = [start, b.ints("end", [2 ** 53 - 1]), b.ints("axis", [1])];
  return b.one("Slice", [ATTENTION_MASK, ...ends], {}, { hint: "mask" });
}

/** The mask's last sequence_length columns as float32 [batch, time, 1]. */
function maskColumns(b: Builder, symbols: SymbolNames): string {
  const columns = newColumns(b, symbols);
  const floats = b.one("Cast", [columns], { to: DataType.FLOAT }, { hint: "mask" });
  return b.one("Unsqueeze", [floats, b.ints("axis", [2])], {}, { hint: "mask" });
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
