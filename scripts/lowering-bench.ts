/**
 * Time of one lowered convolution in ONNX Runtime on the CPU: forms, orders, chunk lengths, batch sizes.
 *
 *     npm run build && node dist/scripts/lowering-bench.js [step] [few] [prompt]
 *       --channels 1536 --threads 2 --rounds 15 --tokens 512 --batch 1 (of prompts) --only "diagonal|R=16$" (a pattern of names)
 *
 * Layers are stacked (y of one is x of the next), runs of all cases are interleaved, and the time of a model without
 * layers is taken off: what is printed is wall and processor time per layer, medians. Processor time with one thread is
 * what to compare on a machine that others use too.
 */
import { setTimeout as pause } from "node:timers/promises";
import { encodeModel } from "../converter/file/encode.ts";
import { createBuilder, makeModel } from "../converter/graph/build.ts";
import type { ValueInfo } from "../converter/graph/graph.ts";
import { DataType } from "../converter/graph/tensor.ts";
import { type LowerOptions, lengthOf, lowerConvolution, plansFor, stepCondition } from "../converter/lower/lower.ts";
import { type Form, stateOrder } from "../converter/solve/form.ts";
import { nodeBackend } from "../runtime/node/backend.ts";
import { median, PAUSE_MS } from "../src/bench/measure.ts";
import { BATCH_SIZE, SEQUENCE_LENGTH } from "../src/contract.ts";
import { Tensor } from "../src/onnxruntime-node.ts";
import { oneOf, readArguments, wholeNumber } from "./arguments.ts";
import { modalOf } from "./bench/modes.ts";

interface Case {
  readonly name: string;
  readonly form: Form;
  readonly options?: LowerOptions;
  readonly batch: number;
  readonly tokens: number;
  readonly layers: number;
}

const USAGE =
  "lowering-bench [step] [few] [prompt] [--channels N] [--threads N] [--rounds N] [--tokens N] [--batch N] [--only PATTERN]";
const { values, positionals } = readArguments(
  USAGE,
  {
    channels: { type: "string", default: "1536" },
    threads: { type: "string", default: "2" },
    rounds: { type: "string", default: "15" },
    tokens: { type: "string", default: "512" },
    batch: { type: "string", default: "1" },
    only: { type: "string", default: "" },
  },
  { most: 3 },
);
const CHANNELS = wholeNumber("--channels", values.channels);
const THREADS = wholeNumber("--threads", values.threads);
const ROUNDS = wholeNumber("--rounds", values.rounds);
const ONLY = new RegExp(values.only);

const compact = (order: number): Form => ({ kind: "compact", modal: modalOf(order, CHANNELS), lags: 512 });
/** The same poles, turned and shortened a little from channel to channel. */
function diagonal(order: number): Form {
  const { pairs, residues, direct } = modalOf(order, CHANNELS);
  const count = order >> 1;
  const [re, im] = [new Float64Array(count * CHANNELS), new Float64Array(count * CHANNELS)];
  for (let p = 0; p < count; p++) {
    for (let c = 0; c < CHANNELS; c++) {
      const scale = 1 - (0.1 * c) / CHANNELS;
      re[p * CHANNELS + c] = scale * pairs.re[p]!;
      im[p * CHANNELS + c] = scale * pairs.im[p]!;
    }
  }
  return { kind: "diagonal", lags: 512, modal: { channels: CHANNELS, pairs: count, re, im, residues, direct } };
}
const exact = (order: number): Form => ({ kind: "exact", modal: modalOf(order, CHANNELS), lags: order });
const window = (lags: number): Form => ({
  kind: "window",
  kernels: {
    lags,
    channels: CHANNELS,
    taps: Float64Array.from({ length: lags * CHANNELS }, (_, i) => Math.sin(i) / lags),
  },
});

function decodeStepCases(): Case[] {
  return [
    ...[1, 32].flatMap((batch) =>
      [16, 31, 32, 33, 34, 48, 64].map(compact).map(
        (form): Case => ({
          name: `compact R=${orderOf(form)}`,
          form,
          batch,
          tokens: 1,
          layers: batch > 1 ? 2 : 8,
        }),
      ),
    ),
    ...[16, 32, 64].map(
      (order): Case => ({ name: `diagonal R=${order}`, form: diagonal(order), batch: 1, tokens: 1, layers: 8 }),
    ),
    ...[512, 2048].map((n): Case => ({ name: `exact n=${n}`, form: exact(n), batch: 1, tokens: 1, layers: 2 })),
    ...[4, 64, 512].map((k): Case => ({ name: `window of ${k}`, form: window(k), batch: 1, tokens: 1, layers: 4 })),
  ];
}

/** Calls of a few tokens, beside those of one. */
function fewCases(): Case[] {
  return [32, 54].flatMap((order) =>
    [1, 2, 3, 4, 8].map(
      (tokens): Case => ({ name: `compact R=${order}`, form: compact(order), batch: 1, tokens, layers: 4 }),
    ),
  );
}

function prefillCases(): Case[] {
  const tokens = wholeNumber("--tokens", values.tokens);
  const batch = wholeNumber("--batch", values.batch);
  const chunks = [32, 48, 64];
  return [
    ...[16, 32, 48, 64, 96, 128].flatMap((order) =>
      chunks.map(
        (chunk): Case => ({
          name: `compact R=${order}, chunk ${chunk}`,
          form: compact(order),
          options: { chunk },
          batch,
          tokens,
          layers: 2,
        }),
      ),
    ),
    ...[16, 32].flatMap((order) =>
      [16, 32, 48].map(
        (chunk): Case => ({
          name: `diagonal R=${order}, chunk ${chunk}`,
          form: diagonal(order),
          options: { chunk },
          batch,
          tokens,
          layers: 2,
        }),
      ),
    ),
    ...[32, 64, 128].map(
      (chunk): Case => ({
        name: `exact n=512, chunk ${chunk}`,
        form: exact(512),
        options: { chunk },
        batch,
        tokens,
        layers: 1,
      }),
    ),
    ...[4, 64].map((k): Case => ({ name: `window of ${k}`, form: window(k), batch, tokens, layers: 2 })),
  ];
}

const orderOf = (form: Form): number => (form.kind === "window" ? form.kernels.lags : stateOrder(form));

/** A stack of layers with one condition; no layers: Identity. */
function stackOf({ form, options, layers }: Case): { bytes: Uint8Array; states: ValueInfo[] } {
  const b = createBuilder(18, ["x", "y"]);
  const length = lengthOf(b, "x");
  const isStep = stepCondition(b, length);
  const forms = new Array<Form>(layers).fill(form);
  const plans = plansFor(b, forms, length, isStep, options?.chunk);
  let stream = "x";
  const states: { past: ValueInfo; present: ValueInfo }[] = [];
  for (let index = 0; index < layers; index++) {
    const { output, state } = lowerConvolution(b, form, { index, input: stream, isStep, plan: plans[index] }, options);
    stream = output;
    if (state) states.push(state);
  }
  b.add("Identity", [stream], undefined, { outputs: ["y"] });
  const info = (name: string): ValueInfo => ({
    name,
    type: DataType.FLOAT,
    dims: [BATCH_SIZE, SEQUENCE_LENGTH, CHANNELS],
  });
  const bytes = encodeModel(
    makeModel({
      inputs: [info("x"), ...states.map(({ past }) => past)],
      outputs: [info("y"), ...states.map(({ present }) => present)],
      nodes: b.nodes,
      initializers: b.initializers,
      opsets: 18,
    }),
  );
  return { bytes, states: states.map(({ past }) => past) };
}

/** Opens a stack and returns what runs it once; state and outputs stay in the same buffers. */
async function runnerOf(each: Case): Promise<() => Promise<unknown>> {
  const { bytes, states } = stackOf(each);
  const session = await nodeBackend.open(bytes, { intraOpNumThreads: THREADS, logSeverityLevel: 3 });
  const tensor = (rows: number) =>
    new Tensor(
      "float32",
      Float32Array.from({ length: each.batch * rows * CHANNELS }, (_, i) => Math.sin(i)),
      [each.batch, rows, CHANNELS],
    );
  const feeds: Record<string, Tensor> = { x: tensor(each.tokens) };
  const fetches: Record<string, Tensor> = { y: tensor(each.tokens) };
  for (const { name, dims } of states) {
    feeds[name] = tensor(dims![1] as number);
    fetches[name.replace("past", "present")] = tensor(dims![1] as number);
  }
  return () => session.run(feeds, fetches);
}

/** Milliseconds of one run. */
interface Sample {
  readonly wall: number;
  readonly processor: number;
}

async function sample(run: () => Promise<unknown>, repeats: number): Promise<Sample> {
  await pause(PAUSE_MS);
  await run();
  const usage = process.cpuUsage();
  const start = performance.now();
  for (let i = 0; i < repeats; i++) await run();
  const wall = (performance.now() - start) / repeats;
  const { user, system } = process.cpuUsage(usage);
  return { wall, processor: (user + system) / 1000 / repeats };
}

async function measure(cases: readonly Case[]): Promise<void> {
  const open = [];
  for (const each of cases.filter(({ name }) => ONLY.test(name))) {
    const [run, empty] = [await runnerOf(each), await runnerOf({ ...each, layers: 0 })];
    open.push({ each, run, empty, samples: [] as Sample[], floors: [] as Sample[] });
  }
  for (let round = -1; round < ROUNDS; round++) {
    for (const { each, run, empty, samples, floors } of open) {
      const repeats = each.tokens > 8 || each.form.kind === "exact" ? 3 : each.batch > 1 ? 5 : 100;
      const [one, floor] = [await sample(run, repeats), await sample(empty, repeats)];
      // The first round warms up
      if (round < 0) continue;
      samples.push(one);
      floors.push(floor);
    }
  }
  for (const { each, samples, floors } of open) {
    const perLayer = (kind: keyof Sample) => {
      const middle = (all: Sample[]) => median(all.map((each) => each[kind]));
      return `${kind} ${((1000 * (middle(samples) - middle(floors))) / each.layers).toFixed(0).padStart(7)} µs`;
    };
    const where = `B=${String(each.batch).padEnd(3)} T=${String(each.tokens).padEnd(5)}`;
    console.log(`${each.name.padEnd(28)} ${where} ${perLayer("wall")}, ${perLayer("processor")}`);
  }
}

const wanted = positionals.map((word) => oneOf("the path", ["step", "few", "prompt"], word));
if (!wanted.length || wanted.includes("step")) await measure(decodeStepCases());
if (!wanted.length || wanted.includes("few")) await measure(fewCases());
if (!wanted.length || wanted.includes("prompt")) await measure(prefillCases());
