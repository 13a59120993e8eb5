/** What writes an operator out. */
import type { Builder } from "../graph/build.ts";
import type { Node } from "../graph/graph.ts";
import type { Tensor } from "../graph/tensor.ts";
import type { Known } from "../shapes/known.ts";

/** Where an operator is written out. */
export interface Site {
  /** Dimensions of a tensor as they are declared, or follow from others that are; undefined where they do not. */
  readonly dimsOf: (tensor: string) => readonly (number | undefined)[] | undefined;
  /** Dimensions, and small numbers, at each of several sizes of what is open. */
  readonly trialsOf: (tensor: string) => readonly Known[];
  /** onnx.TensorProto.DataType of a constant, or of an input of the graph. */
  readonly typeOf: (tensor: string) => number | undefined;
  /** Whether a tensor is declared, or computed, as booleans. */
  readonly isBool: (tensor: string) => boolean;
  readonly producerOf: (tensor: string) => Node | undefined;
  readonly consumersOf: (tensor: string) => readonly Node[];
  /** Declared dimensions, and the names of those that are symbols. */
  readonly sizesOf: (tensor: string) => readonly (number | string | undefined)[] | undefined;
  /** A constant. */
  readonly numbersOf: (tensor: string) => readonly number[] | undefined;
  /** A constant, as it is in the file. */
  readonly tensorOf: (tensor: string) => Tensor | undefined;
  /** A constant of one number. */
  readonly numberOf: (tensor: string) => number | undefined;
  /** Whether it is an input of the graph. */
  readonly isInput: (tensor: string) => boolean;
  /** Whether anything reads it. */
  readonly isRead: (tensor: string) => boolean;
}

/** Adds the nodes of an operator, its outputs under their names; false leaves it as it is, and so does a sentence that says why. */
export type Expansion = (b: Builder, node: Node, site: Site) => boolean | string;

/** Why an attention is left as it is that has rows of keys and values from before, or gives them. */
export const HAS_PAST = "takes a past of keys and values, or gives one; export the model without it";
