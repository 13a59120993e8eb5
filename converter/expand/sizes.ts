/** Sizes of tensors whose shape no file declares, followed from the inputs and the constants: what a step of the sequence is stays unknown. */
import { fromFront, permOf } from "../graph/axis.ts";
import type { Graph, Node } from "../graph/graph.ts";
import { shapeRead } from "../graph/shape-read.ts";

/** The size of each axis; undefined for one that is not known. */
export type Sizes = readonly (number | undefined)[];

/** What is known of other tensors. */
export interface Known {
  readonly sizesOf: (tensor: string) => Sizes | undefined;
  /** A constant. */
  readonly numbersOf: (tensor: string) => readonly number[] | undefined;
  readonly producerOf: (tensor: string) => Node | undefined;
}

/** The sizes of an output; undefined where its rank is not known. */
type Rule = (node: Node, known: Known, output: number) => Sizes | undefined;

const same: Rule = ({ inputs }, { sizesOf }, output) => (output === 0 ? sizesOf(inputs[0]!) : undefined);

/** https://onnx.ai/onnx/repo-docs/Broadcasting.html */
const broadcast: Rule = ({ inputs }, { sizesOf }) => inputs.filter(Boolean).map(sizesOf).reduce(meet);

function meet(x: Sizes | undefined, y: Sizes | undefined): Sizes | undefined {
  if (!x || !y) return undefined;
  const rank = Math.max(x.length, y.length);
  return Array.from({ length: rank }, (_, k) => {
    const pair = [x, y].map((own) => (k < rank - own.length ? 1 : own[k - rank + own.length]));
    const large = pair.find((size) => size !== undefined && size > 1);
    return large ?? (pair[0] === 1 ? pair[1] : pair[1] === 1 ? pair[0] : undefined);
  });
}

const MatMul: Rule = ({ inputs }, { sizesOf }) => {
  const [x, y] = inputs.map(sizesOf);
  if (!x || !y || x.length < 2 || y.length < 2) return undefined;
  const front = meet(x.slice(0, -2), y.slice(0, -2));
  return front && [...front, x.at(-2), y.at(-1)];
};

const Transpose: Rule = (node, { sizesOf }) => {
  const own = sizesOf(node.inputs[0]!);
  return own && permOf(node, own.length).map((axis) => own[axis]);
};

/** Numbers of a shape that are constants, joined with sizes that are computed. */
function told(name: string, known: Known): Sizes | undefined {
  const own = known.numbersOf(name);
  if (own) return own;
  const node = known.producerOf(name);
  if (node?.domain !== "") return undefined;
  if (node.op === "Cast" || node.op === "Unsqueeze" || node.op === "Identity") return told(node.inputs[0]!, known);
  const read = shapeRead(node);
  if (read) return known.sizesOf(read);
  if (node.op === "Gather") {
    const [from, picked] = [told(node.inputs[0]!, known), known.numbersOf(node.inputs[1]!)];
    return from && picked?.map((k) => from[fromFront(k, from.length)]);
  }
  if (node.op === "Concat") {
    const parts = node.inputs.map((input) => told(input, known) ?? count(input, known));
    return parts.every((part) => part !== undefined) ? parts.flat() : undefined;
  }
  return undefined;
}

const MOST_AXES = 64;

/** Numbers of a piece of a shape that are computed: as many as it has, none known. */
function count(name: string, { sizesOf }: Known): Sizes | undefined {
  const [length, ...more] = sizesOf(name) ?? [];
  // a size that is not declared, or one that no shape has
  if (length === undefined || more.length > 0 || !(length >= 0 && length <= MOST_AXES)) return undefined;
  return new Array<undefined>(length).fill(undefined);
}

const Reshape: Rule = ({ inputs, attributes }, known) => {
  const [own, shape] = [known.sizesOf(inputs[0]!), told(inputs[1]!, known)];
  if (!shape) return undefined;
  const copies = shape.map((size) => size === 0 && !Number(attributes.allowzero ?? 0));
  const made = shape.map((size, k) => (copies[k] ? own?.[k] : size));
  if (!own || made.filter((size) => size === -1).length === 0) return made;
  // what is copied leaves the rest as large as before
  const rest = own.filter((_, k) => !copies[k]);
  const others = made.filter((size, k) => size !== -1 && !copies[k]);
  if ([...rest, ...others].includes(undefined)) return made.map((size) => (size === -1 ? undefined : size));
  const product = (sizes: Sizes) => sizes.reduce<number>((all, size) => all * size!, 1);
  return made.map((size) => (size === -1 ? product(rest) / product(others) : size));
};

/** Axes that an operator names in its second input, or in an attribute. */
const axesOf = ({ inputs, attributes }: Node, { numbersOf }: Known): readonly number[] | undefined =>
  inputs[1] ? numbersOf(inputs[1]) : (attributes.axes as readonly number[] | undefined);

const Unsqueeze: Rule = (node, known) => {
  const [own, axes] = [known.sizesOf(node.inputs[0]!), axesOf(node, known)];
  if (!own || !axes) return undefined;
  const rank = own.length + axes.length;
  const fresh = axes.map((axis) => fromFront(axis, rank));
  const rest = [...own];
  return Array.from({ length: rank }, (_, k) => (fresh.includes(k) ? 1 : rest.shift()));
};

const Squeeze: Rule = (node, known) => {
  const [own, axes] = [known.sizesOf(node.inputs[0]!), axesOf(node, known)];
  const gone = axes?.map((axis) => fromFront(axis, own?.length ?? 0));
  return gone && own?.filter((_, k) => !gone.includes(k));
};

const Concat: Rule = ({ inputs, attributes }, { sizesOf }) => {
  const parts = inputs.map(sizesOf);
  const [first] = parts;
  if (!first || parts.includes(undefined)) return undefined;
  const along = fromFront(Number(attributes.axis), first.length);
  const sizes = parts.map((part) => part![along]);
  const whole = sizes.includes(undefined) ? undefined : sizes.reduce((sum, size) => sum! + size!, 0);
  return first.map((size, k) => (k === along ? whole : (size ?? parts.map((part) => part![k]).find(Boolean))));
};

const Split: Rule = ({ inputs, outputs, attributes }, { sizesOf, numbersOf }, output) => {
  const own = sizesOf(inputs[0]!);
  if (!own) return undefined;
  const along = fromFront(Number(attributes.axis ?? 0), own.length);
  const given = inputs[1] ? numbersOf(inputs[1]) : (attributes.split as readonly number[] | undefined);
  const whole = own[along];
  const each = inputs[1] || whole === undefined ? undefined : Math.ceil(whole / outputs.length);
  const last = each !== undefined && output === outputs.length - 1 ? whole! - each * output : each;
  return own.with(along, given ? given[output] : last);
};

const Slice: Rule = ({ inputs }, { sizesOf, numbersOf }) => {
  const own = sizesOf(inputs[0]!);
  const [starts, ends, axes, steps] = inputs.slice(1).map((input) => (input ? numbersOf(input) : undefined));
  if (!own || (inputs[3] && !axes)) return inputs[3] ? undefined : own?.map(() => undefined);
  const made = [...own];
  for (const [i, axis] of (axes ?? own.map((_, k) => k)).entries()) {
    const k = fromFront(axis, own.length);
    const [size, start, end] = [own[k], starts?.[i], ends?.[i]];
    const step = inputs[4] ? steps?.[i] : 1;
    const known = size !== undefined && start !== undefined && end !== undefined && step !== undefined && step > 0;
    const within = (at: number) => Math.min(Math.max(at < 0 ? at + size! : at, 0), size!);
    made[k] = known ? Math.max(0, Math.ceil((within(end) - within(start)) / step)) : undefined;
  }
  return made;
};

const Gather: Rule = ({ inputs, attributes }, { sizesOf }) => {
  const [own, rows] = inputs.map(sizesOf);
  if (!own || !rows) return undefined;
  const along = fromFront(Number(attributes.axis ?? 0), own.length);
  return [...own.slice(0, along), ...rows, ...own.slice(along + 1)];
};

const Expand: Rule = ({ inputs }, known) => meet(known.sizesOf(inputs[0]!), told(inputs[1]!, known));

const Shape: Rule = ({ inputs, attributes }, { sizesOf }) => {
  const rank = sizesOf(inputs[0]!)?.length;
  if (rank === undefined) return undefined;
  const at = (end: number) => Math.min(Math.max(fromFront(end, rank), 0), rank);
  return [at(Number(attributes.end ?? rank)) - at(Number(attributes.start ?? 0))];
};

/** Reduced axes; all of them where none is named. */
const reduced: Rule = (node, known) => {
  const [own, axes] = [known.sizesOf(node.inputs[0]!), axesOf(node, known)];
  if (!own || (node.inputs[1] && !axes)) return undefined;
  const over = (axes ?? own.map((_, k) => k)).map((axis) => fromFront(axis, own.length));
  const isKept = Number(node.attributes.keepdims ?? 1) !== 0;
  return own.flatMap((size, k) => (over.includes(k) ? (isKept ? [1] : []) : [size]));
};

/** [batch, channels, ...], however long it becomes. */
const Conv: Rule = ({ inputs }, { sizesOf }) => {
  const [own, weight] = inputs.map(sizesOf);
  return own?.map((size, k) => (k === 0 ? size : k === 1 ? weight?.[0] : undefined));
};

const Range: Rule = () => [undefined];

const ConstantOfShape: Rule = ({ inputs }, known) => told(inputs[0]!, known);

/** Queries' rows, and the width of the values; [batch, time, heads · width] or [batch, heads, time, width]. */
const Attention: Rule = ({ inputs, attributes }, { sizesOf }) => {
  const [q, , v] = inputs.slice(0, 3).map(sizesOf);
  if (!q || !v) return undefined;
  const heads = Number(attributes.q_num_heads) / Number(attributes.kv_num_heads);
  const wide = q.length === 3 && heads > 0 && v.at(-1) !== undefined ? v.at(-1)! * heads : v.at(-1);
  return q.with(-1, wide);
};

/** By `domain::Name` outside the standard domain. */
const RULES: Readonly<Record<string, Rule>> = {
  ...Object.fromEntries(
    [
      ..."Cast Identity Relu Sigmoid Tanh Gelu Erf Exp Log Sqrt Neg Abs Sin Cos Softplus Silu Swish Mish".split(" "),
      ..."Clip Dropout LeakyRelu Elu Softmax LayerNormalization RMSNormalization GroupNormalization".split(" "),
      ..."LpNormalization LogSoftmax HardSwish HardSigmoid Reciprocal Selu Celu Softsign Sign Floor Ceil Round".split(
        " ",
      ),
      ..."InstanceNormalization BatchNormalization RotaryEmbedding SimplifiedLayerNormalization CumSum".split(" "),
      ..."com.microsoft::RotaryEmbedding com.microsoft::Gelu com.microsoft::QuickGelu com.microsoft::FastGelu".split(
        " ",
      ),
      ..."com.microsoft::BiasGelu com.microsoft::SkipLayerNormalization".split(" "),
    ].map((op) => [op, same]),
  ),
  ...Object.fromEntries("Sum Mean Max Min L1 L2 LogSumExp Prod".split(" ").map((op) => [`Reduce${op}`, reduced])),
  ...Object.fromEntries("Add Sub Mul Div Pow Max Min Where".split(" ").map((op) => [op, broadcast])),
  ...{
    Conv,
    MatMul,
    Transpose,
    Reshape,
    Unsqueeze,
    Squeeze,
    Concat,
    Split,
    Slice,
    Gather,
    Expand,
    Shape,
    Attention,
    Range,
    ConstantOfShape,
  },
};

/**
 * Sizes of the tensors of a graph, by name.
 * @param declared what the file says of them; unknown sizes among it are followed
 */
export function sizesIn(
  { nodes }: Graph,
  declared: (tensor: string) => Sizes | undefined,
  numbersOf: Known["numbersOf"],
  producerOf: Known["producerOf"],
): ReadonlyMap<string, Sizes> {
  const made = new Map<string, Sizes>();
  const known: Known = { numbersOf, producerOf, sizesOf: (tensor) => made.get(tensor) ?? declared(tensor) };
  for (const node of nodes) {
    const rule = RULES[node.domain === "" ? node.op : `${node.domain}::${node.op}`];
    for (const [i, name] of node.outputs.entries()) {
      const [told, own] = [declared(name), name ? rule?.(node, known, i) : undefined];
      const sizes = told?.map((size, k) => size ?? own?.[k]) ?? own;
      if (sizes) made.set(name, sizes);
    }
  }
  return made;
}
