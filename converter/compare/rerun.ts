/** Runs a converted model by what it declares alone: random inputs, a pass of many tokens and passes of one. */
import { ATTENTION_MASK, BATCH_SIZE, NUM_LOGITS_TO_KEEP, pairStates, SEQUENCE_LENGTH } from "../../src/contract.ts";
import { uniform } from "../../src/random.ts";
import type { DeclaredDim, Graph, Model, ValueInfo } from "../graph/graph.ts";
import { type Tensor, toNumbers } from "../graph/tensor.ts";
import { carried } from "../ort/carried.ts";
import type { Runner } from "../ort/run.ts";
import { randomTensor } from "../parts/feeds.ts";
import type { Trace } from "./drive.ts";

/** A call: how many positions it reads, and the inputs but for states and what drivers add. */
export interface Pass {
  readonly length: number;
  readonly inputs: Readonly<Record<string, Tensor>>;
}

/**
 * Random inputs for a pass of `first` tokens and `more` passes of one.
 * @throws LongConvError unsupported-layout for inputs of a type that has no numbers
 */
export function randomPasses(model: Model, first: number, more: number, seed: number): Pass[] {
  const next = uniform(seed);
  const own = ownInputs(model).map((input) => ({ input, rows: rowsLookedUp(model, input.name) }));
  return [first, ...new Array<number>(more).fill(1)].map((length) => ({
    length,
    inputs: Object.fromEntries(
      own.map(({ input, rows }): [string, Tensor] => [
        input.name,
        randomTensor(input, dimsOf(input, length), [0, rows - 1], next),
      ]),
    ),
  }));
}

/**
 * Every output of every pass but the states, a row for each vector along the last axis.
 * @param keep positions of each pass whose logits are asked for, where the model can be asked; 0: all
 */
export async function traceOf(graph: Graph, runner: Runner, passes: readonly Pass[], keep = 0): Promise<Trace> {
  const presents = new Set(pairStates(runner.inputs, runner.outputs).map(({ present }) => present));
  const pieces = carried(graph, runner, 1, keep);
  const trace = new Map<string, (Float32Array | Float64Array)[]>();
  for (const { length, inputs } of passes)
    for (const [name, tensor] of Object.entries(await pieces.next(length, inputs)))
      if (!presents.has(name)) trace.set(name, [...(trace.get(name) ?? []), ...rowsOf(tensor)]);
  return trace;
}

/** Inputs that are neither states nor what drivers of language models add. */
function ownInputs({ graph }: Model): ValueInfo[] {
  const names = ({ name }: ValueInfo) => name;
  const pairs = pairStates(graph.inputs.map(names), graph.outputs.map(names));
  const others = new Set([...pairs.map(({ past }) => past), ATTENTION_MASK, NUM_LOGITS_TO_KEEP]);
  return graph.inputs.filter(({ name }) => !others.has(name));
}

const dimsOf = ({ dims = [] }: ValueInfo, length: number): number[] => dims.map((dim) => sizeOf(dim, length));

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

function rowsOf(tensor: Tensor): (Float32Array | Float64Array)[] {
  const values = tensor.data instanceof Float32Array ? tensor.data : toNumbers(tensor);
  const width = tensor.dims.at(-1) ?? 1;
  return Array.from({ length: values.length / Math.max(1, width) }, (_, i) =>
    values.subarray(i * width, (i + 1) * width),
  );
}
