/** The suite: each row is a ratio (or a time) with what it must and what it should reach. */
import { randomInputs } from "../../converter/check/inputs.ts";
import type { Model } from "../../converter/onnx/graph.ts";
import { readModel } from "../../converter/onnx/read.ts";
import { int64Tensor } from "../../converter/onnx/tensor.ts";
import type { Backend } from "../../runtime/backend.ts";
import { generate, load, nodeBackend, nodeBindingBackend, read } from "../../runtime/node.ts";
import { readTokens } from "../../runtime/read.ts";
import { zeroState } from "../../runtime/step.ts";
import { benchSubjects, floorFor, throughput } from "../../src/bench/bench.ts";
import { type Opened, openedOf, openForBench, type Position, reader, start, stepper } from "../../src/bench/drive.ts";
import { type Case, interleave, type Ratio, ratioOf, type Timing } from "../../src/bench/measure.ts";
import { bytesOf, type Conversion } from "./models.ts";

export interface Row {
  readonly what: string;
  readonly value: number;
  readonly low: number;
  readonly high: number;
  readonly unit: "×" | "ms" | "s" | "× model";
  /** Whether less or more is better. */
  readonly better: "less" | "more";
  readonly must: number;
  readonly aim?: number;
  /** The times behind it. */
  readonly times: readonly Omit<Timing, "samples">[];
}

/** Converted files by what they are for. */
export interface Files {
  readonly exported: string;
  /** Default tolerance, horizon 512. */
  readonly compact: string;
  /** Default tolerance, horizon 2 048. */
  readonly compact2048: string;
  readonly exact512: string;
  readonly exact2048: string;
  readonly int4: string;
}

export interface SuiteOptions {
  readonly rounds: number;
  readonly threads?: number | undefined;
  /** Position of the late step; default 100 000. */
  readonly late?: number;
  readonly onProgress: (what: string) => void;
}

/** Tokens of a slice of the long prompt that leads to the late step. */
const SLICE = 512;
/** Pairs of single runs, where what is measured is a hundredth of a run. */
const PAIRS = 300;

type Limits = Pick<Row, "better" | "must" | "aim">;
const atMost = (must: number, aim?: number): Limits => ({ better: "less", must, ...(aim && { aim }) });
const atLeast = (must: number): Limits => ({ better: "more", must });

const rowOf = (what: string, { ratio, low, high }: Ratio, limits: Limits, ...times: Timing[]): Row => ({
  what,
  value: ratio,
  low,
  high,
  unit: "×",
  ...limits,
  times: times.map(({ samples: _, ...timing }) => timing),
});

/** Measures every row but those of the conversion itself. */
export async function runSuite(files: Files, options: SuiteOptions): Promise<Row[]> {
  const { rounds, threads, late = 100_000, onProgress } = options;
  const subjects = await benchSubjects(files.exported, files.compact);
  const inputs = (time: number, batch = 1) =>
    randomInputs(subjects.found.graphs, subjects.found.constants, { batch, time }, 1);
  const step = async (name: string, opened: Opened, from: Position = start(opened, 1), batch = 1): Promise<Case> => ({
    name,
    run: await stepper(opened, inputs(1, batch), from, batch),
  });
  const whole = (name: string, opened: Opened, tokens: number): Case => ({
    name,
    run: reader(opened, inputs(tokens), tokens, start(opened, 1)),
  });
  const withOpen = async <T>(
    models: readonly (Model | string)[],
    use: (...opened: Opened[]) => Promise<T>,
    backend: Backend = nodeBackend,
  ) => {
    const opened: Opened[] = [];
    try {
      for (const each of models)
        opened.push(await openForBench(typeof each === "string" ? await readModel(each) : each, threads, backend));
      return await use(...opened);
    } finally {
      for (const each of opened) await each.close();
    }
  };
  const floorModel = await floorFor(subjects);
  const rows: Row[] = [];

  onProgress("decode against the floor");
  await withOpen([files.compact, floorModel, files.int4], async (compact, floor, int4) => {
    const cases = [await step("converted", compact!), await step("floor", floor!), await step("int4", int4!)];
    const [own, least, four] = await interleave(cases, { rounds });
    rows.push(
      rowOf(
        "decode, B = 1, default tolerance, against the floor",
        ratioOf(own!, least!),
        atMost(1.2, 1.08),
        own!,
        least!,
      ),
    );
    rows.push(
      rowOf("int4 weights, B = 1, against the float32 floor", ratioOf(four!, least!), atMost(0.5), four!, least!),
    );
  });

  for (const [n, compact, exact, must] of [
    [512, files.compact, files.exact512, 3],
    [2048, files.compact2048, files.exact2048, 10],
  ] as const) {
    for (const backend of [nodeBackend, nodeBindingBackend]) {
      const through = backend === nodeBackend ? "" : ", through onnxruntime-node's own binding";
      onProgress(`compact against exact, n = ${n}${through}`);
      const compare = async (small?: Opened, large?: Opened, floor?: Opened) => {
        // no compact state is faster than the floor: exact over floor is the most that can be reached
        const cases = [
          await step(`compact, ${n}`, small!),
          await step(`exact, ${n}`, large!),
          await step("floor", floor!),
        ];
        const [own, other, least] = await interleave(cases, { rounds });
        const what = `decode, compact against exact ETSC, n = ${n}: times faster${through}`;
        rows.push(rowOf(what, ratioOf(other!, own!), atLeast(must), own!, other!, least!));
      };
      await withOpen([compact, exact, floorModel], compare, backend);
    }
  }

  onProgress("against the exported graph");
  await withOpen([files.compact, floorModel, subjects.found.original], async (compact, floor, exported) => {
    const contexts = [[512, 100] as const, [2048, 400] as const];
    const cases = [
      await step("converted", compact!),
      ...contexts.map(([context]) => whole(`exported, ${context}`, exported!, context)),
    ];
    const [own, ...again] = await interleave(cases, { rounds: Math.max(2, Math.ceil(rounds / 4)) });
    contexts.forEach(([context, must], i) => {
      const what = `decode against the exported graph again, context ${context}: times faster`;
      rows.push(rowOf(what, ratioOf(again[i]!, own!), atLeast(must), own!, again[i]!));
    });
    const prompts = [whole("converted", compact!, 512), whole("floor", floor!, 512), whole("exported", exported!, 512)];
    const [read512, least, whole512] = await interleave(prompts, { rounds: Math.max(2, Math.ceil(rounds / 2)) });
    rows.push(
      rowOf("prompt of 512 tokens against the floor", ratioOf(read512!, least!), atMost(1.35, 1.15), read512!, least!),
    );
    const what = "prompt of 512 tokens against the exported graph: times faster";
    rows.push(rowOf(what, ratioOf(whole512!, read512!), atLeast(8), read512!, whole512!));
  });

  onProgress(`steps at position 10 and ${late}; batches`);
  await withOpen([files.compact, floorModel], async (compact, floor) => {
    let position = start(compact!, 1);
    const reach = async (tokens: number) => {
      while (position.tokens < tokens) {
        const count = Math.min(SLICE, tokens - position.tokens);
        position = await reader(compact!, inputs(count), count, position)();
      }
      return position;
    };
    const ten = await reach(10);
    const early = await step("position 10", compact!, ten);
    // run by run, in one session: what could differ is far below what two turns differ by
    const positions = [early, await step(`position ${late}`, compact!, await reach(late))];
    const [near, far] = await interleave(positions, { rounds: PAIRS, roundMs: 0, pauseMs: 0 });
    rows.push(rowOf(`step at position ${late} against position 10`, ratioOf(far!, near!), atMost(1.02), far!, near!));
    const cases = [
      early,
      await step("batch 32", compact!, start(compact!, 32), 32),
      // what the network around the recurrences allows
      await step("floor, one", floor!),
      await step("floor, batch 32", floor!, start(floor!, 32), 32),
    ];
    const [one, many, ...floors] = await interleave(cases, { rounds });
    rows.push(
      rowOf("tokens/s at B = 32 against B = 1", throughput(one!, many!, 32), atLeast(8), one!, many!, ...floors),
    );
  });

  onProgress("the runtime's own overhead");
  rows.push(...(await overhead(files.compact, options)));
  return rows;
}

/** A step of the runtime, and a greedy token of `generate`, above the bare run with the same buffers. */
async function overhead(file: string, { threads }: SuiteOptions): Promise<Row[]> {
  const model = await load(file, threads ? { threads } : {});
  // the very session that the runtime uses: two of the same model differ by more than what is measured here
  const opened = openedOf(model.session as Opened["session"], await readModel(file), () => model.close());
  try {
    const bare = await stepper(opened, { input_ids: int64Tensor([1, 1], [1]) }, start(opened, 1));
    let [state, spare] = [await read(model, [[1]]), zeroState(model)];
    const pieces = generate(model, { inputIds: [1], maxNewTokens: Number.POSITIVE_INFINITY, stopTokens: [] });
    const cases: Case[] = [
      { name: "session.run", run: bare },
      {
        name: "runtime step",
        run: async () => {
          const next = await readTokens(model, [1], state, spare);
          [spare, state] = [state, next];
        },
      },
      { name: "generate", run: () => pieces.next() },
    ];
    // one session, so that there is nothing to wait for
    const [alone, ...above] = await interleave(cases, { rounds: PAIRS, roundMs: 0, pauseMs: 0 });
    return above.map((timing) => {
      const differences = timing.samples.map((ms, i) => ms - alone!.samples[i]!).toSorted((a, b) => a - b);
      const at = (share: number) => differences[Math.floor(share * (differences.length - 1))]!;
      const between = { ratio: at(0.5), low: at(0.25), high: at(0.75) };
      const what = timing.name === "generate" ? "a greedy token of generate" : "a step of the runtime";
      return {
        ...rowOf(`${what} above the bare session.run`, between, atMost(0.1), alone!, timing),
        unit: "ms" as const,
      };
    });
  } finally {
    await opened.close();
  }
}

/** Time and peak memory of `convert`. */
export function conversionRows(source: string, { seconds, peakBytes }: Conversion): Row[] {
  const row = (what: string, value: number, unit: Row["unit"], must: number): Row => ({
    ...rowOf(what, { ratio: value, low: value, high: value }, atMost(must)),
    unit,
  });
  return [
    row("convert, horizon 512, all of it", seconds, "s", 20),
    row("convert, peak memory", peakBytes / bytesOf(source), "× model", 4),
  ];
}

export const met = ({ value, better }: Row, limit: number): boolean =>
  better === "less" ? value <= limit : value >= limit;
