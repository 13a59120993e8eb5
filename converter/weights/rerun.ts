/** Runs a converted model by what it declares alone: random inputs, a pass of many tokens and passes of one. */
import { ATTENTION_MASK, BATCH_SIZE, NUM_LOGITS_TO_KEEP, pairStates, SEQUENCE_LENGTH } from "../../src/contract.ts";
import { LongConvError } from "../../src/errors.ts";
import { normal, uniform } from "../../src/random.ts";
import type { Trace } from "../compare/drive.ts";
import type { DeclaredDim, Model, ValueInfo } from "../graph/graph.ts";
import { DataType, float32Tensor, int64Tensor, makeTensor, type Tensor, toNumbers } from "../graph/tensor.ts";
import { openModel } from "../ort/run.ts";

/** A call: how many positions it reads, and the inputs but for states and what drivers add. */
export interface Pass {
  readonly length: number;
  readonly inputs: Readonly<Record<string, Tensor>>;
}

/**
 * Random inputs for a pass of `first` tokens and `more` passes of one.
 * @throws LongConvError unsupported-layout for inputs of a type that is neither float32 nor an integer
 */
export function randomPasses(model: Model, first: number, more: number, seed: number): Pass[] {
  const [uniformly, normally] = [uniform(seed), normal(seed)];
  const own = ownInputs(model).map((input) => ({ input, rows: rowsLookedUp(model, input.name) }));
  return [first, ...new Array<number>(more).fill(1)].map((length) => ({
    length,
    inputs: Object.fromEntries(
      own.map(({ input, rows }): [string, Tensor] => {
        const id = () => Math.floor(uniformly() * rows);
        return [input.name, tensorOf(input, dimsOf(input, length), id, normally)];
      }),
    ),
  }));
}

/** Every output of every pass but the states, a row for each vector along the last axis. */
export async function traceOf(model: Model, passes: readonly Pass[]): Promise<Trace> {
  const runner = await openModel(model);
  try {
    const pairs = pairStates(runner.inputs, runner.outputs);
    const presents = new Set(pairs.map(({ present }) => present));
    const declared = new Map(model.graph.inputs.map((input) => [input.name, input]));
    let states = Object.fromEntries(pairs.map(({ past }) => [past, zeros(startOf(declared.get(past)!))]));
    const trace = new Map<string, (Float32Array | Float64Array)[]>();
    let seen = 0;
    for (const { length, inputs } of passes) {
      seen += length;
      const outputs = await runner.run({
        ...inputs,
        ...states,
        ...(declared.has(ATTENTION_MASK) && { [ATTENTION_MASK]: int64Tensor([1, seen], new Array(seen).fill(1)) }),
        ...(declared.has(NUM_LOGITS_TO_KEEP) && {
          [NUM_LOGITS_TO_KEEP]: makeTensor(DataType.INT64, [], BigInt64Array.of(0n)),
        }),
      });
      for (const [name, tensor] of Object.entries(outputs))
        if (!presents.has(name)) trace.set(name, [...(trace.get(name) ?? []), ...rowsOf(tensor)]);
      states = Object.fromEntries(pairs.map(({ past, present }) => [past, outputs[present]!]));
    }
    return trace;
  } finally {
    await runner.close();
  }
}

/** Inputs that are neither states nor what drivers of language models add. */
function ownInputs({ graph }: Model): ValueInfo[] {
  const names = ({ name }: ValueInfo) => name;
  const pairs = pairStates(graph.inputs.map(names), graph.outputs.map(names));
  const others = new Set([...pairs.map(({ past }) => past), ATTENTION_MASK, NUM_LOGITS_TO_KEEP]);
  return graph.inputs.filter(({ name }) => !others.has(name));
}

const dimsOf = ({ dims = [] }: ValueInfo, length: number): number[] => dims.map((dim) => sizeOf(dim, length));

/** A state that grows has no rows at the start. */
const startOf = ({ dims = [] }: ValueInfo): number[] =>
  dims.map((dim, k) => (k === 0 || typeof dim === "number" ? sizeOf(dim, 0) : 0));

/** One sequence; a symbol may be a product of several, such as `batch_time`. */
function sizeOf(dim: DeclaredDim, length: number): number {
  if (typeof dim === "number") return dim;
  if (dim === BATCH_SIZE || dim === undefined) return 1;
  if (dim === SEQUENCE_LENGTH) return length;
  const factors = dim.split("_").map((factor) => (factor === "time" ? length : Number(factor)));
  return factors.filter((factor) => Number.isInteger(factor)).reduce((a, b) => a * b, 1);
}

/** Rows of the smallest table that an input looks up, ids of which are drawn; 2 where it looks up none. */
function rowsLookedUp({ graph }: Model, input: string): number {
  const tables = graph.nodes.flatMap(({ op, inputs }) =>
    op === "Gather" && inputs[1] === input ? (graph.initializers.get(inputs[0]!)?.dims.slice(0, 1) ?? []) : [],
  );
  return tables.length > 0 ? Math.min(...tables) : 2;
}

function tensorOf({ name, type }: ValueInfo, dims: readonly number[], id: () => number, value: () => number): Tensor {
  const size = dims.reduce((a, b) => a * b, 1);
  if (type === DataType.INT64) return int64Tensor(dims, Array.from({ length: size }, id));
  if (type === DataType.INT32) return makeTensor(type, dims, Int32Array.from({ length: size }, id));
  if (type === DataType.FLOAT) return float32Tensor(dims, Float32Array.from({ length: size }, value));
  throw new LongConvError("unsupported-layout", `inputs of this type are not supported (${type})`, { tensor: name });
}

const zeros = (dims: readonly number[]): Tensor =>
  float32Tensor(dims, new Float32Array(dims.reduce((a, b) => a * b, 1)));

function rowsOf(tensor: Tensor): (Float32Array | Float64Array)[] {
  const values = tensor.data instanceof Float32Array ? tensor.data : toNumbers(tensor);
  const width = tensor.dims.at(-1) ?? 1;
  return Array.from({ length: values.length / Math.max(1, width) }, (_, i) =>
    values.subarray(i * width, (i + 1) * width),
  );
}
