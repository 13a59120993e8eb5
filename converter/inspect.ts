/** What stands in a model: its long convolutions and what is in the way of converting it, for people and programs. */

import { checkArguments } from "../src/checks.ts";
import { leastClaim } from "../src/contract.ts";
import { named } from "../src/unforeseen.ts";
import { analyse } from "./analyse.ts";
import { apart } from "./apart/apart.ts";
import type { PositionLimit } from "./assemble/limit.ts";
import { type Extent, extentOf } from "./choose/extent.ts";
import { inlineFunctions } from "./expand/inline.ts";
import { initializerBytes } from "./file/encode.ts";
import { decodeModel, readModel } from "./file/read.ts";
import { type Candidate, candidatesOf } from "./find/candidates.ts";
import { type Found, isConvertible, missingIn } from "./find/found.ts";
import type { Region } from "./find/region.ts";
import { remedyOf } from "./find/remedies.ts";
import { positionBytes, sizedStates, stateBytes } from "./find/sizes.ts";
import type { KernelSource } from "./find/source.ts";
import { type Model, type Node, type ValueInfo, whereOf } from "./graph/graph.ts";
import { typeName } from "./graph/tensor.ts";
import type {
  DeclaredValue,
  InspectedLayer,
  InspectedRefusal,
  Inspection,
  InspectOptions,
  PositionCounter,
} from "./inspection.ts";
import { lift } from "./lift/lift.ts";
import { lookBeside, modelFileOf } from "./output/beside.ts";
import { type Planned, type PlanOptions, plan, planKept } from "./plan.ts";
import { type LayerReport, layerReports } from "./report.ts";
import { positionsOf } from "./states/counter/counter.ts";
import { describeLayout } from "./time/facts/fact.ts";
import type { Refusal } from "./time/follow.ts";
import { whyTime } from "./time/inputs.ts";

/** An inspection, and what it was made from. */
export interface Inspected {
  readonly inspection: Inspection;
  readonly found: Found;
  readonly candidates: readonly Candidate[];
  /** The forms that `convert` would choose; none where it would not convert the model, or where they were not asked for. */
  readonly planned: readonly Planned[];
}

/**
 * Finds the long convolutions of a model, reads their kernels, and says what stands in the way of converting it.
 *
 *     const { convertible, layers, refusals } = await inspect("model.onnx");
 *
 * @param source path of a .onnx file or of a folder that has one, or the bytes of a file without external data
 * @throws LongConvError what reading throws; already-converted; with `process` also memory-exceeded, time-exceeded, and
 *   runtime-failed for a crash. Refusals are reported, not thrown
 */
export async function inspect(source: string | Uint8Array, options: InspectOptions = {}): Promise<Inspection> {
  return named(typeof source === "string" ? source : undefined, async () => {
    checkArguments({ source: ["source", source], options: ["options", options] });
    if (options.process) return apart("inspect", [source], options);
    return typeof source === "string"
      ? (await inspectFile(modelFileOf(source), options)).inspection
      : (await inspectModel(decodeModel(source), undefined, options)).inspection;
  });
}

interface FileOptions extends InspectOptions {
  /** Relative error of a layer's kernels that compact states may have. */
  readonly tolerance?: number | undefined;
}

/** {@link inspect} for a file, with what the report is made from. */
export async function inspectFile(file: string, options: FileOptions = {}): Promise<Inspected> {
  return named(file, async () => {
    const model = await readModel(file);
    return inspectModel(model, (await lookBeside(file)).trainingLength?.positions, options);
  });
}

/** Kernels that are kept to choose forms, all together; what is more is read again. */
const KEPT_BYTES = 256e6;

async function inspectModel(
  read: Model,
  trainingLength: number | undefined,
  { timeAxis, sizes = false, tolerance, onProgress }: FileOptions,
): Promise<Inspected> {
  onProgress?.("finding convolutions", 0, undefined);
  const model = lift(inlineFunctions(read));
  const found = await analyse(model, {
    timeAxis,
    onProgress: (done) => onProgress?.("finding convolutions", done, undefined),
  });
  const { candidates, refusals } = await candidatesOf(found, undefined, (done, total) =>
    onProgress?.("reading kernels", done, total),
  );
  const extents = new Map<Region, Extent>();
  const layers: InspectedLayer[] = [];
  let room = KEPT_BYTES;
  for (const { region, source } of candidates) {
    const extent = await extentOf(source, region);
    layers.push(layerOf(found, region, source, extent));
    room -= extent.seen.taps.byteLength;
    if (room >= 0) extents.set(region, extent);
  }
  const all = [...found.refusals, ...refusals].map((refusal) => inspectedRefusal(model, refusal));
  const { batchAdded = false } = found;
  const missing = missingIn(found);
  const convertible = all.length === 0 && isConvertible(found);
  const timeBecause =
    found.timeBecause ?? (timeAxis || batchAdded ? undefined : whyTime(found.graphs.inputs, convertible));
  const positions = await positionsOf(found);
  const { limit } = positions;
  const complete = convertible && (sizes || candidates.length === 0);
  const planned = complete
    ? await plan(found, positions, { trainingLength, tolerance, ...progressOf(onProgress) }, { candidates, extents })
    : [];
  const reports = layerReports(complete ? planned : await planKept(found, positions));
  const counter = counterOf(found, reports, limit);
  const sources = new Map(found.graphs.model.graph.nodes.map((node) => [node.name, placeOf(model, node).source]));
  const states = sizedStates(reports, complete).map((state) => ({ ...state, source: sources.get(state.node) }));
  const inspection = {
    ...summaryOf(model, read),
    trainingLength,
    convertible,
    layers,
    states,
    stateBytes: complete ? stateBytes(reports) : undefined,
    positionBytes: complete ? positionBytes(reports) : undefined,
    timeBecause,
    batchAdded,
    missing: missing.size > 0 ? Object.fromEntries(missing) : undefined,
    counter,
    refusals: all,
  };
  return { inspection, found, candidates, planned };
}

const progressOf = (onProgress: InspectOptions["onProgress"]): Pick<PlanOptions, "onProgress"> => ({
  onProgress: ({ done, total }) => onProgress?.("choosing forms", done, total),
});

/** What is counted for functions of the position, or for an operator that must know where a sequence begins. */
function counterOf(
  { counter: { uses } }: Found,
  reports: readonly LayerReport[],
  limit: PositionLimit | undefined,
): PositionCounter | undefined {
  const counted = reports.filter(({ form }) => form === "counter").map(({ node }) => node);
  const nodes = uses.length > 0 ? uses.map(({ node }) => node.name) : counted;
  return nodes.length > 0 ? { nodes, limit } : undefined;
}

function layerOf(
  { graphs: { model } }: Found,
  region: Region,
  source: KernelSource,
  { seen: kernels, finite, died, claim }: Extent,
): InspectedLayer {
  return {
    ...placeOf(model, region.opening),
    reason: region.reason,
    channels: region.channels,
    input: describeLayout(region.entry.axes),
    output: describeLayout(region.exit.axes),
    kernelFrom: source.tensor ?? "impulse response",
    maxLags: kernels.end && kernels.lags,
    end: kernels.end,
    lags: finite === undefined && died === kernels.lags ? undefined : died,
    claim: leastClaim([source.claim, claim]),
    ends: finite !== undefined,
    bias: region.bias !== undefined,
  };
}

function placeOf(model: Model, node: Node): { node: string; operator: string; source: string | undefined } {
  const { operator = node.op, source } = whereOf(model, node);
  return { node: node.name, operator, source };
}

const inspectedRefusal = (model: Model, refusal: Refusal): InspectedRefusal => ({
  code: refusal.code,
  ...placeOf(model, refusal.node),
  reason: refusal.reason,
  remedy: remedyOf(refusal),
});

/** @param read as the file has it: its versions are not those that it is lifted to */
function summaryOf(model: Model, { irVersion, opsets }: Model) {
  const { file, graph } = model;
  return {
    ...{ file, irVersion, opset: opsets.get("") ?? 0, nodes: graph.nodes.length },
    weightBytes: initializerBytes(model),
    inputs: graph.inputs.map(declared),
    outputs: graph.outputs.map(declared),
  };
}

const declared = ({ name, type, dims }: ValueInfo): DeclaredValue => ({
  name,
  type: typeName(type),
  dims: dims?.map((dim) => dim ?? "?"),
});
