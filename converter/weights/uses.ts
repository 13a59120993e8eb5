/** Who reads a matrix of weights, and how: as the constant factor of a product, or as a table whose rows are looked up. */
import type { Graph, Initializer, Model, Node } from "../graph/graph.ts";
import { readsOf } from "../graph/reads.ts";
import { DataType } from "../graph/tensor.ts";

/** A node that reads the matrix. */
export interface WeightUse {
  readonly node: Node;
  /** `product`: x · W; `rows`: Gather along axis 0. */
  readonly kind: "product" | "rows";
  /** Of a product: whether the matrix is read as [outputs, inputs]. */
  readonly transposed: boolean;
}

/** A float32 matrix [dims[0], dims[1]] all of whose readers are understood. */
export interface Weight {
  readonly initializer: Initializer;
  readonly uses: readonly WeightUse[];
  /** Transposes and copies of the matrix that stand between it and its readers. */
  readonly aliases: readonly Node[];
}

/** Smaller matrices are not worth a node. */
const LEAST_ELEMENTS = 1024;

/**
 * The weights of a model.
 * @param names initializers that may be weights: those of the source, so that no constant of a recurrence is among them
 */
export function findWeights(model: Model, names: ReadonlySet<string>): Weight[] {
  const readers = readersOf(model.graph);
  const outputs = new Set(model.graph.outputs.map(({ name }) => name));
  return [...model.graph.initializers.values()].flatMap((initializer) => {
    if (!names.has(initializer.name) || !isMatrix(initializer)) return [];
    const weight = readWeight(initializer, readers, outputs);
    return weight ? [weight] : [];
  });
}

/** Names of the float32 matrices of a graph that are large enough to be weights. */
export const matrixNames = ({ initializers }: Graph): string[] =>
  [...initializers.values()].filter(isMatrix).map(({ name }) => name);

const isMatrix = ({ type, dims }: Initializer): boolean =>
  type === DataType.FLOAT && dims.length === 2 && dims[0]! * dims[1]! >= LEAST_ELEMENTS;

/** The matrix with its readers, through transposes and copies; undefined where one of them is of another kind. */
function readWeight(
  initializer: Initializer,
  readers: ReadonlyMap<string, readonly Node[]>,
  outputs: ReadonlySet<string>,
): Weight | undefined {
  const uses: WeightUse[] = [];
  const aliases: Node[] = [];
  const queue = [{ name: initializer.name, turned: false }];
  for (let next = queue.pop(); next; next = queue.pop()) {
    const { name, turned } = next;
    if (outputs.has(name)) return undefined;
    for (const node of readers.get(name) ?? []) {
      const turns = node.domain === "" && (node.op === "Transpose" ? 1 : node.op === "Identity" ? 0 : undefined);
      if (turns === 0 || turns === 1) {
        aliases.push(node);
        queue.push({ name: node.outputs[0]!, turned: turns === 1 ? !turned : turned });
        continue;
      }
      const use = useOf(node, name, turned);
      if (!use) return undefined;
      uses.push(use);
    }
  }
  return uses.length > 0 ? { initializer, uses, aliases } : undefined;
}

function useOf(node: Node, name: string, turned: boolean): WeightUse | undefined {
  const { op, domain, inputs, attributes } = node;
  if (domain !== "" || inputs.filter((input) => input === name).length !== 1) return undefined;
  if (op === "Gather" && inputs[0] === name && Number(attributes.axis ?? 0) === 0 && !turned)
    return { node, kind: "rows", transposed: false };
  if (op === "MatMul" && inputs[1] === name) return { node, kind: "product", transposed: turned };
  const { transA = 0, transB = 0, alpha = 1 } = attributes;
  if (op === "Gemm" && inputs[1] === name && transA === 0 && alpha === 1)
    return { node, kind: "product", transposed: turned !== (transB === 1) };
  return undefined;
}

/** Nodes that read each tensor, also from inside a subgraph. */
function readersOf({ nodes }: Graph): Map<string, Node[]> {
  const readers = new Map<string, Node[]>();
  for (const node of nodes) for (const name of readsOf(node)) readers.set(name, [...(readers.get(name) ?? []), node]);
  return readers;
}
