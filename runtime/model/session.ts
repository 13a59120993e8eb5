/** Loading a converted model: refused unopened where it can be, else opened in a session, with its states and the language model it is. */

import { checkArguments, checkCount } from "../../src/checks.ts";
import {
  ATTENTION_MASK,
  type LanguageNames,
  languageNames,
  NUM_LOGITS_TO_KEEP,
  SEQUENCE_LENGTH,
} from "../../src/contract.ts";
import { LongConvError } from "../../src/errors.ts";
import { describeExpansion, MOST_NODES } from "../../src/function-sizes.ts";
import { missingOf } from "../../src/missing.ts";
import { reachOf } from "../../src/reach.ts";
import type { ToldStates } from "../../src/stateful.ts";
import { named } from "../../src/unforeseen.ts";
import type { Backend, ModelSource } from "../sessions/backend.ts";
import { refuseGraphCapture } from "../sessions/capture/refuse.ts";
import { zeros } from "../sessions/numeric.ts";
import type { InferenceSession, Tensor } from "../sessions/ort.ts";
import type { OutlinedGraph } from "../sessions/outline.ts";
import type { Tokenizer } from "../text/text.ts";
import type { GenerationDefaults } from "./defaults.ts";
import type { InputSpec, LanguageModel, Model } from "./model.ts";
import { inOwnLayout } from "./own-layout.ts";
import { disposeState } from "./state.ts";
import { pairsOf, stateSpecs } from "./state-specs.ts";
import { step, zeroState } from "./step.ts";

export interface LoadModelOptions {
  /** Options of ONNX Runtime's session. */
  readonly session?: InferenceSession.SessionOptions;
  readonly tokenizer?: Tokenizer | undefined;
  readonly defaults?: GenerationDefaults;
  /** Prompts are read in slices of at most this many tokens, so that memory does not grow with the prompt. Default 512. */
  readonly sliceLength?: number;
  /** Name for messages where the source is bytes. */
  readonly file?: string;
  /** Called with a sentence, once, when a call with `beyond` goes past the model's claim. Default: a warning on the console. */
  readonly onRemark?: ((text: string) => void) | undefined;
  /** Outputs by the input that goes on from them, of a model whose names do not say it: `{ input_3: "stack_2" }`. */
  readonly states?: ToldStates | undefined;
  /** What a state holds before anything is read, by its input; every number of it is this one. Default: 0. */
  readonly initial?: Readonly<Record<string, number>> | undefined;
}

/**
 * Loads a converted model through a backend. In Node, use `load` of `longconv-ssm/node`, which calls this.
 * @throws LongConvError file-missing, not-onnx, unsupported-opset (from the backend); not-converted, also where
 *   the metadata's version, claim or positions cannot be read; tokenizer-mismatch
 */
export async function loadModel(backend: Backend, source: ModelSource, options: LoadModelOptions = {}): Promise<Model> {
  checkArguments({ backend: ["backend", backend], "the model": ["source", source], options: ["options", options] });
  return named(options.file ?? (typeof source === "string" ? source : undefined), async () => {
    const { sliceLength = 512 } = options;
    checkCount("sliceLength", sliceLength, 1);
    const file = options.file ?? (typeof source === "string" ? source : undefined);
    refuseGraphCapture(options.session, file);
    const { metadata, graph } = await backend.outline(source);
    if (graph) refuseOutline(graph, file, options.states);
    const session = await backend.open(source, options.session ?? {});
    try {
      const { all, batchSize, batchNames, layouts } = stateSpecs(session, file, options);
      const { onRemark = (text) => console.warn(`longconv-ssm: ${text}`) } = options;
      const isState = new Set(all.flatMap((state) => [state.past, state.present]));
      const plain = (metadata: readonly InferenceSession.ValueMetadata[]) =>
        metadata.filter((value) => value.isTensor).filter((value) => !isState.has(value.name));
      const names = languageNames(session.inputNames, session.outputNames, metadata);
      const model: Model = {
        ...reachOf(metadata, file),
        missing: missingOf(metadata, file),
        backend,
        session,
        source,
        file,
        states: all.filter(({ size, grows }) => size > 0 || grows !== undefined),
        empties: all.filter(({ size, grows }) => size === 0 && grows === undefined),
        inputs: plain(session.inputMetadata).map((input) => withAxes(input, batchNames, names)),
        outputs: plain(session.outputMetadata),
        batchSize,
        language: undefined,
        tokenizer: options.tokenizer,
        defaults: options.defaults ?? {},
        sliceLength,
        run: inOwnLayout(backend.oneRunAtATime ? queued(session) : session.run.bind(session), layouts, backend.Tensor),
        remark: once(onRemark),
        close: once(() => session.release()),
      };
      // The one step that may be taken here says nothing of a sequence.
      const language = names && (await languageModel({ ...model, claim: undefined, positions: undefined }, names));
      checkTokenizer(options.tokenizer, language, file);
      return { ...model, language };
    } catch (error) {
      await session.release();
      throw error;
    }
  });
}

/** ONNX Runtime writes functions out by recursion, in a time that is quadratic in their depth. */
const DEEPEST_FUNCTIONS = 256;

/** What need not be opened to be refused: opening it runs its constants, writes out its functions, and can crash. */
function refuseOutline(graph: OutlinedGraph, file: string | undefined, told: ToldStates | undefined): void {
  pairsOf(graph, file, told);
  const { nodes, depth, circular } = graph.expansion;
  const remedy = "Export the model without functions, or a part of it.";
  if (circular !== undefined)
    throw new LongConvError("invalid-graph", "it has a function that calls itself", { file }, remedy);
  if (depth > 0 && nodes > MOST_NODES) throw new LongConvError("too-large", describeExpansion(nodes), { file }, remedy);
  if (depth <= DEEPEST_FUNCTIONS) return;
  const reason = `its functions call one another ${depth} deep; ${DEEPEST_FUNCTIONS} are the most`;
  throw new LongConvError("too-large", reason, { file }, remedy);
}

/** Token ids are [batch, time] whatever their dimensions are called; other inputs are what the model says they are. */
function withAxes(
  input: InferenceSession.TensorValueMetadata,
  batchNames: ReadonlySet<string>,
  names: LanguageNames | undefined,
): InputSpec {
  if (input.name === names?.ids) return { ...input, batchAxis: 0, timeAxis: 1 };
  const axis = (is: (name: string) => boolean) => {
    const at = input.shape.findIndex((dim) => typeof dim === "string" && is(dim));
    return at < 0 ? undefined : at;
  };
  return {
    ...input,
    batchAxis: axis((name) => batchNames.has(name)),
    timeAxis: axis((name) => name === SEQUENCE_LENGTH),
  };
}

/** What kind of language model it is. Where the file does not say its vocabulary, one step says it. */
async function languageModel(model: Model, names: LanguageNames): Promise<LanguageModel | undefined> {
  const ids = model.inputs.find((input) => input.name === names.ids);
  const logits = model.outputs.find((output) => output.name === names.logits);
  if (!ids || !logits || (ids.type !== "int64" && ids.type !== "int32")) return undefined;
  const has = (name: string) => model.inputs.some((input) => input.name === name);
  const inputs = { hasMask: has(ATTENTION_MASK), hasNumLogitsToKeep: has(NUM_LOGITS_TO_KEEP) };
  const language = { ...names, idType: ids.type, ...inputs };
  const declared = logits.shape.at(-1);
  if (typeof declared === "number") return { ...language, vocabulary: declared };
  const state = zeroState(model, model.batchSize ?? 1);
  const dims = [state.batchSize, 1];
  const filled = (type: Tensor.Type, value: bigint | number) => {
    const data = zeros(type, state.batchSize);
    (data as BigInt64Array).fill(value as bigint);
    return new model.backend.Tensor(type, data, dims);
  };
  const feeds: Record<string, Tensor> = { [names.ids]: filled(ids.type, ids.type === "int64" ? 0n : 0) };
  if (language.hasMask) feeds[ATTENTION_MASK] = filled("int64", 1n);
  if (language.hasNumLogitsToKeep) feeds[NUM_LOGITS_TO_KEEP] = new model.backend.Tensor("int64", [1n], []);
  const { outputs, state: next } = await step(model, feeds, state);
  const vocabulary = outputs[names.logits]!.dims.at(-1)!;
  for (const tensor of Object.values(outputs)) tensor.dispose();
  disposeState(next);
  return { ...language, vocabulary };
}

function checkTokenizer(tokenizer: Tokenizer | undefined, language: LanguageModel | undefined, file?: string): void {
  if (!tokenizer || !language || tokenizer.size <= language.vocabulary) return;
  const reason = `the tokenizer has ids up to ${tokenizer.size - 1}, the model a vocabulary of ${language.vocabulary}`;
  throw new LongConvError("tokenizer-mismatch", reason, { file }, "Use the tokenizer.json the model was trained with.");
}

const once = <Args extends unknown[], T>(action: (...args: Args) => T): ((...args: Args) => T) => {
  let result: { readonly value: T } | undefined;
  return (...args) => {
    result ??= { value: action(...args) };
    return result.value;
  };
};

function queued(session: InferenceSession): InferenceSession["run"] {
  let last: Promise<unknown> = Promise.resolve();
  return ((...args: Parameters<InferenceSession["run"]>) => {
    const result = last.then(() => session.run(...args));
    // Without its value: the outputs of a run are not to live until the next one.
    last = result.then(
      () => undefined,
      () => undefined,
    );
    return result;
  }) as InferenceSession["run"];
}
