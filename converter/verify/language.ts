/** Runs both language models over windows of ids; no more than one window's logits are in memory at a time. */
import { isDriven, type LanguageNames, pairStates } from "../../src/contract.ts";
import { LongConvError } from "../../src/errors.ts";
import type { Model } from "../graph/graph.ts";
import { besideFeed, convertedLanguage, exportedLanguage, shapedLikeLanguage } from "../graph/language.ts";
import { DataType, int64Tensor, makeTensor, type Tensor, toNumbers } from "../graph/tensor.ts";
import { carried } from "../ort/carried.ts";
import { openModel, type Runner } from "../ort/run.ts";

/** Logits of consecutive positions: row t of batch row b begins at (b · time + t) · vocabulary. */
export interface Logits {
  readonly values: ArrayLike<number> & { subarray(from: number, to: number): ArrayLike<number> };
  readonly time: number;
  readonly vocabulary: number;
}

/** Rows of ids of one length. */
export type Rows = readonly Int32Array[];

/** A model that reads rows of ids from left to right. */
export interface Reader {
  /** All logits at once. */
  read(rows: Rows): Promise<Logits>;
  close(): Promise<void>;
}

/** A model that reads rows of ids in pieces, with its state carried. */
export interface PieceReader {
  /** Logits piece by piece; `piece` positions each, the last one shorter. */
  read(rows: Rows, piece: number): AsyncGenerator<Logits & { readonly from: number }>;
  close(): Promise<void>;
}

/** Names of the original's ids and logits, where it is a language model, or where the converted model says so. */
export function languageOf(original: Model, converted: Model): LanguageNames | undefined {
  return convertedLanguage(converted) ? shapedLikeLanguage(original.graph) : exportedLanguage(original.graph);
}

/** The exported model. */
export async function openOriginal(
  model: Model,
  { ids, logits }: LanguageNames,
  threads: number | undefined,
): Promise<Reader> {
  const runner = await openModel(model, threads === undefined ? {} : { threads });
  const { type } = model.graph.inputs.find(({ name }) => name === ids)!;
  return {
    read: async (rows) => {
      const beside = model.graph.inputs.flatMap((input) => {
        const feed = besideFeed(input.name, input.type, rows.length, rows[0]!.length);
        return feed ? [[input.name, feed] as const] : [];
      });
      const feeds = { [ids]: idsTensor(rows, type), ...Object.fromEntries(beside) };
      return logitsOf((await runner.run(feeds, [logits]))[logits]!);
    },
    close: () => runner.close(),
  };
}

/** @throws LongConvError not-converted where the model carries no state */
export function refuseStateless(model: Model): void {
  const { inputs, outputs } = model.graph;
  const pairs = pairStates(
    inputs.map(({ name }) => name),
    outputs.map(({ name }) => name),
  );
  if (pairs.length > 0) return;
  const remedy = "Give the exported model first and the converted one second.";
  throw new LongConvError("not-converted", "the model carries no state", { file: model.file || undefined }, remedy);
}

/** The converted model. */
export async function openConverted(model: Model, threads: number | undefined): Promise<PieceReader> {
  const runner = await openModel(model, threads === undefined ? {} : { threads });
  return { read: (rows, piece) => readPieces(model, runner, rows, piece), close: () => runner.close() };
}

async function* readPieces(
  model: Model,
  runner: Runner,
  rows: Rows,
  piece: number,
): AsyncGenerator<Logits & { from: number }> {
  const said = convertedLanguage(model);
  // other converters may say nothing: then it is the only input of its own, and the first output
  const ids = model.graph.inputs.find(({ name }) => !isDriven(name))!;
  const logits = said?.logits ?? model.graph.outputs[0]!.name;
  const pieces = carried(model.graph, runner, rows.length);
  const length = rows[0]!.length;
  for (let from = 0; from < length; from += piece) {
    const to = Math.min(length, from + piece);
    const read = idsTensor(
      rows.map((row) => row.subarray(from, to)),
      ids.type,
    );
    const results = await pieces.next(to - from, { [ids.name]: read }, [logits]);
    yield { ...logitsOf(results[logits]!), from };
  }
}

function idsTensor(rows: Rows, type: number): Tensor {
  const dims = [rows.length, rows[0]!.length];
  const flat = rows.flatMap((row) => Array.from(row));
  return type === DataType.INT32 ? makeTensor(type, dims, Int32Array.from(flat)) : int64Tensor(dims, flat);
}

function logitsOf(tensor: Tensor): Logits {
  const values = tensor.data instanceof Float32Array ? tensor.data : toNumbers(tensor);
  return { values, time: tensor.dims[1]!, vocabulary: tensor.dims[2]! };
}
