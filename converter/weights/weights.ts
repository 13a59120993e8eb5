/**
 * Weights in fewer bits: one stream's step is bound by reading them. Only matrices of the source are touched; the
 * recurrences, norms and biases stay float32.
 *
 * | kind | product x · W | table of rows |
 * |---|---|---|
 * | int4, int8 | com.microsoft::MatMulNBits, blocks of 32 | com.microsoft::GatherBlockQuantized |
 * | float16 | MatMul with Cast(W), which ONNX Runtime folds when it loads | Gather, then Cast |
 *
 * Operators: https://github.com/microsoft/onnxruntime/blob/main/docs/ContribOperators.md
 */
import { LongConvError } from "../../src/errors.ts";
import { sizeOf } from "../file/encode.ts";
import { type Builder, createBuilder, initializerOf, namesOf } from "../graph/build.ts";
import type { Initializer, Model, Node } from "../graph/graph.ts";
import { float16FromFloat32 } from "../graph/halves.ts";
import { readsOf } from "../graph/reads.ts";
import { DataType, float32Tensor, makeTensor } from "../graph/tensor.ts";
import { type Bits, BLOCK, toBlocks } from "./blocks.ts";
import { findWeights, type Weight, type WeightUse } from "./uses.ts";

export const WEIGHT_KINDS = ["int8", "int4", "float16"] as const;
export type WeightKind = (typeof WEIGHT_KINDS)[number];

/** A model with its weights in fewer bits. */
export interface Reduced {
  readonly model: Model;
  /** Matrices that were changed. */
  readonly matrices: number;
  /** Bytes of all initializers. */
  readonly bytes: { readonly before: number; readonly after: number };
}

/** Initializers in fewer bits, made once for several models that share weights. */
export type WeightCache = Map<string, readonly Initializer[]>;

/**
 * Products with 8-bit activations, each block of 32 with its own scale: without it ONNX Runtime expands the weights to
 * float32 first, which for 8 bits is many times slower than float32 weights.
 */
const INT8_ACTIVATIONS = 4;

const MICROSOFT = "com.microsoft";

/**
 * Stores the source's matrices in fewer bits.
 * @param source names of the source's initializers
 * @param cache keeps what was made, for a second model with the same weights
 * @throws LongConvError usage where the model has no float32 matrix to change
 */
export function reduceWeights(
  model: Model,
  kind: WeightKind,
  source: ReadonlySet<string>,
  cache: WeightCache = new Map(),
): Reduced {
  const weights = findWeights(model, source).filter((weight) => kind === "float16" || fitsBlocks(weight));
  if (weights.length === 0)
    throw new LongConvError(
      "usage",
      `there is no float32 matrix that could be stored as ${kind}`,
      { file: model.file || undefined },
      "Leave out `weights`.",
    );
  const b = createBuilder(model.opsets.get("") ?? 13, namesOf(model.graph));
  const replaced = new Map<string, readonly Node[]>();
  const first: Node[] = [];
  const made: Initializer[] = [];
  const gone = new Set<string>();
  for (const weight of weights) {
    const { name } = weight.initializer;
    const stored = cache.get(name) ?? (kind === "float16" ? halves(weight) : blocks(weight, bitsOf(kind)));
    cache.set(name, stored);
    made.push(...stored);
    gone.add(name);
    const { made: uses, nodes: added } = b.added(() =>
      kind === "float16" ? halfUses(b, weight, stored[0]!.name) : blockUses(b, weight, bitsOf(kind), stored),
    );
    for (const [node, instead] of uses) replaced.set(node, instead);
    const placed = new Set([...uses.values()].flat());
    first.push(...added.filter((node) => !placed.has(node)));
  }
  const nodes = [...first, ...model.graph.nodes.flatMap((node) => replaced.get(node.name) ?? [node])];
  const all = [...model.graph.initializers.values(), ...b.initializers.values(), ...made];
  const read = new Set(nodes.flatMap((node) => [...readsOf(node)]));
  const kept = all.filter(({ name }) => !gone.has(name) && read.has(name));
  const initializers = new Map(kept.map((initializer) => [initializer.name, initializer]));
  const opsets = kind === "float16" ? model.opsets : new Map([...model.opsets, [MICROSOFT, 1] as const]);
  const total = (list: Iterable<Initializer>) => [...list].reduce((sum, each) => sum + sizeOf(each), 0);
  return {
    model: { ...model, opsets, graph: { ...model.graph, nodes, initializers } },
    matrices: weights.length,
    bytes: { before: total(model.graph.initializers.values()), after: total(initializers.values()) },
  };
}

const bitsOf = (kind: "int4" | "int8"): Bits => (kind === "int4" ? 4 : 8);

/** Blocks run along the inner dimension of every use, and a table's rows have no padding. */
function fitsBlocks({ initializer, uses }: Weight): boolean {
  const transposed = uses.map((use) => use.kind === "rows" || use.transposed);
  const isTable = uses.some(({ kind }) => kind === "rows");
  return transposed.every((each) => each === transposed[0]) && (!isTable || initializer.dims[1]! % BLOCK === 0);
}

/** Rows of the blocks: a product's outputs, a table's rows. */
function sizesOf({ initializer: { dims }, uses }: Weight): { rows: number; inner: number; transposed: boolean } {
  const rowsFirst = uses[0]!.kind === "rows" || uses[0]!.transposed;
  const [rows, inner] = rowsFirst ? [dims[0]!, dims[1]!] : [dims[1]!, dims[0]!];
  return { rows, inner, transposed: !rowsFirst };
}

function blocks(weight: Weight, bits: Bits): Initializer[] {
  const { rows, inner, transposed } = sizesOf(weight);
  const values = weight.initializer.tensor().data as Float32Array;
  const { codes, scales, blocksPerRow } = toBlocks(values, rows, inner, bits, transposed);
  const { name } = weight.initializer;
  return [
    initializerOf(`${name}_int${bits}`, makeTensor(DataType.UINT8, [rows, blocksPerRow, (BLOCK * bits) / 8], codes)),
    initializerOf(`${name}_scales`, float32Tensor([rows, blocksPerRow], scales)),
  ];
}

/** What takes the place of each reader, and nothing that of the transposes. */
function blockUses(
  b: Builder,
  { initializer, uses, aliases }: Weight,
  bits: Bits,
  stored: readonly Initializer[],
): Map<string, readonly Node[]> {
  const replaced = new Map<string, readonly Node[]>(aliases.map(({ name }) => [name, []]));
  const { rows, inner } = sizesOf({ initializer, uses, aliases });
  const [codes, scales] = [stored[0]!.name, stored[1]!.name];
  const use = ({ node, kind }: WeightUse) => {
    const place = { outputs: [node.outputs[0]!], hint: node.name };
    if (kind === "rows") {
      // ONNX Runtime folds the Reshape when it loads the model
      const shape = b.ints("table_shape", [rows, (inner * bits) / 8]);
      const table = b.one("Reshape", [codes, shape], {}, { hint: `${codes}_rows` });
      const attributes = { gather_axis: 0, quantize_axis: 1, block_size: BLOCK, bits };
      b.one("GatherBlockQuantized", [table, node.inputs[1]!, scales], attributes, { ...place, domain: MICROSOFT });
    } else {
      const attributes = { K: inner, N: rows, bits, block_size: BLOCK, accuracy_level: INT8_ACTIVATIONS };
      const bias = node.op === "Gemm" ? node.inputs[2] : undefined;
      const multiply = { ...(bias ? { hint: node.name } : place), domain: MICROSOFT };
      const product = b.one("MatMulNBits", [node.inputs[0]!, codes, scales], attributes, multiply);
      if (bias) b.one("Add", [product, scaled(b, bias, Number(node.attributes.beta ?? 1))], {}, place);
    }
  };
  for (const each of uses) replaced.set(each.node.name, b.added(() => use(each), each.node).nodes);
  return replaced;
}

const scaled = (b: Builder, bias: string, beta: number): string =>
  beta === 1 ? bias : b.one("Mul", [bias, b.floats("beta", [], [beta])], {}, { hint: "beta" });

function halves({ initializer }: Weight): Initializer[] {
  const bits = float16FromFloat32(initializer.tensor().data as Float32Array);
  return [initializerOf(`${initializer.name}_float16`, makeTensor(DataType.FLOAT16, initializer.dims, bits))];
}

/** Rows are looked up in float16 and cast; products read what a Cast makes under the matrix's own name. */
function halfUses(b: Builder, { initializer, uses, aliases }: Weight, stored: string): Map<string, readonly Node[]> {
  const replaced = new Map<string, readonly Node[]>();
  for (const { node } of uses.filter(({ node, kind }) => kind === "rows" && node.inputs[0] === initializer.name)) {
    const { nodes } = b.added(() => {
      const rows = b.one("Gather", [stored, node.inputs[1]!], { axis: 0 }, { hint: node.name });
      b.one("Cast", [rows], { to: DataType.FLOAT }, { outputs: [node.outputs[0]!], hint: node.name });
    });
    replaced.set(node.name, nodes);
  }
  const first = [...aliases, ...uses.map(({ node }) => node)].filter(({ name }) => !replaced.has(name));
  if (first.length > 0) b.one("Cast", [stored], { to: DataType.FLOAT }, { outputs: [initializer.name], hint: stored });
  return replaced;
}
