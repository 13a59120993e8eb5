/** Original against converted, on real or random data, at several lengths, in one pass and token by token. */

import { checkArguments } from "../src/checks.ts";
import { SEQUENCE_LENGTH } from "../src/contract.ts";
import { LongConvError } from "../src/errors.ts";
import type { ProcessOptions } from "../src/process/limits.ts";
import { refuseConverted } from "../src/stateful.ts";
import { named } from "../src/unforeseen.ts";
import { analyse } from "./analyse.ts";
import { apart } from "./apart/apart.ts";
import { refuseUnbounded } from "./bound/refuse.ts";
import { inlineFunctions } from "./expand/inline.ts";
import { readModel } from "./file/read.ts";
import type { Model } from "./graph/graph.ts";
import { lift } from "./lift/lift.ts";
import { fixedSizes, runSizes, shapesAt } from "./parts/seen-shapes.ts";
import { inputAxes } from "./time/inputs.ts";
import {
  languageOf,
  openConverted,
  openOriginal,
  type PieceReader,
  type Reader,
  type Rows,
  refuseStateless,
} from "./verify/language.ts";
import { createScorer, type Score, type Scorer } from "./verify/score.ts";
import { type SignalRow, verifySignals, type Way } from "./verify/signals.ts";
import { checkIds, randomIds } from "./verify/token-ids.ts";

export interface VerifyOptions {
  /** Token ids to read; default random ones. */
  readonly ids?: Int32Array | undefined;
  /** Where the ids come from, for messages. */
  readonly idsFile?: string | undefined;
  /** Lengths of the windows. Default: powers of two from 64 to four times the training length, at least to 2 048. */
  readonly lengths?: readonly number[] | undefined;
  /** Length that the model was trained with, where it is known. */
  readonly trainingLength?: number | undefined;
  /** Positions read in one pass at each length, at most; at least one window. Default 8 192. */
  readonly positions?: number | undefined;
  /** Windows read token by token at each length; default 1. */
  readonly stepWindows?: number | undefined;
  /** For random ids; default 1. */
  readonly seed?: number | undefined;
  readonly threads?: number | undefined;
  readonly onProgress?: ((done: number, total: number) => void) | undefined;
  /**
   * Do the work in a process of its own: for models that are not trusted. It may be limited and stopped, also while ONNX
   * Runtime computes; should ONNX Runtime crash on the model, only that process ends. Default: in this one.
   */
  readonly process?: ProcessOptions | undefined;
}

/** A comparison at one length. */
export interface LanguageRow extends Score {
  readonly length: number;
  readonly way: Way;
  readonly windows: number;
  /** Longer than the model's training length. */
  readonly beyondTraining: boolean;
}

export type Verification =
  | {
      readonly kind: "language";
      readonly data: "given" | "random";
      readonly vocabulary: number;
      readonly rows: readonly LanguageRow[];
    }
  | { readonly kind: "signal"; readonly data: "random"; readonly rows: readonly SignalRow[] };

const DEFAULT_POSITIONS = 8192;
const SHORTEST = 64;
/** Logits that the original gives at once: 2^29 floats are 2 GiB. */
const WINDOW_FLOATS = 2 ** 29;
/** Logits of a piece that the converted model gives at once: 2^25 floats are 128 MB. */
const PIECE_FLOATS = 2 ** 25;

/**
 * Compares a converted model with the one it was made from. Each window is read by the original in one pass; the
 * converted model reads it in one pass (in pieces where its logits would take more than 128 MB) and token by token.
 *
 *     const { rows } = await verify("model.onnx", "recurrent.onnx", { ids: await readIds("valid_ids.pb") });
 *
 * @throws LongConvError what reading throws; already-converted, not-converted, too-large; usage for windows too long; token-out-of-range; bad-input where the ids are fewer than
 *   the shortest window; with `process` also memory-exceeded, time-exceeded, and runtime-failed for a crash
 */
export async function verify(
  originalFile: string,
  convertedFile: string,
  options: VerifyOptions = {},
): Promise<Verification> {
  return named(undefined, async () => {
    checkArguments({
      original: ["path", originalFile],
      converted: ["path", convertedFile],
      options: ["options", options],
    });
    if (options.process) return apart("verify", [originalFile, convertedFile], options);
    const original = lift(inlineFunctions(await readModel(originalFile)));
    refuseConverted(original);
    const converted = inlineFunctions(await readModel(convertedFile));
    refuseStateless(converted);
    const { trainingLength, onProgress, seed = 1 } = options;
    const lengths = [...(options.lengths ?? defaultLengths(trainingLength))].sort((a, b) => a - b);
    const language = languageOf(original, converted);
    if (!language) {
      const found = await analyse(original, { timeAxis: axesOfTime(original, converted) });
      const short = lengths.filter((length) => length <= 512);
      const rows = await verifySignals(found, converted, short.length ? short : lengths.slice(0, 1), seed, onProgress);
      return { kind: "signal", data: "random", rows };
    }
    const axes = inputAxes(original);
    refuseUnbounded(original, shapesAt(original, axes, runSizes(original, axes).at(-1)!));
    const reader = await openOriginal(original, language, options.threads);
    try {
      const pieces = await openConverted(converted, options.threads);
      try {
        const vocabulary = await vocabularyOf(reader, original, language.logits);
        const rows = await verifyLanguage(original, reader, pieces, vocabulary, lengths, options);
        return { kind: "language", data: options.ids ? "given" : "random", vocabulary, rows };
      } finally {
        await pieces.close();
      }
    } finally {
      await reader.close();
    }
  });
}

/** Which axis of each input was taken for time, as the converted model's inputs say: `convert` may have been told. */
function axesOfTime(original: Model, converted: Model): Record<string, number> | undefined {
  const taken = new Map(converted.graph.inputs.map(({ name, dims = [] }) => [name, dims]));
  const axes = original.graph.inputs.flatMap(({ name, dims = [] }) => {
    const of = taken.get(name);
    // a model of one sequence has a batch in front when it is converted
    const axis = of ? of.indexOf(SEQUENCE_LENGTH) - (of.length - dims.length) : -1;
    return axis < 0 ? [] : [[name, axis] as const];
  });
  return axes.length > 0 ? Object.fromEntries(axes) : undefined;
}

async function verifyLanguage(
  original: Model,
  reader: Reader,
  pieces: PieceReader,
  vocabulary: number,
  lengths: readonly number[],
  options: VerifyOptions,
): Promise<LanguageRow[]> {
  const { positions = DEFAULT_POSITIONS, stepWindows = 1, trainingLength, onProgress } = options;
  const { batch = 1, time } = fixedSizes(inputAxes(original));
  const all = time === undefined ? lengths : [time];
  const given = options.ids?.length ?? Infinity;
  const usable = all.filter((length) => length * batch <= given);
  if (usable.length === 0) {
    const reason = `${given} token ids are fewer than the shortest window takes (${all[0]! * batch})`;
    throw new LongConvError("bad-input", reason, { file: options.idsFile }, "Give more text, or shorter `lengths`.");
  }
  const longest = Math.floor(WINDOW_FLOATS / (vocabulary * batch));
  if (usable.at(-1)! > longest) {
    const reason = `${batch} × ${usable.at(-1)} × ${vocabulary} logits, which the original gives at once, take more than 2 GiB`;
    throw new LongConvError("usage", reason, { file: original.file }, `Ask for lengths of at most ${longest}.`);
  }
  const ids = options.ids ?? randomIds(Math.max(positions, usable.at(-1)! * batch), vocabulary, options.seed ?? 1);
  checkIds(ids, vocabulary, options.idsFile);
  const groupsOf = (length: number) => Math.max(1, Math.floor(Math.min(positions, ids.length) / (length * batch)));
  const total = usable.reduce(
    (sum, length) => sum + length * (groupsOf(length) + Math.min(stepWindows, groupsOf(length))),
    0,
  );
  let done = 0;
  const rows: LanguageRow[] = [];
  for (const length of usable) {
    const whole = createScorer();
    const steps = createScorer();
    const groups = groupsOf(length);
    const stepGroups = Math.min(stepWindows, groups);
    for (let group = 0; group < groups; group++) {
      const window = rowsAt(ids, group, batch, length);
      const wanted = await reader.read(window);
      const piece = Math.max(1, Math.min(length, Math.floor(PIECE_FLOATS / (vocabulary * batch))));
      for (const [scorer, size] of [[whole, piece], ...(group < stepGroups ? [[steps, 1] as const] : [])] as const) {
        for await (const got of pieces.read(window, size)) {
          addPiece(scorer, wanted, got, window);
          done += got.time;
          onProgress?.(done, total);
        }
      }
    }
    const common = { length, beyondTraining: trainingLength !== undefined && length > trainingLength };
    rows.push({ ...common, way: "whole", windows: groups * batch, ...whole.score() });
    if (stepGroups > 0) rows.push({ ...common, way: "token by token", windows: stepGroups * batch, ...steps.score() });
  }
  return rows;
}

const rowsAt = (ids: Int32Array, group: number, batch: number, length: number): Rows =>
  Array.from({ length: batch }, (_, row) =>
    ids.subarray((group * batch + row) * length, (group * batch + row + 1) * length),
  );

function addPiece(
  scorer: Scorer,
  wanted: { values: { subarray(from: number, to: number): ArrayLike<number> }; time: number; vocabulary: number },
  got: {
    values: { subarray(from: number, to: number): ArrayLike<number> };
    time: number;
    vocabulary: number;
    from: number;
  },
  rows: Rows,
): void {
  const { vocabulary } = wanted;
  if (got.vocabulary !== vocabulary) {
    const reason = `the original has ${vocabulary} logits at each position, the converted model ${got.vocabulary}`;
    throw new LongConvError("bad-input", reason, {}, "Give a model and what it was converted to.");
  }
  for (const [row, ids] of rows.entries()) {
    for (let t = 0; t < got.time; t++) {
      const at = (row * wanted.time + got.from + t) * vocabulary;
      const other = (row * got.time + t) * vocabulary;
      const position = got.from + t;
      scorer.add(
        wanted.values.subarray(at, at + vocabulary),
        got.values.subarray(other, other + vocabulary),
        position,
        ids[position + 1],
      );
    }
  }
}

/** The last dimension of the logits; one short run where the graph does not say. */
async function vocabularyOf(reader: Reader, model: Model, logits: string): Promise<number> {
  const declared = model.graph.outputs.find(({ name }) => name === logits)!.dims?.at(-1);
  if (typeof declared === "number") return declared;
  const { batch = 1, time = SHORTEST } = fixedSizes(inputAxes(model));
  return (await reader.read(Array.from({ length: batch }, () => new Int32Array(time)))).vocabulary;
}

/** Lengths of the windows where nobody says them. Powers of two: ONNX Runtime's DFT of other lengths is imprecise, and that would be taken for ours. */
export function defaultLengths(trainingLength: number | undefined): number[] {
  const longest = Math.max(2048, 4 * (trainingLength ?? 0));
  const lengths: number[] = [];
  for (let length = SHORTEST; length <= longest; length *= 2) lengths.push(length);
  return lengths;
}
