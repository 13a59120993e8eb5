/** The suite: a table of what is measured, each part in sessions of its own. */

import { readModel } from "../../converter/file/read.ts";
import type { Model } from "../../converter/graph/graph.ts";
import { int64Tensor } from "../../converter/graph/tensor.ts";
import { readTokens } from "../../runtime/model/read.ts";
import { zeroState } from "../../runtime/model/step.ts";
import { generate, load, nodeBackend, nodeBindingBackend, read } from "../../runtime/node.ts";
import type { Backend } from "../../runtime/sessions/backend.ts";
import { throughput } from "../../src/bench/bench.ts";
import { type Cases, casesOf } from "../../src/bench/cases.ts";
import { type Opened, openedOf, type Position, reader, start, stepper, withOpen } from "../../src/bench/drive.ts";
import { type Case, interleave, quantile, ratioOf } from "../../src/bench/measure.ts";
import { benchSubjects, floorFor } from "../../src/bench/subjects.ts";
import { bytesOf, type Conversion } from "./models.ts";
import { atLeast, atMost, type Row, rowOf } from "./row.ts";

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

/** What all parts measure with. */
interface Suite extends Required<Pick<SuiteOptions, "rounds" | "late">> {
  readonly files: Files;
  readonly threads: number | undefined;
  /** The exported model, its functions inlined. */
  readonly original: Model;
  readonly floor: Model;
  readonly cases: Cases;
}

/** Tokens of a slice of the long prompt that leads to the late step. */
const SLICE = 512;
/** Pairs of single runs, where what is measured is a hundredth of a run. */
const PAIRS = 300;
/** Run by run, in one session: there is nothing to wait for, and two turns would differ by more than what is measured. */
const RUN_BY_RUN = { rounds: PAIRS, roundMs: 0, pauseMs: 0 } as const;

const PARTS: readonly (readonly [what: string, measure: (suite: Suite) => Promise<Row[]>])[] = [
  ["decode against the floor", againstFloor],
  ["compact against exact, n = 512", (suite) => compactAgainstExact(suite, 512, nodeBackend)],
  ["the same through onnxruntime-node's own binding", (suite) => compactAgainstExact(suite, 512, nodeBindingBackend)],
  ["compact against exact, n = 2048", (suite) => compactAgainstExact(suite, 2048, nodeBackend)],
  ["the same through onnxruntime-node's own binding", (suite) => compactAgainstExact(suite, 2048, nodeBindingBackend)],
  ["decode against the exported graph", againstExported],
  ["a prompt of 512 tokens", prompts],
  ["early and late steps", lateSteps],
  ["batches", batches],
  ["the runtime's own overhead", overhead],
];

/** Measures every row but those of the conversion itself. */
export async function runSuite(files: Files, options: SuiteOptions): Promise<Row[]> {
  const { rounds, threads, late = 100_000, onProgress } = options;
  const subjects = await benchSubjects(files.exported, files.compact);
  const { found } = subjects;
  const floor = await floorFor(subjects);
  const suite = { files, rounds, threads, late, original: found.original, floor, cases: casesOf(found) };
  const rows: Row[] = [];
  for (const [what, measure] of PARTS) {
    onProgress(what);
    rows.push(...(await measure(suite)));
  }
  return rows;
}

async function againstFloor({ files, floor, cases, rounds, threads }: Suite): Promise<Row[]> {
  const models = [await readModel(files.compact), floor, await readModel(files.int4)] as const;
  const measure = async (compact: Opened, none: Opened, int4: Opened) => {
    const steps = [
      await cases.step("converted", compact),
      await cases.step("floor", none),
      await cases.step("int4", int4),
    ];
    const [own, least, four] = await interleave(steps, { rounds });
    const what = "decode, B = 1, default tolerance, against the floor";
    return [
      rowOf(what, ratioOf(own!, least!), atMost(1.2, 1.08), [own!, least!]),
      rowOf("int4 weights, B = 1, against the float32 floor", ratioOf(four!, least!), atMost(0.5), [four!, least!]),
    ];
  };
  return withOpen(models, measure, threads);
}

async function compactAgainstExact(
  { files, floor, cases, rounds, threads }: Suite,
  n: 512 | 2048,
  backend: Backend,
): Promise<Row[]> {
  const [compact, exact, must] =
    n === 512 ? ([files.compact, files.exact512, 3] as const) : ([files.compact2048, files.exact2048, 10] as const);
  const models = [await readModel(compact), await readModel(exact), floor] as const;
  const measure = async (small: Opened, large: Opened, none: Opened) => {
    const steps = [
      await cases.step(`compact, ${n}`, small),
      await cases.step(`exact, ${n}`, large),
      // no compact state is faster than the floor: exact over floor is the most that can be reached
      await cases.step("floor", none),
    ];
    const [own, other, least] = await interleave(steps, { rounds });
    const through = backend === nodeBackend ? "" : ", through onnxruntime-node's own binding";
    const what = `decode, compact against exact ETSC, n = ${n}: times faster${through}`;
    return [rowOf(what, ratioOf(other!, own!), atLeast(must), [own!, other!, least!])];
  };
  return withOpen(models, measure, threads, backend);
}

async function againstExported({ files, original, cases, rounds, threads }: Suite): Promise<Row[]> {
  const contexts = [[512, 100] as const, [2048, 400] as const];
  const measure = async (compact: Opened, exported: Opened) => {
    const runs = [
      await cases.step("converted", compact),
      ...contexts.map(([context]) => cases.whole(`exported, ${context}`, exported, context)),
    ];
    const [own, ...again] = await interleave(runs, { rounds: Math.max(2, Math.ceil(rounds / 4)) });
    return contexts.map(([context, must], i) => {
      const what = `decode against the exported graph again, context ${context}: times faster`;
      return rowOf(what, ratioOf(again[i]!, own!), atLeast(must), [own!, again[i]!]);
    });
  };
  return withOpen([await readModel(files.compact), original], measure, threads);
}

async function prompts({ files, original, floor, cases, rounds, threads }: Suite): Promise<Row[]> {
  const measure = async (compact: Opened, none: Opened, exported: Opened) => {
    const runs = [
      cases.whole("converted", compact, 512),
      cases.whole("floor", none, 512),
      cases.whole("exported", exported, 512),
    ];
    const [own, least, again] = await interleave(runs, { rounds: Math.max(2, Math.ceil(rounds / 2)) });
    const what = "prompt of 512 tokens against the exported graph: times faster";
    return [
      rowOf("prompt of 512 tokens against the floor", ratioOf(own!, least!), atMost(1.35, 1.15), [own!, least!]),
      rowOf(what, ratioOf(again!, own!), atLeast(8), [own!, again!]),
    ];
  };
  return withOpen([await readModel(files.compact), floor, original], measure, threads);
}

/** The position after so many tokens, read in slices. */
async function positionAt(opened: Opened, cases: Cases, tokens: number, from: Position): Promise<Position> {
  let position = from;
  while (position.tokens < tokens) {
    const count = Math.min(SLICE, tokens - position.tokens);
    position = await reader(opened, cases.inputs(count), count, position)();
  }
  return position;
}

async function lateSteps({ files, cases, late, threads }: Suite): Promise<Row[]> {
  const measure = async (compact: Opened) => {
    const ten = await positionAt(compact, cases, 10, start(compact, 1));
    const steps = [
      await cases.step("position 10", compact, { from: ten }),
      await cases.step(`position ${late}`, compact, { from: await positionAt(compact, cases, late, ten) }),
    ];
    const [near, far] = await interleave(steps, RUN_BY_RUN);
    const what = `step at position ${late} against position 10`;
    return [rowOf(what, ratioOf(far!, near!), atMost(1.02), [far!, near!])];
  };
  return withOpen([await readModel(files.compact)], measure, threads);
}

async function batches({ files, floor, cases, rounds, threads }: Suite): Promise<Row[]> {
  const measure = async (compact: Opened, none: Opened) => {
    const steps = [
      await cases.step("one", compact),
      await cases.step("batch 32", compact, { batch: 32 }),
      // what the network around the recurrences allows
      await cases.step("floor, one", none),
      await cases.step("floor, batch 32", none, { batch: 32 }),
    ];
    const timings = await interleave(steps, { rounds });
    const [one, many] = timings;
    return [rowOf("tokens/s at B = 32 against B = 1", throughput(one!, many!, 32), atLeast(8), timings)];
  };
  return withOpen([await readModel(files.compact), floor], measure, threads);
}

/** A step of the runtime, and a greedy token of `generate`, above the bare run with the same buffers. */
async function overhead({ files, threads }: Suite): Promise<Row[]> {
  const model = await load(files.compact, threads ? { threads } : {});
  // the very session that the runtime uses: two of the same model differ by more than what is measured here
  const opened = openedOf(model.session as Opened["session"], await readModel(files.compact), () => model.close());
  try {
    let [state, spare] = [await read(model, [[1]]), zeroState(model)];
    const endless = { maxNewTokens: Number.POSITIVE_INFINITY, stopTokens: [], beyond: true };
    const pieces = generate(model, { inputIds: [1], ...endless });
    const cases: Case[] = [
      { name: "session.run", run: await stepper(opened, { input_ids: int64Tensor([1, 1], [1]) }, start(opened, 1)) },
      {
        name: "runtime step",
        run: async () => {
          const next = await readTokens(model, [1], state, { overwrite: spare, beyond: true });
          [spare, state] = [state, next];
        },
      },
      { name: "generate", run: () => pieces.next() },
    ];
    const [alone, ...above] = await interleave(cases, RUN_BY_RUN);
    return above.map((timing) => {
      const differences = timing.samples.map((ms, i) => ms - alone!.samples[i]!);
      const at = (share: number) => quantile(differences, share);
      const what = timing.name === "generate" ? "a greedy token of generate" : "a step of the runtime";
      const between = { ratio: at(0.5), low: at(0.25), high: at(0.75) };
      return rowOf(`${what} above the bare session.run`, between, atMost(0.1), [alone!, timing], "ms");
    });
  } finally {
    await opened.close();
  }
}

/** Time and peak memory of `convert`. */
export function conversionRows(source: string, { seconds, peakBytes }: Conversion): Row[] {
  const row = (what: string, value: number, unit: Row["unit"], must: number): Row =>
    rowOf(what, { ratio: value, low: value, high: value }, atMost(must), [], unit);
  return [
    row("convert, horizon 512, all of it", seconds, "s", 20),
    row("convert, peak memory", peakBytes / bytesOf(source), "× model", 4),
  ];
}
