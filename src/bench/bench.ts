/** A converted model against its original, run again for every token, and against its floor. */

import { initializerBytes } from "../../converter/file/encode.ts";
import type { Model } from "../../converter/graph/graph.ts";
import { fixedSizes } from "../../converter/parts/seen-shapes.ts";
import { checkArguments } from "../checks.ts";
import { beyondClaim, beyondEnd, beyondRemark, type End, endOf, type Reach, reachOf } from "../reach.ts";
import { benchApart } from "./apart.ts";
import { type Cases, casesOf } from "./cases.ts";
import { type Opened, start, withOpen } from "./drive.ts";
import { interleave, type MeasureOptions, type Ratio, ratioOf, type Timing, thisMachine } from "./measure.ts";
import type { BenchOptions, BenchReport, Comparison } from "./report.ts";
import { residentOf } from "./resident.ts";
import { benchSubjects, floorFor } from "./subjects.ts";

/**
 * Measures one token, a prompt and, where asked for, a batch; medians of interleaved runs.
 * @throws LongConvError what {@link benchSubjects} throws; beyond-claim, beyond-positions; runtime-failed where a model does not run, as one that was
 *   made from another original; with `process` also memory-exceeded, time-exceeded, and runtime-failed for a crash
 */
export async function bench(original: string, converted: string, options: BenchOptions = {}): Promise<BenchReport> {
  checkArguments({ original: ["path", original], converted: ["path", converted], options: ["options", options] });
  if (options.process) return benchApart(original, converted, options);
  const { batch, threads, onProgress } = options;
  onProgress?.("finding convolutions", 0, undefined);
  const subjects = await benchSubjects(original, converted, options.timeAxis);
  const { found } = subjects;
  // a fixed batch size is one sequence no more
  const { batch: least = 1, time } = fixedSizes(found.graphs.inputs);
  const reach = reachOf(subjects.converted.metadata, converted);
  const { prompt: tokens, contexts, end } = lengthsOf(reach, time, options, converted);
  onProgress?.("opening", 0, undefined);
  const models = [subjects.converted, await floorFor(subjects), found.original] as const;
  const timed = await withOpen(
    models,
    async (own, floor, exported) => {
      const three = { own, floor, exported, cases: casesOf(found, least, end.positions) };
      const token = await timeToken(three, contexts, options);
      const prompt = await timePrompt(three, tokens, time, options);
      return { token, prompt, stateBytes: stateBytesOf(own, least), positionBytes: positionBytesOf(own) };
    },
    threads,
  );
  const { comparison: decode, many } = timed.token;
  onProgress?.("memory", 0, undefined);
  const resident = async (model: Model, length: number) => {
    const feeds = casesOf(found, least).inputs(length);
    return (await residentOf(model, { feeds, tokens: length, batch: least, threads }))?.bytes;
  };
  return {
    machine: thisMachine(),
    threads,
    original,
    converted,
    memory: {
      weightBytes: initializerBytes(subjects.converted),
      exportedWeightBytes: initializerBytes(found.original),
      stateBytes: timed.stateBytes,
      positionBytes: timed.positionBytes,
      residentBytes: await resident(subjects.converted, 1),
      exportedResidentBytes: await resident(found.original, Math.max(...contexts)),
    },
    decode: { ...decode, tokensPerSecond: tokensPerSecond(decode.converted, least) },
    prompt: { ...timed.prompt, tokens, tokensPerSecond: tokensPerSecond(timed.prompt.converted, least * tokens) },
    batch:
      many && batch
        ? {
            size: batch,
            timing: many,
            tokensPerSecond: tokensPerSecond(many, batch),
            timesOne: throughput(decode.converted, many, batch / least),
          }
        : undefined,
  };
}

/** Bytes of the states of one sequence. */
function stateBytesOf(opened: Opened, batch: number): number {
  const states = Object.values(start(opened, batch).states);
  return states.reduce((sum, { data }) => sum + (data as Float32Array).byteLength, 0) / batch;
}

/** Bytes of one row of the states that grow. */
function positionBytesOf({ inputs, states }: Opened): number {
  const shapes = states.map(({ past }) => inputs.get(past)?.dims?.slice(1) ?? []);
  const rows = shapes.filter((dims) => dims.some((dim) => typeof dim !== "number"));
  return rows.reduce((sum, dims) => sum + 4 * dims.reduce<number>((a, b) => (typeof b === "number" ? a * b : a), 1), 0);
}

/**
 * What is timed, and where the converted model ends; lengths that nobody asked for are no longer than that.
 * @param fixed the one length that the original has
 * @throws LongConvError beyond-claim, beyond-positions
 */
function lengthsOf(
  reach: Reach,
  fixed: number | undefined,
  { contexts, batch = 1, beyond = false, onRemark, ...given }: BenchOptions,
  file: string,
): { readonly prompt: number; readonly contexts: readonly number[]; readonly end: End } {
  const end = endOf(reach, beyond);
  const { prompt = Math.min(512, end.positions) } = given;
  if (prompt > end.positions) throw beyondEnd(`a prompt of ${prompt} tokens`, reach, end, file);
  // the original claims nothing, but a table of positions ends in it as well
  const table = endOf(reach, true);
  const longest = Math.max(...(contexts ?? [0]));
  if (longest > table.positions) throw beyondEnd(`a context of ${longest}`, reach, table, file);
  const [positions, rows] = [reach.claim?.positions ?? Infinity, reach.claim?.rows ?? Infinity];
  if (batch > rows && !beyond) throw beyondClaim(`a batch of ${batch} rows`, reach.claim!, file);
  if (prompt > positions) onRemark?.(beyondRemark(`a prompt of ${prompt} tokens`, reach.claim!));
  if (batch > rows) onRemark?.(beyondRemark(`a batch of ${batch} rows`, reach.claim!));
  const usual = [...new Set([128, 512].map((length) => Math.min(length, table.positions)))];
  return { prompt, contexts: fixed ? [fixed] : (contexts ?? usual), end };
}

/** What is timed side by side, on the same inputs. */
interface Three {
  readonly own: Opened;
  readonly floor: Opened;
  readonly exported: Opened;
  readonly cases: Cases;
}

/** One token, against the exported graph over each context; and one token of each sequence of a batch. */
async function timeToken({ own, floor, exported, cases }: Three, contexts: readonly number[], options: BenchOptions) {
  const { batch } = options;
  const timings = await interleave(
    [
      await cases.step("converted", own),
      await cases.step("floor", floor),
      ...contexts.map((context) => cases.whole(`exported, ${context}`, exported, context)),
      ...(batch ? [await cases.step(`batch ${batch}`, own, { batch })] : []),
    ],
    measureOptions("one token", options),
  );
  return { comparison: comparisonOf(timings, contexts), many: batch ? timings.at(-1) : undefined };
}

/** A prompt in one pass; the exported graph only at its own length, where that is fixed. */
async function timePrompt(
  { own, floor, exported, cases }: Three,
  tokens: number,
  fixed: number | undefined,
  options: BenchOptions,
): Promise<Comparison> {
  const contexts = fixed === undefined || fixed === tokens ? [tokens] : [];
  const timings = await interleave(
    [
      cases.whole("converted", own, tokens),
      cases.whole("floor", floor, tokens),
      ...contexts.map((context) => cases.whole(`exported, ${context}`, exported, context)),
    ],
    measureOptions("prompt", options),
  );
  return comparisonOf(timings, contexts);
}

const measureOptions = (step: string, { rounds = 15, roundMs = 100, onProgress }: BenchOptions): MeasureOptions => ({
  rounds,
  roundMs,
  onProgress: (done, total) => onProgress?.(step, done, total),
});

/** @param timings the converted model's, the floor's, and the exported graph's over each of the contexts */
function comparisonOf(timings: readonly Timing[], contexts: readonly number[]): Comparison {
  const [converted, floor, ...rest] = timings as [Timing, Timing, ...Timing[]];
  const exported = contexts.map((context, i) => {
    const timing = rest[i]!;
    return { context, timing, timesFaster: ratioOf(timing, converted) };
  });
  return { converted, floor, exported, overFloor: ratioOf(converted, floor) };
}

const tokensPerSecond = ({ ms }: Timing, tokens: number): number => (1000 * tokens) / ms;

/** Tokens in a second of a batch over those of one sequence. */
export function throughput(one: Timing, many: Timing, batch: number): Ratio {
  const { ratio, low, high } = ratioOf(one, many);
  return { ratio: batch * ratio, low: batch * low, high: batch * high };
}
