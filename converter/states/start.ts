/** What an operator with a state of its own begins with. */
import { BATCH_SIZE, pastSsm, presentSsm } from "../../src/contract.ts";
import type { Known, Place, StatePorts } from "../find/carried.ts";
import { fixedSizes } from "../find/shapes.ts";
import { openPosition } from "../find/tables.ts";
import type { Builder } from "../onnx/build.ts";
import { DataType, type Tensor, toNumbers } from "../onnx/tensor.ts";

/** Zeros, or the name of a tensor that does not depend on the sequence. */
export type Start = { readonly tensor: string } | "zeros";

/** A length at which a start is evaluated that has no time axis. */
const SHORT = 4;

/** What a tensor gives to begin with; undefined where it is made of the sequence. @param name "" for an input that is left out */
export async function startOf({ graphs, time, constants }: Known, name: string): Promise<Start | undefined> {
  if (!name) return "zeros";
  const fact = time.facts.get(name);
  const isZero = (tensor: Tensor) => toNumbers(tensor).every((value) => value === 0);
  if (fact?.kind === "constant") return isZero(constants.get(name)!.tensor()) ? "zeros" : { tensor: name };
  if (fact?.kind === "still") return { tensor: name };
  if (fact?.kind !== "position" || fact.axes?.flat().includes("time")) return undefined;
  const reader = await openPosition(graphs, name);
  const values = await reader.at(fixedSizes(graphs.inputs).time ?? SHORT).finally(() => reader.close());
  return isZero(values) ? "zeros" : { tensor: name };
}

/** `first` where a sequence begins with this call, else `past`. @param shape of the condition: -1 at the batch, 1 elsewhere */
export function begunWith(
  b: Builder,
  { read }: Pick<Place, "read">,
  first: string,
  past: string,
  shape: readonly number[],
): string {
  const begins = b.one("Equal", [read, b.floats("zero", [1], [0])], {}, { hint: "begins" });
  const condition = b.one("Reshape", [begins, b.ints("each", shape)], {}, { hint: "begins" });
  return b.one("Where", [condition, first, past], {}, { hint: "past" });
}

/** A float32 state past_ssm.{index} with these dimensions behind the batch. */
export function ssmPorts(index: number, dims: readonly number[]): StatePorts {
  const info = (name: string) => ({ name, type: DataType.FLOAT, dims: [BATCH_SIZE, ...dims] });
  return { past: info(pastSsm(index)), present: info(presentSsm(index)) };
}
