/** A converted model against its original, run again for every token, and against its floor. */
import { randomInputs } from "../../converter/check/inputs.ts";
import { type Found, findConvolutions, refusalError } from "../../converter/find/find.ts";
import { fixedSizes } from "../../converter/find/shapes.ts";
import { floorOf } from "../../converter/floor/floor.ts";
import type { Model } from "../../converter/onnx/graph.ts";
import { inlineFunctions } from "../../converter/onnx/inline.ts";
import { readModel } from "../../converter/onnx/read.ts";
import { ATTENTION_MASK, NUM_LOGITS_TO_KEEP } from "../contract.ts";
import { LongConvError } from "../errors.ts";
import { type Opened, openForBench, reader, start, stepper } from "./drive.ts";
import { interleave, type Machine, type Ratio, ratioOf, type Timing, thisMachine } from "./measure.ts";

export interface BenchOptions {
  /** Context lengths at which the original is run again; default 128 and 512, or the one length it has. */
  readonly contexts?: readonly number[] | undefined;
  /** Tokens of the prompt; default 512. */
  readonly prompt?: number | undefined;
  /** Sequences in a batch, beside one alone; default none. */
  readonly batch?: number | undefined;
  /** Rounds of interleaved runs; default 15. */
  readonly rounds?: number | undefined;
  /** A round repeats what is short for about so long, ms; default 100. */
  readonly roundMs?: number | undefined;
  /** Threads of one operator; default ONNX Runtime's choice. */
  readonly threads?: number | undefined;
  readonly timeAxis?: Readonly<Record<string, number>> | undefined;
  readonly onProgress?: ((step: string, done: number, total: number | undefined) => void) | undefined;
}

/** Times of the converted model and of what it is compared with. */
export interface Comparison {
  readonly converted: Timing;
  readonly floor: Timing;
  /** The exported graph over the whole sequence; empty where it does not run at this length. */
  readonly exported: readonly { readonly context: number; readonly timing: Timing; readonly timesFaster: Ratio }[];
  /** Converted over floor. */
  readonly overFloor: Ratio;
}

export interface BenchReport {
  readonly machine: Machine;
  readonly threads: number | undefined;
  readonly original: string;
  readonly converted: string;
  /** One token, the state carried. */
  readonly decode: Comparison & { readonly tokensPerSecond: number };
  /** A prompt in one pass, logits of the last position. */
  readonly prompt: Comparison & { readonly tokens: number; readonly tokensPerSecond: number };
  /** One token for each sequence of a batch. */
  readonly batch:
    | { readonly size: number; readonly timing: Timing; readonly tokensPerSecond: number; readonly timesOne: Ratio }
    | undefined;
}

/** A model that was followed through time, and its converted form. */
export interface Subjects {
  readonly found: Found;
  readonly converted: Model;
}

/**
 * Reads both files and finds the original's convolutions.
 * @throws LongConvError where the original cannot be converted or the other file is not a converted model
 */
export async function benchSubjects(
  original: string,
  converted: string,
  timeAxis?: Readonly<Record<string, number>>,
): Promise<Subjects> {
  const found = await findConvolutions(inlineFunctions(await readModel(original)), timeAxis ? { timeAxis } : {});
  if (found.refusals.length > 0) throw refusalError(found.graphs.model, found.refusals);
  const model = await readModel(converted);
  if (!model.graph.inputs.some(({ name }) => name.startsWith("past_")))
    throw new LongConvError("not-converted", "has no past_* state", { file: converted }, "Give the converted model.");
  return { found, converted: model };
}

/** The floor with the inputs that the converted model has. */
export const floorFor = ({ found, converted }: Subjects): Promise<Model> => {
  const names = new Set(converted.graph.inputs.map(({ name }) => name));
  return floorOf(found, { attentionMask: names.has(ATTENTION_MASK), numLogitsToKeep: names.has(NUM_LOGITS_TO_KEEP) });
};

/**
 * Measures one token, a prompt and, where asked for, a batch; medians of interleaved runs.
 * @throws LongConvError what {@link benchSubjects} throws; runtime-failed where a model does not run, as one that was
 *   made from another original
 */
export async function bench(original: string, converted: string, options: BenchOptions = {}): Promise<BenchReport> {
  const { prompt: asked = 512, batch, rounds = 15, roundMs = 100, threads, onProgress } = options;
  onProgress?.("finding convolutions", 0, undefined);
  const subjects = await benchSubjects(original, converted, options.timeAxis);
  const { found } = subjects;
  const fixed = fixedSizes(found.graphs.inputs);
  const contexts = fixed.time ? [fixed.time] : (options.contexts ?? [128, 512]);
  const opened: Opened[] = [];
  const open = async (model: Model) => {
    const each = await openForBench(model, threads);
    opened.push(each);
    return each;
  };
  try {
    onProgress?.("opening", 0, undefined);
    const [own, floor, exported] = [
      await open(subjects.converted),
      await open(await floorFor(subjects)),
      await open(found.original),
    ];
    // a fixed batch size is one sequence no more
    const least = fixed.batch ?? 1;
    const inputs = (time: number, size = least) =>
      randomInputs(found.graphs, found.constants, { batch: size, time }, 1);
    const exportedAt = (context: number) => ({
      name: `exported, ${context}`,
      run: reader(exported, inputs(context), context, start(exported, least), least),
    });
    const progress = (step: string) => ({
      rounds,
      roundMs,
      onProgress: (done: number, total: number) => onProgress?.(step, done, total),
    });
    const one = async (each: Opened) => stepper(each, inputs(1), start(each, least), least);
    const decode = await interleave(
      [
        { name: "converted", run: await one(own) },
        { name: "floor", run: await one(floor) },
        ...contexts.map((context) => exportedAt(context)),
        ...(batch
          ? [{ name: `batch ${batch}`, run: await stepper(own, inputs(1, batch), start(own, batch), batch) }]
          : []),
      ],
      progress("one token"),
    );
    const whole = (each: Opened) => reader(each, inputs(asked), asked, start(each, least), least);
    const prompt = await interleave(
      [
        { name: "converted", run: whole(own) },
        { name: "floor", run: whole(floor) },
        ...(!fixed.time || fixed.time === asked ? [exportedAt(asked)] : []),
      ],
      progress("prompt"),
    );
    const many = batch ? decode.at(-1)! : undefined;
    const tokensPerSecond = (timing: Timing, tokens: number) => (1000 * tokens) / timing.ms;
    return {
      machine: thisMachine(),
      threads,
      original,
      converted,
      decode: { ...comparison(decode, contexts), tokensPerSecond: tokensPerSecond(decode[0]!, least) },
      prompt: {
        ...comparison(prompt, [asked]),
        tokens: asked,
        tokensPerSecond: tokensPerSecond(prompt[0]!, least * asked),
      },
      batch:
        many && batch
          ? {
              size: batch,
              timing: many,
              tokensPerSecond: tokensPerSecond(many, batch),
              timesOne: throughput(decode[0]!, many, batch / least),
            }
          : undefined,
    };
  } finally {
    for (const each of opened) await each.close();
  }
}

/** Tokens in a second of a batch over those of one sequence. */
export function throughput(one: Timing, many: Timing, batch: number): Ratio {
  const { ratio, low, high } = ratioOf(one, many);
  return { ratio: batch * ratio, low: batch * low, high: batch * high };
}

function comparison([converted, floor, ...rest]: readonly Timing[], contexts: readonly number[]): Comparison {
  const exported = rest
    .slice(0, contexts.length)
    .flatMap((timing, i) =>
      timing.name.startsWith("exported")
        ? [{ context: contexts[i]!, timing, timesFaster: ratioOf(timing, converted!) }]
        : [],
    );
  return { converted: converted!, floor: floor!, exported, overFloor: ratioOf(converted!, floor!) };
}
