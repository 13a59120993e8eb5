/** What the row of an operator gets and gives. */
import { LongConvError } from "../../../src/errors.ts";
import { type AttributeInput, encodeAttributes } from "../../graph/attributes.ts";
import type { Builder } from "../../graph/build.ts";
import { type Node, whereOf } from "../../graph/graph.ts";
import { nodeFromProto } from "../../graph/node.ts";
import { withFields } from "../../graph/schema.ts";
import type { Tensor } from "../../graph/tensor.ts";

/** A node to be lifted, and what is known around it. */
export interface Site {
  readonly node: Node;
  /** Takes the nodes that come before the one that is returned. */
  readonly b: Builder;
  /** The file's opset. */
  readonly opset: number;
  readonly file: string;
  /** onnx.TensorProto.DataType; float32 where nothing is known. */
  readonly typeOf: (tensor: string) => number;
  /** Number of axes, where it is known. */
  readonly rankOf: (tensor: string) => number | undefined;
  /** Dimensions of a constant. */
  readonly dimsOf: (tensor: string) => readonly number[] | undefined;
  /** Values of a constant. */
  readonly constantOf: (tensor: string) => Tensor | undefined;
  /** Whether anything reads the tensor. */
  readonly isRead: (tensor: string) => boolean;
}

/** How an operator of an old or a new opset is said in one that is read. */
export interface Row {
  /** The first opset that means or spells it otherwise: the row is for files before it; undefined: for files beyond the newest that runs. */
  readonly before?: number;
  /** The node that takes the place of the one at the site; those that it needs are added to `b` first. */
  readonly rewrite: (site: Site) => Node;
}

/** What changes in a node. */
interface Change {
  readonly op?: string;
  readonly inputs?: readonly string[];
  readonly outputs?: readonly string[];
  /** Attributes that the operator no longer has. */
  readonly drop?: readonly string[];
  readonly add?: Readonly<Record<string, AttributeInput | undefined>>;
}

/** The node of a site with changes: its name, its metadata and its other attributes stay. Trailing "" inputs are dropped. */
export function changed({ node }: Site, { op = node.op, inputs, outputs, drop = [], add = {} }: Change): Node {
  const given = inputs ?? node.inputs;
  const gone = new Set([...drop, ...Object.keys(add)]);
  const proto = withFields(node.proto, {
    opType: op,
    input: given.slice(0, given.findLastIndex((name) => name !== "") + 1),
    output: [...(outputs ?? node.outputs)],
    attribute: [...(node.proto.attribute ?? []).filter(({ name }) => !gone.has(name ?? "")), ...encodeAttributes(add)],
  });
  return nodeFromProto(proto, node.name);
}

/**
 * A row for an operator whose only input was its data, before what its attributes said became inputs: one that has others is of
 * a body written here (LongConv's), and means what it will mean.
 */
export const ofDataAlone = (row: Row): Row => ({
  ...row,
  rewrite: (site) => (site.node.inputs.length > 1 ? site.node : row.rewrite(site)),
});

/** A row for an operator of which a list became the second input, behind the data; without it, it means what it meant. */
export const listAsInput = (before: number, attribute: string): Row =>
  ofDataAlone({
    before,
    rewrite(site) {
      const list = site.node.attributes[attribute] as readonly number[] | undefined;
      const inputs = [site.node.inputs[0]!, list?.length ? site.b.ints(attribute, list) : ""];
      return changed(site, { inputs, drop: [attribute] });
    },
  });

/** The node of a site as another, of which nothing but name, outputs and metadata stay. */
export const replaced = (site: Site, op: string, inputs: readonly string[], add: Change["add"] = {}): Node =>
  changed(site, { op, inputs, add, drop: (site.node.proto.attribute ?? []).map(({ name }) => name ?? "") });

/** The same, of which only the first output stays. */
export const replacedFirst = (site: Site, op: string, inputs: readonly string[], add: Change["add"] = {}): Node =>
  changed({ ...site, node: replaced(site, op, inputs, add) }, { outputs: site.node.outputs.slice(0, 1) });

/** The refusal of a node whose meaning no later operator has. */
export const notLifted = ({ node, opset, file }: Site, reason: string, remedy: string): LongConvError =>
  new LongConvError("unsupported-opset", `${node.op} of opset ${opset}: ${reason}`, whereOf({ file }, node), remedy);
