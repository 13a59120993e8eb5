/** A loaded model and a state of it, as values. */

import { notValid } from "../../src/checks.ts";
import type { LanguageNames } from "../../src/contract.ts";
import { LongConvError } from "../../src/errors.ts";
import type { Missing } from "../../src/missing.ts";
import type { Reach } from "../../src/reach.ts";
import type { Backend, ModelSource } from "../sessions/backend.ts";
import type { InferenceSession, Tensor } from "../sessions/ort.ts";
import type { Tokenizer } from "../text/text.ts";
import type { GenerationDefaults } from "./defaults.ts";

/** A state tensor of the model. Axis 0 is the batch, wherever the file has it. */
export interface StateSpec {
  readonly past: string;
  readonly present: string;
  readonly type: Tensor.Type;
  /** All dimensions after the batch, at the start of a sequence. */
  readonly dims: readonly number[];
  /** Numbers per batch row, at the start of a sequence. */
  readonly size: number;
  /** Which of `dims` is the number of positions read, from 0 on: rows of keys and values. Undefined where it does not grow. */
  readonly grows: number | undefined;
  /** What every number of it is before anything is read; left out: 0. */
  readonly start?: number;
}

/** An input that is not a state, with the axes that the model names as those of its states' batch and of time. */
export interface InputSpec extends InferenceSession.TensorValueMetadata {
  readonly batchAxis: number | undefined;
  readonly timeAxis: number | undefined;
}

/** What `step` and `generate` need of a language model; absent for other models. */
export interface LanguageModel extends LanguageNames {
  readonly idType: "int64" | "int32";
  /** Size of the vocabulary: the last dimension of the logits. */
  readonly vocabulary: number;
  readonly hasMask: boolean;
  readonly hasNumLogitsToKeep: boolean;
}

/**
 * A loaded model. It holds no state: states are values passed to {@link step} and returned by it. Its `claim` and its
 * `positions` are those of the file's metadata; undefined where it does not say them, and then nothing is limited.
 */
export interface Model extends Reach {
  readonly backend: Backend;
  readonly session: InferenceSession;
  readonly source: ModelSource;
  /** Path or URL, for messages. */
  readonly file: string | undefined;
  readonly states: readonly StateSpec[];
  /** Inputs without elements (a length cache for other drivers): fed empty each time, never carried. */
  readonly empties: readonly Pick<StateSpec, "past" | "type" | "dims">[];
  /** Inputs and outputs that are not states. */
  readonly inputs: readonly InputSpec[];
  readonly outputs: readonly InferenceSession.TensorValueMetadata[];
  /** How many of the first positions each output lacks in the export, where it lacks some: its rows there mean nothing. */
  readonly missing: Missing;
  /** The only batch size that the model takes, where it is fixed. */
  readonly batchSize: number | undefined;
  readonly language: LanguageModel | undefined;
  readonly tokenizer: Tokenizer | undefined;
  /** From generation_config.json; what a call does not say. */
  readonly defaults: GenerationDefaults;
  /** Tokens (of all rows together) that a prompt is read in at a time. */
  readonly sliceLength: number;
  /** Runs one after the other where the backend needs it. */
  readonly run: InferenceSession["run"];
  /** Says once, with this sentence, that a run goes beyond the claim. */
  readonly remark: (text: string) => void;
  /** Frees the session; a second call does nothing. States on the CPU stay readable. */
  close(): Promise<void>;
}

/**
 * What a model knows after what it has read. Forking is using a state twice. Its tensors stay where the session left
 * them (CPU or GPU); those on a GPU live until {@link disposeState}.
 */
export interface State {
  /** The session that the tensors belong to. */
  readonly session: InferenceSession;
  readonly batchSize: number;
  /** Positions that each row has read, padding left out. */
  readonly positions: readonly number[];
  /** In the order of `model.states`; axis 0 is the batch. */
  readonly tensors: readonly Tensor[];
  /** Of states that grow, [batch_size × rows]: 1 for a row of a token, 0 for one of padding. */
  readonly columns?: Uint8Array | undefined;
  /** [batch_size × vocabulary]: the logits of the next token, where a prompt or a token was read to the end. */
  readonly logits?: Float32Array;
}

/** @throws LongConvError state-mismatch for a state that another model made; bad-input for what is no state */
export function refuseOther(model: Model, state: State): void {
  if (typeof state !== "object" || state === null || !Array.isArray(state.tensors))
    throw notValid("the state", "what read, step or zeroState gave", state);
  if (state.session === model.session) return;
  throw new LongConvError(
    "state-mismatch",
    "the state belongs to another model",
    { file: model.file },
    "Start from the state that this model returned, from zeroState, or from a saved state of this model.",
  );
}
