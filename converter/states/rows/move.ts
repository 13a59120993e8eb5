/** What an operator does to the time axis when its outputs read a finite number of positions: one row of the table an operator. */
import type { ErrorCode } from "../../../src/errors.ts";
import type { Builder } from "../../graph/build.ts";
import type { Node } from "../../graph/graph.ts";
import type { Layout } from "../../time/facts/fact.ts";
import type { Context, Operand } from "../../time/facts/rule.ts";
import type { Counted } from "./counted.ts";

/** What becomes of the positions of the stream that is input `input`. */
export interface Move {
  readonly input: number;
  /** Positions before its own that an output reads. */
  readonly reach: number;
  /** Positions that are put in front of the sequence and behind it; negative: taken away. */
  readonly front: number;
  readonly back: number;
  /** What its own padding is. */
  readonly fill: number;
  /** What it gives is a mean of the places in the sequence alone. */
  readonly counted?: Counted | undefined;
  /** Layout of the output. */
  readonly axes: Layout;
  /** Adds the operator so that it gives T positions for T + reach, as `output`. @param node as the exported graph has it */
  readonly apply: (b: Builder, node: Node, stream: string, output: string) => void;
}

/** Why an operator cannot be carried so. */
export interface Refused {
  readonly code: ErrorCode;
  readonly reason: string;
  readonly remedy?: string | undefined;
}

/** An operator and what it reads. */
export interface Moved {
  readonly node: Node;
  readonly operands: readonly (Operand | undefined)[];
  readonly context: Context;
  /** Positions of the stream, where the length is fixed. */
  readonly length: number | undefined;
  /** Positions that the stream has more than the sequence. */
  readonly more: number;
  /** The time axis of the stream. */
  readonly axis: number;
  readonly axes: Layout;
  readonly input: number;
}

/** A row of the table: undefined where another kind may close the opening. */
export type Mover = (moved: Moved) => Move | Refused | undefined;
