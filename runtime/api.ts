/** What every entry point of the runtime exports; node.ts and the browser's binding add how to load a model. */
export { type Claim, describeClaim, type LanguageNames } from "../src/contract.ts";
export { ERROR_EXIT_CODES, type ErrorCode, LongConvError, type Where } from "../src/errors.ts";
export type { Reach } from "../src/reach.ts";
export type { ToldStates } from "../src/stateful.ts";
export {
  type Batch,
  type BatchOptions,
  createBatch,
  type GenerateBatchOptions,
  generateBatch,
} from "./generate/batch/batch.ts";
export { type Generation, generate } from "./generate/generate.ts";
export type { FinishReason, GenerateOptions, Piece, Pieces, StartOptions } from "./generate/options.ts";
export { type Ids, type ReadOptions, read } from "./generate/read.ts";
export type { GenerationDefaults } from "./model/defaults.ts";
export type { InputSpec, LanguageModel, Model, State, StateSpec } from "./model/model.ts";
export { concatStates, disposeState, gatherRows, sliceState } from "./model/state.ts";
export { fingerprint, stateFromBytes, stateToBytes } from "./model/state-file.ts";
export { type StepOptions, step, zeroState } from "./model/step.ts";
export type { MethodOptions } from "./sampling/methods.ts";
export type { LogitsProcessor, SamplingContext, SamplingOptions } from "./sampling/sampler.ts";
export type { Backend, ModelSource } from "./sessions/backend.ts";
export type { InferenceSession, Tensor, TensorConstructor } from "./sessions/ort.ts";
export { createTokenizer, type TextStream, type Tokenizer, type TokenizerLimit, textStream } from "./text/text.ts";
