/** What every entry point of the runtime exports; node.ts and the browser's binding add how to load a model. */
export { type Claim, describeClaim, type LanguageNames } from "../src/contract.ts";
export { ERROR_EXIT_CODES, type ErrorCode, LongConvError, type Where } from "../src/errors.ts";
export type { Expansion } from "../src/function-sizes.ts";
export type { Missing } from "../src/missing.ts";
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
export type { PromptUsage } from "./generate/prefill.ts";
export type { RewindOptions } from "./generate/rewind.ts";
export { type BeamOptions, beamSearch, type Hypothesis } from "./generate/search/beams.ts";
export { type BestOptions, type Continuation, nBest } from "./generate/search/best.ts";
export {
  type Beginning,
  createPrefixCache,
  type PrefixCache,
  type PrefixCacheOptions,
  type PrefixCacheStats,
} from "./kept/cache.ts";
export type { HistoryOptions } from "./kept/history.ts";
export type { GenerationDefaults } from "./model/defaults.ts";
export type { InputSpec, LanguageModel, Model, State, StateSpec } from "./model/model.ts";
export { type ReadOptions, read } from "./model/read.ts";
export { concatStates, disposeState, gatherRows, sliceState } from "./model/state.ts";
export { fingerprint, stateFromBytes, stateToBytes } from "./model/state-file.ts";
export { type StepOptions, step, zeroState } from "./model/step.ts";
export type { Ids } from "./model/tokens.ts";
export type { Constraint, Matching } from "./sampling/constraint.ts";
export type { MethodOptions } from "./sampling/methods.ts";
export type { LogitsProcessor, SamplingContext, SamplingOptions } from "./sampling/sampler.ts";
export type { Backend, ModelSource } from "./sessions/backend.ts";
export type { InferenceSession, Tensor, TensorConstructor } from "./sessions/ort.ts";
export type { Outline, OutlinedGraph } from "./sessions/outline.ts";
export { type DraftModelOptions, draftModel } from "./speculate/draft-model.ts";
export type { Drafter, Drafting } from "./speculate/drafter.ts";
export { type LookupOptions, promptLookup } from "./speculate/lookup.ts";
export { createTokenizer, type TextStream, type Tokenizer, type TokenizerLimit, textStream } from "./text/text.ts";
