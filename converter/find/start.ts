/** What an operator with a state of its own begins with. */
import { BATCH_SIZE, pastSsm, presentSsm } from "../../src/contract.ts";
import type { ErrorCode } from "../../src/errors.ts";
import type { Builder } from "../graph/build.ts";
import { DataType, type Tensor, toNumbers } from "../graph/tensor.ts";
import { openPosition, rowsOf } from "../parts/position-rows.ts";
import { fixedSizes } from "../parts/seen-shapes.ts";
import { isConstant } from "../time/facts/dim.ts";
import type { Known, Place, StatePorts } from "./carried.ts";

/** Zeros, or a tensor that does not depend on the sequence: all its rows are the same, or each sequence has its own. */
export type Start = { readonly tensor: string; readonly rows: "same" | "own" } | "zeros";

/** Why nothing can be begun with. */
export interface NoStart {
  readonly code: ErrorCode;
  readonly reason: string;
}

/** A length at which a start is evaluated that has no time axis. */
const SHORT = 4;

/**
 * What a tensor gives to begin with.
 * @param name "" for an input that is left out
 * @param batchAxis in which it has a row for each sequence
 */
export async function startOf(known: Known, name: string, batchAxis: number): Promise<Start | NoStart> {
  const { graphs, time, constants } = known;
  if (!name) return "zeros";
  const fact = time.facts.get(name);
  if (fact?.kind === "still") return { tensor: name, rows: "own" };
  if (fact?.kind !== "constant" && fact?.kind !== "position")
    return { code: "depends-on-data", reason: "begins with a state that is made of the sequence" };
  if (fact.kind === "position" && isMadeOfSizes(known, name))
    return { code: "depends-on-length", reason: "begins with a state that is made of the length or of the batch size" };
  const tensor = fact.kind === "constant" ? constants.get(name)!.tensor() : await evaluated(graphs, name);
  if (toNumbers(tensor).every((value) => value === 0)) return "zeros";
  if (!isOneRow(tensor, batchAxis))
    return { code: "mixes-batch", reason: "begins with another state in each row of a batch of fixed size" };
  return { tensor: name, rows: "same" };
}

/** Whether values (and not sizes alone) come from the length or the batch size. */
function isMadeOfSizes({ graphs, time }: Pick<Known, "graphs" | "time">, name: string): boolean {
  const fact = time.facts.get(name);
  if (!name || fact?.kind === "constant") return false;
  if (fact?.kind === "shape") return !fact.values?.every(isConstant);
  const node = graphs.index.producer.get(name);
  if (node?.domain !== "") return true;
  if (node.op === "ConstantOfShape") return false;
  const values = SHAPED.has(node.op) ? node.inputs.slice(0, 1) : node.inputs;
  return values.length === 0 || values.some((input) => isMadeOfSizes({ graphs, time }, input));
}

/** Operators whose second input says a shape. */
const SHAPED = new Set(["Expand", "Reshape"]);

async function evaluated(graphs: Known["graphs"], name: string): Promise<Tensor> {
  const reader = await openPosition(graphs, name);
  return reader.at(fixedSizes(graphs.inputs).time ?? SHORT).finally(() => reader.close());
}

/** Whether all rows of an axis are the same. */
function isOneRow(tensor: Tensor, axis: number): boolean {
  const [first, ...others] = rowsOf(tensor, axis);
  return others.every((row) => row.every((value, k) => value === first![k]));
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

/** What a sequence begins with, then what the call before has left. @param batchAxis of the start and of the state */
export function begunWithStart(
  b: Builder,
  place: Pick<Place, "read">,
  { tensor, rows }: Exclude<Start, "zeros">,
  past: string,
  { rank, batchAxis }: { readonly rank: number; readonly batchAxis: number },
): string {
  // a batch of fixed size gives way to any
  const cut = [b.ints("from", [0]), b.ints("to", [1]), b.ints("axis", [batchAxis])];
  const first = rows === "own" ? tensor : b.one("Slice", [tensor, ...cut], {}, { hint: "start" });
  const shape = Array.from({ length: rank }, (_, k) => (k === batchAxis ? -1 : 1));
  return begunWith(b, place, first, past, shape);
}

/** A float32 state past_ssm.{index} with these dimensions behind the batch. */
export function ssmPorts(index: number, dims: readonly number[]): StatePorts {
  const info = (name: string) => ({ name, type: DataType.FLOAT, dims: [BATCH_SIZE, ...dims] });
  return { past: info(pastSsm(index)), present: info(presentSsm(index)) };
}
