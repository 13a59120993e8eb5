/** A file that carries its state already, under the names and in the layout of the state contract: any driver can run it. */
import { BATCH_SIZE, pastSsm, presentSsm, SEQUENCE_LENGTH, type StatePair } from "../../src/contract.ts";
import { LongConvError } from "../../src/errors.ts";
import { BATCH_NAME, batchOfFixed, pairByName, type ToldStates } from "../../src/stateful.ts";
import { withoutInnerShapes } from "../file/encode.ts";
import { type Builder, createBuilder, namesOf } from "../graph/build.ts";
import type { Model, Node, ValueInfo } from "../graph/graph.ts";
import { DataType, float32Tensor, typeName } from "../graph/tensor.ts";

export interface RenameOptions {
  /** Outputs by the input that goes on from them, where names do not say it. */
  readonly states?: ToldStates | undefined;
  /** What a state holds before anything is read, by its input; every number of it is this one. Default: 0. */
  readonly initial?: Readonly<Record<string, number>> | undefined;
}

/** A state under both its names. */
export interface RenamedState {
  readonly past: string;
  readonly present: string;
  readonly was: StatePair;
  readonly dims: readonly (number | string)[];
}

export interface Renamed {
  readonly model: Model;
  readonly states: readonly RenamedState[];
}

/** One state as the file has it, and how it lies in the contract's layout: the batch first, then at least one axis more. */
interface Layout {
  readonly info: ValueInfo;
  /** Axis of the batch; undefined for a file that knows no batch. */
  readonly batch: number | undefined;
  readonly dims: readonly (number | string)[];
  /** The file's dimensions with −1 for the batch. */
  readonly own: readonly number[];
}

/**
 * Renames the states of a model to `past_ssm.{i}` and `present_ssm.{i}`, with the batch on axis 0, as float32, from zero:
 * where a state starts from another number, the difference from it is carried. States of these names stay as they are.
 * @throws LongConvError `not-converted` where no state is found, or one of a shape that is not declared or that grows;
 *   `bad-input` for names that are none of the model's
 */
export function renameStates(model: Model, { states: told, initial = {} }: RenameOptions = {}): Renamed {
  const { graph, file } = model;
  const [inputs, outputs] = [graph.inputs, graph.outputs].map((infos) => infos.map(({ name }) => name));
  const pairs = pairByName(inputs!, outputs!, told, file || undefined);
  if (pairs.length === 0) throw notStateful(model);
  const unknown = Object.keys(initial).find((name) => !pairs.some(({ past }) => past === name));
  if (unknown) throw refusal(model, "bad-input", unknown, "is no state that could start from a number");
  const b = createBuilder(model.opsets.get("") ?? 13, namesOf(graph));
  // the nodes that enter a state come before the graph's own
  const [before, behind]: [Node[], Node[]] = [[], []];
  const taken = new Set([...inputs!, ...outputs!]);
  const [newInputs, newOutputs] = [new Map<string, ValueInfo>(), new Map<string, ValueInfo>()];
  const states = pairs.map((was, k): RenamedState => {
    const info = graph.inputs.find(({ name }) => name === was.past)!;
    if (was.past.startsWith("past_")) return { ...was, was, dims: (info.dims ?? []).map((dim) => dim ?? "?") };
    let index = k;
    while (taken.has(pastSsm(index)) || taken.has(presentSsm(index))) index++;
    const [past, present] = [pastSsm(index), presentSsm(index)];
    taken.add(past).add(present);
    const layout = layoutOf(model, info);
    const start = initial[was.past] ?? 0;
    behind.push(...b.added(() => leave(b, was.present, present, layout, start)).nodes);
    before.push(...b.added(() => enter(b, past, layout, start)).nodes);
    const { dims } = layout;
    newInputs.set(was.past, { name: past, type: DataType.FLOAT, dims });
    newOutputs.set(was.present, { name: present, type: DataType.FLOAT, dims });
    return { past, present, was, dims };
  });
  const main = graph.inputs.find(({ name }) => !pairs.some(({ past }) => past === name));
  const symbol = main?.dims?.[0];
  // states of one sequence: what is open in front are its frames
  const isFrames = states.every(({ dims }) => typeof dims[0] === "number") && !BATCH_NAME.test(String(symbol));
  const meaning = isFrames ? SEQUENCE_LENGTH : BATCH_SIZE;
  const named = (info: ValueInfo): ValueInfo =>
    typeof symbol === "string" ? { ...info, dims: info.dims?.map((dim) => (dim === symbol ? meaning : dim)) } : info;
  const renamed: Model = {
    ...withoutInnerShapes(model),
    // before IR 4 a constant had to be an input
    irVersion: Math.max(4, model.irVersion),
    graph: {
      inputs: graph.inputs.map((info) => newInputs.get(info.name) ?? named(info)),
      outputs: graph.outputs.map((info) => newOutputs.get(info.name) ?? named(info)),
      nodes: [...before, ...graph.nodes, ...behind],
      initializers: new Map([...graph.initializers, ...b.initializers]),
    },
  };
  return { states, model: renamed };
}

/** @throws LongConvError not-converted where the shape is not that of a state */
function layoutOf(model: Model, info: ValueInfo): Layout {
  const { name, type, dims } = info;
  if (!TYPES.has(type))
    throw refusal(model, "not-converted", name, `is a state of ${typeName(type)}, which is not carried`);
  if (!dims) throw refusal(model, "not-converted", name, "is a state whose shape is not declared");
  const open = dims.flatMap((dim, axis) => (typeof dim === "number" && dim > 0 ? [] : [axis]));
  if (open.length > 1)
    throw refusal(
      model,
      "not-converted",
      name,
      `is a state with ${open.length} axes of no fixed size: one is the batch, and no other can grow`,
    );
  const batch = open[0] ?? batchOfFixed(dims);
  const others = dims.flatMap((dim, axis) => (axis === batch ? [] : [dim as number]));
  const first = open.length ? BATCH_SIZE : 1;
  return {
    info,
    batch,
    dims: [first, ...(others.length ? others : [1])],
    own: dims.map((dim, axis) => (axis === batch ? -1 : (dim as number))),
  };
}

/** Types that float32 holds: whole numbers up to 2^24. */
const TYPES: ReadonlySet<number> = new Set([DataType.FLOAT, DataType.INT64, DataType.INT32]);

/** Axes of the file in the order of the contract, the batch first. */
const order = ({ batch, own }: Layout): number[] =>
  batch === undefined
    ? own.map((_, axis) => axis)
    : [batch, ...own.flatMap((_, axis) => (axis === batch ? [] : [axis]))];

/** The contract's input as what the graph reads under the state's own name. */
function enter(b: Builder, past: string, layout: Layout, start: number): void {
  const { info, batch, own } = layout;
  const axes = order(layout);
  let value = past;
  if (start !== 0) value = b.one("Add", [value, b.constant("start", float32Tensor([], [start]))]);
  // as the file has it, but for the order of the axes
  value = b.one("Reshape", [
    value,
    b.ints(
      "shape",
      axes.map((axis) => own[axis]!),
    ),
  ]);
  if (batch) value = b.one("Transpose", [value], { perm: axes.map((_, axis) => axes.indexOf(axis)) });
  if (info.type === DataType.FLOAT) b.add("Identity", [value], {}, { outputs: [info.name] });
  else b.add("Cast", [value], { to: info.type }, { outputs: [info.name] });
}

/** What the graph gives as the contract's output. */
function leave(b: Builder, own: string, present: string, layout: Layout, start: number): void {
  const { info, batch, dims } = layout;
  let value = own;
  if (info.type !== DataType.FLOAT) value = b.one("Cast", [value], { to: DataType.FLOAT });
  if (batch) value = b.one("Transpose", [value], { perm: order(layout) });
  if (start !== 0) value = b.one("Sub", [value, b.constant("start", float32Tensor([], [start]))]);
  const shape = dims.map((dim) => (typeof dim === "number" ? dim : -1));
  b.add("Reshape", [value, b.ints("shape", shape)], {}, { outputs: [present] });
}

function notStateful(model: Model): LongConvError {
  const names = (infos: readonly ValueInfo[]) => infos.map(({ name }) => name).join(", ");
  const reason = `no input goes on from an output by its name: it takes ${names(model.graph.inputs)} and gives ${names(model.graph.outputs)}`;
  return new LongConvError("not-converted", reason, { file: model.file || undefined }, TELL);
}

const TELL = "Say with `states` which output each state goes on from, as h=h_next.";

const refusal = (model: Model, code: "bad-input" | "not-converted", tensor: string, reason: string): LongConvError =>
  new LongConvError(code, `'${tensor}' ${reason}`, { file: model.file || undefined, tensor });
