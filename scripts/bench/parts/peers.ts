/** What others do: PyTorch's recurrences, a transformer with its cache, and a window of the last inputs. */
import { readModel } from "../../../converter/file/read.ts";
import { int64Tensor } from "../../../converter/graph/tensor.ts";
import { type Opened, openForBench, type Position, start, stepper } from "../../../src/bench/drive.ts";
import { type Case, interleave, ratioOf, type Timing } from "../../../src/bench/measure.ts";
import { benchSubjects } from "../../../src/bench/subjects.ts";
import { type LayerMetadata, METADATA } from "../../../src/contract.ts";
import { Tensor as OrtTensor } from "../../../src/onnxruntime-node.ts";
import { normal } from "../../../src/random.ts";
import type { TnnSize } from "../../paper-model.ts";
import type { Suite } from "../part.ts";
import { openRecurrences } from "../recurrences.ts";
import { exportTransformer } from "../transformer.ts";
import { windowModel } from "./window.ts";

/** One way to have the next token, and what a stream carries for it. */
export interface Peer {
  readonly what: string;
  /** Tokens that came before, where the time depends on them. */
  readonly context?: number;
  readonly timing: Omit<Timing, "samples">;
  /** How many times longer than the converted model. */
  readonly times: { readonly ratio: number; readonly low: number; readonly high: number };
  readonly stateBytes: number;
}

/** Where Python is, and what it has. */
export interface Python {
  readonly command: string;
  /** "torch 2.15.0, transformers 5.0.0". */
  readonly versions: string;
}

export interface PeerOptions {
  readonly size: TnnSize;
  /** Tokens before the transformer's step. */
  readonly contexts: readonly number[];
  /** Undefined: only what needs no Python. */
  readonly python: Python | undefined;
  readonly folder: string;
}

/** Lags of the horizon, and states of exact ETSC. */
const LAGS = 512;
const HEADS = 8;

/** A decode step of each, in turns. */
export async function peers(
  suite: Pick<Suite, "files" | "cases" | "rounds" | "threads">,
  { size, contexts, python, folder }: PeerOptions,
): Promise<Peer[]> {
  const { files, cases, rounds, threads } = suite;
  const { found, converted } = await benchSubjects(files.exported, files.compact);
  const opened: Opened[] = [];
  const open = async (model: Parameters<typeof openForBench>[0]) => {
    const each = await openForBench(model, threads);
    opened.push(each);
    return each;
  };
  const order = meanOrder(converted.metadata.get(METADATA.layers) ?? "[]");
  const perState = 4 * size.layers * size.channels;
  const all: { what: string; context?: number; stateBytes: number; case: Case }[] = [];
  const recurrences = python && openRecurrences(python.command, size, threads ?? 2);
  try {
    const own = await open(converted);
    all.push({ what: "converted", stateBytes: bytesOf(own), case: await cases.step("converted", own) });
    const exact = await open(await readModel(files.exact512));
    all.push({
      what: `exact ETSC, ${LAGS} states, here`,
      stateBytes: bytesOf(exact),
      case: await cases.step("exact", exact),
    });
    const window = await open(await windowModel(found, LAGS));
    all.push({
      what: `window of ${LAGS} inputs`,
      stateBytes: bytesOf(window),
      case: await cases.step("window", window),
    });
    if (python && recurrences) {
      const file = `${folder}/transformer.onnx`;
      const { width, layers, vocabulary: words } = size;
      exportTransformer(python.command, file, { width, layers, heads: HEADS, words });
      const transformer = await open(await readModel(file));
      for (const context of contexts) {
        const from = cached(transformer, context);
        const run = await stepper(transformer, { input_ids: int64Tensor([1, 1], [1]) }, from);
        const what = "transformer with its cache, ONNX Runtime";
        all.push({
          what,
          context,
          stateBytes: bytesOf(transformer, from),
          case: { name: `transformer, ${context}`, run },
        });
      }
      const etsc = recurrences.step("etsc", "etsc", LAGS);
      all.push({
        what: `ETSC's recurrence, ${LAGS} complex states, PyTorch`,
        stateBytes: 2 * perState * LAGS,
        case: etsc,
      });
      const modal = recurrences.step("modal", "modal", order);
      all.push({ what: `modal recurrence of order ${order}, PyTorch`, stateBytes: perState * order, case: modal });
    }
    const timings = await interleave(
      all.map((each) => each.case),
      { rounds },
    );
    return all.map(({ what, context, stateBytes }, i) => {
      const { samples: _, ...timing } = timings[i]!;
      return {
        what,
        ...(context !== undefined && { context }),
        timing,
        times: ratioOf(timings[i]!, timings[0]!),
        stateBytes,
      };
    });
  } finally {
    recurrences?.close();
    for (const each of opened) await each.close();
  }
}

/** The mean order of a model's layers, even. */
function meanOrder(layers: string): number {
  const orders = (JSON.parse(layers) as LayerMetadata[]).map(({ order }) => order);
  return 2 * Math.max(1, Math.round(orders.reduce((a, b) => a + b, 0) / Math.max(1, orders.length) / 2));
}

/** Bytes of the states of one sequence. */
const bytesOf = (opened: Opened, { states }: Position = start(opened, 1)): number =>
  Object.values(states).reduce((sum, { data }) => sum + (data as Float32Array).byteLength, 0);

/** A cache of so many positions: what stands in it makes no difference to the time. */
function cached({ states, inputs }: Opened, context: number): Position {
  const next = normal(context);
  const filled = states.map(({ past }) => {
    const dims = inputs.get(past)!.dims!.map((size, k) => (typeof size === "number" ? size : k === 0 ? 1 : context));
    const values = Float32Array.from({ length: dims.reduce((a, b) => a * b, 1) }, next);
    return [past, new OrtTensor("float32", values, dims)] as const;
  });
  return { states: Object.fromEntries(filled), tokens: context };
}
