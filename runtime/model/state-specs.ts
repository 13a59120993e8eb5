/** Which states a file has, and how each is laid out: paired by name, one axis the batch, at most one that grows. */
import type { StatePair } from "../../src/contract.ts";
import { LongConvError } from "../../src/errors.ts";
import { BATCH_NAME, batchOfFixed, pairByName, type ToldStates } from "../../src/stateful.ts";
import type { InferenceSession, Tensor } from "../sessions/ort.ts";
import type { StateSpec } from "./model.ts";
import type { OwnLayout } from "./own-layout.ts";

const CONVERT = "Convert it first: longconv-ssm convert model.onnx -o recurrent.onnx";

/** The states of a file by name. @throws LongConvError not-converted where there is none, or one has no output */
export function pairsOf(
  { inputNames, outputNames }: Pick<InferenceSession, "inputNames" | "outputNames">,
  file: string | undefined,
  told: ToldStates | undefined,
): StatePair[] {
  const pairs = pairByName(inputNames, outputNames, told, file);
  const unpaired = inputNames.find((name) => name.startsWith("past_") && !pairs.some((pair) => pair.past === name));
  if (unpaired) {
    const reason = `the state has no output '${unpaired.replace(/^past/, "present")}'`;
    throw new LongConvError("not-converted", reason, { file, tensor: unpaired }, CONVERT);
  }
  if (pairs.length > 0) return pairs;
  const reason = `the model carries no state: none of its inputs (${inputNames.join(", ")}) begins with past_`;
  throw new LongConvError("not-converted", reason, { file }, CONVERT);
}

/** What the caller says of states. */
interface Told {
  readonly states?: ToldStates | undefined;
  readonly initial?: Readonly<Record<string, number>> | undefined;
}

/** The states of an open model, with the names and sizes of their batches, and those that lie otherwise than batch first. */
export function stateSpecs(session: InferenceSession, file: string | undefined, { states: told, initial = {} }: Told) {
  const pairs = pairsOf(session, file, told);
  const other = Object.keys(initial).find((name) => !pairs.some(({ past }) => past === name));
  if (other !== undefined)
    throw new LongConvError("bad-input", `'${other}' is no state that could start from a number`, { file });
  const fixedBatches = new Set<number>();
  const batchNames = new Set<string>();
  const layouts: OwnLayout[] = [];
  const main = session.inputMetadata.find(({ name }) => !pairs.some(({ past }) => past === name));
  const rows = main?.isTensor ? main.shape[0] : undefined;
  const all = pairs.map(({ past, present }): StateSpec => {
    const metadata = session.inputMetadata.find((value) => value.name === past);
    if (!metadata?.isTensor || metadata.shape.length === 0) {
      throw new LongConvError("not-converted", "the state has no batch axis", { file, tensor: past }, CONVERT);
    }
    const { type, shape } = metadata;
    const batchAxis = batchAxisOf(past, shape, rows);
    if (batchAxis !== 0) layouts.push({ past, present, batchAxis });
    const batch = batchAxis === undefined ? 1 : shape[batchAxis];
    const rest = shape.filter((_, axis) => axis !== batchAxis);
    if (typeof batch === "number") fixedBatches.add(batch);
    else if (batch) batchNames.add(batch);
    // A tensor that never holds an element may have symbolic axes (a length cache): any length will do, also 0.
    const empty = rest.includes(0);
    const open = rest.flatMap((dim, index) => (typeof dim === "number" ? [] : [index]));
    if (!empty && open.length > 1) {
      const reason = `dimensions ${open.map((index) => `${index + 1} ('${rest[index]}')`).join(" and ")} of a state are no fixed numbers: it can grow along one`;
      throw new LongConvError("not-converted", reason, { file, tensor: past }, CONVERT);
    }
    const dims = rest.map((dim) => (typeof dim === "number" ? dim : 0));
    const grows = empty ? undefined : open[0];
    const start = initial[past] ?? 0;
    if (start !== 0) checkStart(past, type, start, file);
    const size = dims.reduce((product, dim) => product * dim, 1);
    return { past, present, type, dims, size, grows, ...(start !== 0 && { start }) };
  });
  return { all, batchSize: fixedBatches.size ? Math.max(...fixedBatches) : undefined, batchNames, layouts };
}

/**
 * Axis 0 of a state under the contract's names; under others where the batch of the first input stands, or where all sizes are
 * fixed an axis of 1. Undefined: there is none.
 */
function batchAxisOf(past: string, shape: readonly (number | string)[], rows: unknown): number | undefined {
  if (typeof shape[0] !== "number") return 0;
  if (shape.every((size) => typeof size === "number")) return past.startsWith("past_") ? 0 : batchOfFixed(shape);
  const isBatch = (size: number | string) => typeof size === "string" && (size === rows || BATCH_NAME.test(size));
  return Math.max(0, shape.findIndex(isBatch));
}

function checkStart(past: string, type: Tensor.Type, start: number, file: string | undefined): void {
  const isRight = type === "float32" || type === "float64" ? Number.isFinite(start) : Number.isSafeInteger(start);
  if (isRight && STARTS.has(type)) return;
  throw new LongConvError("bad-input", `a state of ${type} cannot start from ${start}`, { file, tensor: past });
}

const STARTS: ReadonlySet<Tensor.Type> = new Set(["float32", "float64", "int32", "int64"]);
