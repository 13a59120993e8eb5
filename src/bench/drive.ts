/** What is timed: one token with the state carried, or a sequence from a zero state, by bare `session.run`. */
import path from "node:path";
import { writeNewModel } from "../../converter/file/write.ts";
import type { Graph, Model, ValueInfo } from "../../converter/graph/graph.ts";
import type { Tensor } from "../../converter/graph/tensor.ts";
import { hideDftShapes } from "../../converter/ort/hidedft.ts";
import { ortTensor } from "../../converter/ort/orttensor.ts";
import { nodeBackend } from "../../runtime/node/backend.ts";
import type { Backend } from "../../runtime/sessions/backend.ts";
import type { InferenceSession } from "../../runtime/sessions/ort.ts";
import { ATTENTION_MASK, NUM_LOGITS_TO_KEEP, pairStates, type StatePair } from "../contract.ts";
import { LongConvError } from "../errors.ts";
import { Tensor as OrtTensor } from "../onnxruntime-node.ts";
import { temporaryFolder } from "../temporary-folder.ts";

/** A model in a session. */
export interface Opened {
  readonly session: InferenceSession;
  /** Names it in messages. */
  readonly file: string | undefined;
  readonly inputs: ReadonlyMap<string, ValueInfo>;
  readonly states: readonly StatePair[];
  /** Inputs without elements (a length cache for other drivers): fed empty each time, their outputs never fetched. */
  readonly empties: readonly StatePair[];
  close(): Promise<void>;
}

type Feeds = Readonly<Record<string, Tensor>>;
type OrtFeeds = Record<string, OrtTensor>;

/**
 * Opens a model on the CPU.
 * @param threads of one operator; default ONNX Runtime's choice
 * @param backend what the runtime uses, by default
 * @throws LongConvError runtime-failed where ONNX Runtime does not load it
 */
export async function openForBench(model: Model, threads?: number, backend: Backend = nodeBackend): Promise<Opened> {
  const folder = await temporaryFolder();
  try {
    const file = path.join(folder.path, "model.onnx");
    // beside the model ONNX Runtime maps its weights, however many there are
    await writeNewModel(hideDftShapes(model), file, { externalData: "always", dataFile: "weights" });
    const session = await openSession(backend, file, threads, model.file);
    return openedOf(session, model, () => session.release().finally(folder.remove));
  } catch (cause) {
    await folder.remove();
    throw cause;
  }
}

/** Opens models on the CPU for as long as `use` takes; see {@link openForBench}. */
export async function withOpen<const Models extends readonly Model[], T>(
  models: Models,
  use: (...opened: { [K in keyof Models]: Opened }) => Promise<T>,
  threads?: number,
  backend?: Backend,
): Promise<T> {
  const opened: Opened[] = [];
  try {
    for (const model of models) opened.push(await openForBench(model, threads, backend));
    return await use(...(opened as { [K in keyof Models]: Opened }));
  } finally {
    for (const each of opened) await each.close();
  }
}

/** A session with what is known of its model. */
export function openedOf(
  session: InferenceSession,
  { graph, file }: { readonly graph: Pick<Graph, "inputs">; readonly file: string },
  close: () => Promise<void>,
): Opened {
  const inputs = new Map(graph.inputs.map((input) => [input.name, input]));
  const pairs = pairStates(session.inputNames, session.outputNames);
  const isEmpty = ({ past }: StatePair) => inputs.get(past)?.dims?.slice(1).includes(0) === true;
  return {
    session,
    file: file || undefined,
    inputs,
    states: pairs.filter((pair) => !isEmpty(pair)),
    empties: pairs.filter(isEmpty),
    close,
  };
}

/** @param original the file that messages name */
async function openSession(
  backend: Backend,
  file: string,
  threads: number | undefined,
  original: string,
): Promise<InferenceSession> {
  const options = {
    executionProviders: ["cpu"],
    // Fatal only: an error is thrown, and need not be printed as well.
    logSeverityLevel: 4,
    ...(threads && { intraOpNumThreads: threads }),
  } as const;
  try {
    return await backend.open(file, options);
  } catch (cause) {
    const reason = cause instanceof LongConvError ? cause.reason : (cause as Error).message;
    throw new LongConvError("runtime-failed", reason, { file: original || undefined }, undefined, cause);
  }
}

/** States of a sequence and how many tokens it has had. */
export interface Position {
  readonly states: OrtFeeds;
  readonly tokens: number;
}

/** No token read. */
export function start(opened: Opened, batch: number): Position {
  const states = opened.states.map(({ past }) => [past, zeros(opened, past, batch)] as const);
  return { states: Object.fromEntries(states), tokens: 0 };
}

/** An axis without a number has no length. */
function zeros({ inputs }: Opened, past: string, batch: number): OrtTensor {
  const axes = inputs.get(past)?.dims ?? [];
  const dims = axes.map((size, k) => (k === 0 ? batch : typeof size === "number" ? size : 0));
  return new OrtTensor("float32", new Float32Array(dims.reduce((a, b) => a * b, 1)), dims);
}

/**
 * Steps from a position on, forever: every run reads the token, and past and present change places in two sets of
 * buffers, as in the runtime. Where a sequence ends, the next run starts from that position again; where a state grows, every
 * run does, with new tensors, so that all are of one length.
 * @param feeds inputs of the original model for one position
 * @param end positions that a sequence has at most
 * @throws LongConvError runtime-failed
 */
export async function stepper(
  opened: Opened,
  feeds: Feeds,
  from: Position,
  batch = 1,
  end = Infinity,
): Promise<() => Promise<unknown>> {
  const { states } = opened;
  const fixed = fixedFeeds(opened, feeds, batch, from.tokens + 1);
  const again = { ...fixed, ...from.states };
  if (
    states.some(({ past }) =>
      opened.inputs
        .get(past)
        ?.dims?.slice(1)
        .some((dim) => typeof dim === "string"),
    )
  )
    return () => runOnce(opened, again);
  const outputs = await runOnce(opened, again);
  const presents = new Set(states.map(({ present }) => present));
  const rest = Object.fromEntries(Object.entries(outputs).filter(([name]) => !presents.has(name)));
  const first = states.map((pair) => from.states[pair.past]!);
  let [past, into, spare] = [states.map(({ present }) => outputs[present]!), first.map(copyOf), first.map(copyOf)];
  let tokens = from.tokens + 1;
  return async () => {
    if (tokens >= end) [past, tokens] = [first, from.tokens];
    const all: OrtFeeds = { ...fixed };
    const fetches: OrtFeeds = { ...rest };
    states.forEach((pair, i) => {
      all[pair.past] = past[i]!;
      fetches[pair.present] = into[i]!;
    });
    await runOnce(opened, all, fetches);
    [past, into, spare] = [into, spare, into];
    tokens++;
  };
}

/**
 * Reads a sequence of any length from a position on; every run starts there again.
 * @throws LongConvError runtime-failed
 */
export function reader(
  opened: Opened,
  feeds: Feeds,
  tokens: number,
  from: Position,
  batch = 1,
): () => Promise<Position> {
  const fixed = fixedFeeds(opened, feeds, batch, from.tokens + tokens);
  return async () => {
    const outputs = await runOnce(opened, { ...fixed, ...from.states });
    const states = opened.states.map(({ past, present }) => [past, outputs[present]!] as const);
    return { states: Object.fromEntries(states), tokens: from.tokens + tokens };
  };
}

/** @param fetches default: a new tensor for every output but those without elements */
async function runOnce({ session, file, empties }: Opened, feeds: OrtFeeds, fetches?: OrtFeeds): Promise<OrtFeeds> {
  const wanted = fetches ?? session.outputNames.filter((name) => !empties.some(({ present }) => present === name));
  try {
    return (await session.run(feeds, wanted)) as OrtFeeds;
  } catch (cause) {
    const message = cause instanceof Error ? cause.message : String(cause);
    const reason = `ONNX Runtime fails to run the model: ${message.split("\n")[0]}`;
    throw new LongConvError("runtime-failed", reason, { file }, undefined, cause);
  }
}

/** The inputs that do not change: the model's own, a mask of ones, logits of the last position only, empty caches. */
function fixedFeeds(opened: Opened, feeds: Feeds, batch: number, total: number): OrtFeeds {
  const { inputs, empties } = opened;
  const fixed: OrtFeeds = {};
  for (const { past } of empties) fixed[past] = zeros(opened, past, batch);
  for (const [name, tensor] of Object.entries(feeds)) if (inputs.has(name)) fixed[name] = ortTensor(name, tensor);
  if (inputs.has(ATTENTION_MASK))
    fixed[ATTENTION_MASK] = new OrtTensor("int64", new BigInt64Array(batch * total).fill(1n), [batch, total]);
  if (inputs.has(NUM_LOGITS_TO_KEEP)) fixed[NUM_LOGITS_TO_KEEP] = new OrtTensor("int64", BigInt64Array.of(1n), []);
  return fixed;
}

const copyOf = (tensor: OrtTensor): OrtTensor =>
  new OrtTensor("float32", (tensor.data as Float32Array).slice(), tensor.dims);
