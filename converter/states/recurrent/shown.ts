/** Positions of a call that a recurrent layer does not read: padding, and what lies behind the end of a sequence. */
import { LongConvError } from "../../../src/errors.ts";
import type { Place } from "../../find/carried.ts";
import type { Builder } from "../../graph/build.ts";
import type { Node } from "../../graph/graph.ts";
import { DataType } from "../../graph/tensor.ts";
import type { Axis } from "../../time/facts/fact.ts";

/** How far the sequences of a call are read. */
export interface Shown {
  /** int32 [batch]: positions that are read, from the first on. */
  readonly lengths: string;
  readonly toFront: (stream: string) => string;
  readonly toBack: (stream: string, output: string) => void;
  readonly orBefore: (state: string, before: string) => string;
}

/** Positions that are none of padding: moved to the front, read, and moved back. */
export function shownOf(b: Builder, node: Node, batch: Axis, { mask, symbols }: Place): Shown | undefined {
  if (mask === undefined) return undefined;
  if (batch.length > 1)
    throw new LongConvError(
      "unsupported-layout",
      "is recurrent for each row of another axis, so padding of a batch cannot be hidden by attention_mask",
      { node: node.name },
      "Convert without attention_mask.",
    );
  const counted = b.one("ReduceSum", [mask, b.ints("axes", [1, 2])], { keepdims: 0 }, { hint: "shown" });
  const valid = b.one("Max", [counted, b.floats("one", [1], [1])], {}, { hint: "shown" });
  const lengths = b.one("Cast", [valid], { to: DataType.INT64 }, { hint: "lengths" });
  const whole = b.one("Expand", [symbols.time(), symbols.batch()], {}, { hint: "lengths" });
  const reverse = (stream: string, by: string, outputs?: readonly string[]) =>
    b.one("ReverseSequence", [stream, by], { time_axis: 0, batch_axis: 1 }, outputs ? { outputs } : { hint: "moved" });
  const none = b.one("Reshape", [
    b.one("Equal", [counted, b.floats("zero", [1], [0])], {}, { hint: "padding" }),
    b.ints("each", [1, -1, 1]),
  ]);
  return {
    lengths: b.one("Cast", [lengths], { to: DataType.INT32 }, { hint: "lengths" }),
    toFront: (stream) => reverse(reverse(stream, whole), lengths),
    toBack: (stream, output) => {
      const squeezed = b.one("Squeeze", [stream, b.ints("ways", [1])], {}, { hint: "moved" });
      const back = reverse(reverse(squeezed, lengths), whole);
      b.one("Unsqueeze", [back, b.ints("ways", [1])], {}, { outputs: [output] });
    },
    orBefore: (state, before) => b.one("Where", [none, before, state], {}, { hint: "state" }),
  };
}

/**
 * Positions before the end that sequence_lens says: as many as the calls before have left over.
 * @param ends int32 [batch]: sequence_lens of the whole sequence
 */
export function untilEnd(b: Builder, node: Node, ends: string, { mask, symbols, read }: Place): Shown {
  if (mask !== undefined)
    throw new LongConvError(
      "unsupported-layout",
      "reads as far as sequence_lens says, and attention_mask says where padding is",
      { node: node.name },
      "Convert without attention_mask.",
    );
  const done = b.one(
    "Cast",
    [b.one("Reshape", [read, b.ints("flat", [-1])])],
    { to: DataType.INT64 },
    { hint: "done" },
  );
  const whole = b.one("Cast", [ends], { to: DataType.INT64 }, { hint: "ends" });
  const left = b.one(
    "Max",
    [b.one("Sub", [whole, done], {}, { hint: "left" }), b.ints("none", [0])],
    {},
    { hint: "left" },
  );
  const here = b.one("Min", [left, symbols.time()], {}, { hint: "lengths" });
  const isOver = b.one("Reshape", [b.one("Equal", [here, b.ints("none", [0])]), b.ints("each", [1, -1, 1])]);
  return {
    lengths: b.one("Cast", [here], { to: DataType.INT32 }, { hint: "lengths" }),
    toFront: (stream) => stream,
    toBack: (stream, output) => void b.one("Identity", [stream], {}, { outputs: [output] }),
    orBefore: (state, before) => b.one("Where", [isOver, before, state], {}, { hint: "state" }),
  };
}
