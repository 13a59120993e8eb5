/** A function of the position that an export counts from the end of the sequence, counted from its beginning. */
import { fromFront, permOf } from "../graph/axis.ts";
import type { Builder } from "../graph/build.ts";
import type { Node } from "../graph/graph.ts";
import { DataType, makeTensor, type Tensor, toNumbers } from "../graph/tensor.ts";
import type { Site } from "./expansion.ts";

/** Operators of each number alone. */
const ALONE = new Set(["Cast", "Identity", "Sin", "Cos", "Tanh", "Relu", "Neg", "Exp", "Dropout"]);
const BROADCAST = new Set(["Add", "Sub", "Mul", "Div"]);

/**
 * A tensor turned round along an axis: the first entry stands last.
 * @param end the axis counted from the last one, 1
 * @param half the first n of 2 n - 1 entries alone, of which the n-th is the first of the result
 * @returns undefined where no rule turns it round
 */
export function reversed(b: Builder, site: Site, name: string, end: number, half = false): string | undefined {
  const node = site.producerOf(name);
  if (node?.domain !== "") return undefined;
  const [data, other] = node.inputs as [string, string];
  const turned = (tensor: string, axis = end) => reversed(b, site, tensor, axis, half);
  const again = (inputs: readonly (string | undefined)[]): string | undefined =>
    inputs.every((input) => input !== undefined) ? b.copy(node, inputs as string[])[0] : undefined;
  if (ALONE.has(node.op)) return again([turned(data), ...node.inputs.slice(1)]);
  if (BROADCAST.has(node.op))
    return again(node.inputs.map((input) => (isStill(site, input, end) ? input : turned(input))));
  switch (node.op) {
    case "Range":
      return half ? countedFrom(b, site, node) : counted(b, site, node);
    case "Slice":
      return half ? cutFrom(b, site, node, end) : cut(b, site, node, end);
    case "Transpose": {
      const rank = site.dimsOf(data)?.length ?? (node.attributes.perm as readonly number[] | undefined)?.length;
      return rank === undefined ? undefined : again([turned(data, rank - permOf(node, rank)[rank - end]!)]);
    }
    case "MatMul":
      if (end > 2 || !site.dimsOf(end === 1 ? data : other)) return undefined;
      return end === 1 ? again([data, turned(other)]) : again([turned(data), other]);
    case "Gemm":
      return end === 2 && !node.attributes.transA ? again([turned(data), ...node.inputs.slice(1)]) : undefined;
    case "Concat": {
      const rank = site.dimsOf(data)?.length;
      const along = rank === undefined ? undefined : rank - fromFront(Number(node.attributes.axis), rank);
      return along === undefined || along === end ? undefined : again(node.inputs.map((input) => turned(input)));
    }
    case "Unsqueeze": {
      const [rank, axes] = [site.dimsOf(name)?.length, site.numbersOf(other)];
      if (rank === undefined || !axes) return undefined;
      const after = axes.map((axis) => fromFront(axis, rank)).filter((axis) => axis > rank - end).length;
      return again([turned(data, end - after), other]);
    }
    case "Reshape": {
      const axis = sameAxis(site, data, name, end);
      const rows = axis === undefined ? undefined : turned(data, axis);
      const shape = half ? shapeAlong(b, site, name, end) : other;
      return rows && shape ? again([rows, shape]) : undefined;
    }
  }
  return undefined;
}

/** Whether a tensor has one entry along an axis, or none. */
const isStill = ({ dimsOf }: Site, tensor: string, end: number): boolean => {
  const own = dimsOf(tensor);
  return own !== undefined && (own.length < end || own.at(-end) === 1);
};

/** n - 1, …, 0 is 0, …, n - 1 turned round, in any type of number. */
function counted(b: Builder, site: Site, { inputs }: Node): string | undefined {
  const [start, limit, step] = inputs as [string, string, string];
  if (site.numberOf(limit) !== -1 || site.numberOf(step) !== -1) return undefined;
  const first = b.one("Sub", [limit, step], {}, { hint: "first" });
  const end = b.one("Sub", [start, step], {}, { hint: "end" });
  return b.one("Range", [first, end, b.one("Neg", [step])], {}, { hint: "positions" });
}

/** n - 1, …, -(n - 1): its first n numbers, 0, …, n - 1 turned round. */
function countedFrom(b: Builder, site: Site, { inputs, outputs }: Node): string | undefined {
  const [start, , step] = inputs as [string, string, string];
  const rows = site.trialsOf(outputs[0]!);
  const isWhole = site
    .trialsOf(start)
    .every(({ values }, trial) => rows[trial]!.dims?.[0] === 2 * Number(values?.[0]) + 1);
  if (!isWhole || site.numberOf(step) !== -1) return undefined;
  const end = b.one("Sub", [start, step], {}, { hint: "end" });
  return b.one("Range", [b.one("Sub", [start, start]), end, b.one("Neg", [step])], {}, { hint: "positions" });
}

/** 2 n - 1 rows of a table of the file around its middle: the first n of them, counted from there. */
function cutFrom(b: Builder, site: Site, { inputs, outputs }: Node, end: number): string | undefined {
  const [data, starts, , axes, steps] = inputs as [string, string, string, string, string?];
  const [own, table] = [site.dimsOf(data), site.tensorOf(data)];
  const axis = site.numberOf(axes ?? "");
  if (!own || axis === undefined || fromFront(axis, own.length) !== own.length - end) return undefined;
  if (table?.type !== DataType.FLOAT || (steps && site.numberOf(steps) !== 1)) return undefined;
  const rows = site.trialsOf(outputs[0]!).map(({ dims }) => (Number(dims?.at(-end)) + 1) / 2);
  const middles = site.trialsOf(starts).map(({ values }, trial) => Number(values?.[0]) + rows[trial]!);
  const [middle] = middles;
  if (middle === undefined || !Number.isInteger(middle) || middles.some((each) => each !== middle)) return undefined;
  const turned = b.constant("table", turnedRound(table, own.length - end, middle));
  const length = b.one("Sub", [b.ints("middle", middle), starts], {}, { hint: "length" });
  const bounds = [b.ints("from", [0]), b.one("Reshape", [length, b.ints("one", [1])]), axes];
  return b.one("Slice", [turned, ...bounds], {}, { hint: "rows" });
}

/** The shape of a tensor of which one axis is left open. */
function shapeAlong(b: Builder, { dimsOf }: Site, name: string, end: number): string | undefined {
  const sizes = dimsOf(name)?.map((size, k, all) => (k === all.length - end ? -1 : size));
  return sizes?.every((size) => size !== undefined) ? b.ints("shape", sizes as number[]) : undefined;
}

/** The last rows of a table of the file; or what was turned round already. */
function cut(b: Builder, site: Site, { inputs }: Node, end: number): string | undefined {
  const [data, starts, ends, axes, steps] = inputs as [string, string, string, string, string?];
  const own = site.dimsOf(data);
  const axis = site.numberOf(axes ?? "");
  if (!own || axis === undefined || fromFront(axis, own.length) !== own.length - end) return undefined;
  const step = steps ? site.numberOf(steps) : 1;
  if (step === -1 && site.numberOf(starts) === -1 && Number(site.numberOf(ends)) < -(2 ** 31) + 1) return data;
  const [rows, table] = [own.at(-end), site.tensorOf(data)];
  if (step !== 1 || rows === undefined || table?.type !== DataType.FLOAT || !(Number(site.numberOf(ends)) >= rows))
    return undefined;
  const length = lengthOf(b, site, starts, rows);
  if (!length) return undefined;
  const turned = b.constant("table", turnedRound(table, own.length - end));
  const bounds = [b.ints("from", [0]), b.one("Reshape", [length, b.ints("one", [1])]), axes];
  return b.one("Slice", [turned, ...bounds], {}, { hint: "rows" });
}

/** How many rows are left from a place on, counted from the end or as what is left of all. */
function lengthOf(b: Builder, site: Site, starts: string, rows: number): string | undefined {
  const node = site.producerOf(starts);
  if (node?.domain !== "") return undefined;
  const [x, y] = node.inputs as [string, string];
  if (["Unsqueeze", "Reshape", "Cast", "Squeeze"].includes(node.op) || (node.op === "Concat" && !y))
    return lengthOf(b, site, x, rows);
  if (node.op === "Neg") return x;
  if (node.op === "Mul" && site.numberOf(y) === -1) return x;
  return node.op === "Sub" && [rows, 0].includes(Number(site.numberOf(x))) ? y : undefined;
}

/** A table whose first rows along an axis, all of them if no other number is said, stand the other way round. */
function turnedRound(table: Tensor, axis: number, count = table.dims[axis]!): Tensor {
  const { type, dims } = table;
  const data = toNumbers(table);
  const size = dims[axis]!;
  const product = (sizes: readonly number[]) => sizes.reduce((all, each) => all * each, 1);
  const [outer, inner] = [product(dims.slice(0, axis)), product(dims.slice(axis + 1))];
  const made = new Float32Array(outer * count * inner);
  for (let at = 0; at < outer * count; at++) {
    const row = at % count;
    const from = ((at - row) / count) * size + (count - 1 - row);
    for (let k = 0; k < inner; k++) made[at * inner + k] = data[from * inner + k]!;
  }
  return makeTensor(type, dims.with(axis, count), made);
}

/** The axis of what is shaped that is an axis of what it is shaped to: what stands before and behind it is as large. */
function sameAxis({ dimsOf }: Site, data: string, name: string, end: number): number | undefined {
  const [before, after] = [dimsOf(data), dimsOf(name)];
  if (!before || !after) return undefined;
  const product = (sizes: readonly (number | undefined)[]) =>
    sizes.reduce<number>((all, size) => all * (size ?? Number.NaN), 1);
  const own = after.length - end;
  const [front, back] = [product(after.slice(0, own)), product(after.slice(own + 1))];
  const axis = before.findIndex(
    (_, k) => product(before.slice(0, k)) === front && product(before.slice(k + 1)) === back,
  );
  return axis < 0 ? undefined : before.length - axis;
}
