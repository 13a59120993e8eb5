/**
 * Tied weights: exporters write the embedding and the head as two tensors although one is the other or its transpose.
 * One is stored; the other becomes a Transpose or an Identity of it, which ONNX Runtime folds when it loads the model,
 * so that the step is as fast as with two (docs/benchmarks.md).
 */
import { makeNode, namesOf } from "../graph/build.ts";
import { readExternal } from "../graph/external.ts";
import type { Initializer, Model, Node } from "../graph/graph.ts";
import { readsOf } from "../graph/reads.ts";
import { DataType } from "../graph/tensor.ts";

/** Smaller matrices are left alone. */
const LEAST_BYTES = 4096;

/** The same model with each matrix stored once; the very same model where none is stored twice. */
export function shareTied(model: Model): Model {
  const tables = new Set(
    model.graph.nodes.filter(({ op, domain }) => op === "Gather" && domain === "").map(({ inputs }) => inputs[0]!),
  );
  const matrices = [...model.graph.initializers.values()].filter(
    ({ type, dims }) =>
      (type === DataType.FLOAT || type === DataType.FLOAT16) &&
      dims.length === 2 &&
      4 * dims[0]! * dims[1]! >= LEAST_BYTES,
  );
  const initializers = new Map(model.graph.initializers);
  const taken = namesOf(model.graph);
  const aliases: Node[] = [];
  const read = new Set(model.graph.nodes.flatMap((node) => [...readsOf(node)]));
  for (const table of matrices.filter(({ name }) => tables.has(name))) {
    for (const other of matrices) {
      if (other === table || !initializers.has(other.name) || !initializers.has(table.name)) continue;
      if (tables.has(other.name) || !read.has(other.name) || other.type !== table.type) continue;
      const op = relation(table, other);
      if (!op) continue;
      let name = `${other.name}_tied`;
      while (taken.has(name)) name += "_";
      taken.add(name);
      const attributes = op === "Transpose" ? { perm: [1, 0] } : {};
      aliases.push(makeNode(name, op, [table.name], [other.name], { attributes }));
      initializers.delete(other.name);
    }
  }
  if (aliases.length === 0) return model;
  return { ...model, graph: { ...model.graph, initializers, nodes: [...aliases, ...model.graph.nodes] } };
}

/** What makes `other` of `table`, bit for bit; undefined where nothing does. */
function relation(table: Initializer, other: Initializer): "Identity" | "Transpose" | undefined {
  const [rows, columns] = table.dims as [number, number];
  const same = other.dims[0] === rows && other.dims[1] === columns;
  const turned = other.dims[0] === columns && other.dims[1] === rows;
  if (!same && !turned) return undefined;
  const at = (k: number): [row: number, column: number] => [(k * 7919) % rows, (k * 104729) % columns];
  const agrees = (place: (row: number, column: number) => number) =>
    Array.from({ length: SAMPLES }, (_, k) => at(k)).every(
      ([row, column]) => bytesAt(table, row * columns + column) === bytesAt(other, place(row, column)),
    );
  const [sameSeems, turnedSeems] = [
    same && agrees((row, column) => row * columns + column),
    turned && agrees((row, column) => column * rows + row),
  ];
  if (!sameSeems && !turnedSeems) return undefined;
  const [a, b] = [bitsOf(table), bitsOf(other)];
  const equal = (rowStride: number, columnStride: number) => {
    for (let row = 0; row < rows; row++)
      for (let column = 0; column < columns; column++)
        if (a[row * columns + column] !== b[row * rowStride + column * columnStride]) return false;
    return true;
  };
  if (sameSeems && equal(columns, 1)) return "Identity";
  return turnedSeems && equal(1, rows) ? "Transpose" : undefined;
}

/** Elements that are looked at before whole matrices are read into memory. */
const SAMPLES = 16;

function bytesAt(initializer: Initializer, index: number): string {
  const size = initializer.type === DataType.FLOAT16 ? 2 : 4;
  const { external } = initializer;
  const bytes = external
    ? readExternal(external, index * size, size)
    : initializer.bytes().subarray(index * size, (index + 1) * size);
  return bytes.join();
}

/** The elements' bits, so that NaN and -0 are compared as they are. */
function bitsOf(initializer: Initializer): Uint32Array | Uint16Array {
  const { data } = initializer.tensor();
  const { buffer, byteOffset, length } = data as Float32Array;
  return initializer.type === DataType.FLOAT16
    ? new Uint16Array(buffer, byteOffset, length)
    : new Uint32Array(buffer, byteOffset, length);
}
