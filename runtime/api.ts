/** What every entry point of the runtime exports; node.ts and the browser's binding add how to load a model. */
export { type Claim, describeClaim, type LanguageNames } from "../src/contract.ts";
export { ERROR_EXIT_CODES, type ErrorCode, LongConvError, type Where } from "../src/errors.ts";
export type { Reach } from "../src/reach.ts";
export type { ToldStates } from "../src/stateful.ts";
export type { Backend, ModelSource } from "./backend.ts";
export { type Batch, type BatchOptions, createBatch, type GenerateBatchOptions, generateBatch } from "./batch.ts";
export type { GenerationDefaults } from "./defaults.ts";
export { type Generation, generate } from "./generate.ts";
export type { InputSpec, LanguageModel, Model, State, StateSpec } from "./model.ts";
export type { FinishReason, GenerateOptions, Piece, Pieces, StartOptions } from "./options.ts";
export type { InferenceSession, Tensor, TensorConstructor } from "./ort.ts";
export {
  createPrefixCache,
  type PrefixCache,
  type PrefixCacheOptions,
  type PrefixCacheStats,
} from "./prefix/cache.ts";
export type { PromptUsage } from "./prompt.ts";
export { type Ids, type ReadOptions, read } from "./read.ts";
export type { HistoryOptions } from "./rewind/history.ts";
export type { RewindOptions } from "./rewind/rewind.ts";
export type { MethodOptions } from "./sampling/methods.ts";
export type { LogitsProcessor, SamplingContext, SamplingOptions } from "./sampling/sampler.ts";
export { type BeamOptions, beamSearch, type Hypothesis } from "./search/beams.ts";
export { type BestOptions, type Continuation, nBest } from "./search/best.ts";
export { type DraftModelOptions, draftModel } from "./speculate/draft-model.ts";
export type { Drafter, Drafting } from "./speculate/drafter.ts";
export { type LookupOptions, promptLookup } from "./speculate/lookup.ts";
export { concatStates, disposeState, gatherRows, sliceState } from "./state.ts";
export { fingerprint, stateFromBytes, stateToBytes } from "./state-file.ts";
export { type StepOptions, step, zeroState } from "./step.ts";
export { createTokenizer, type TextStream, type Tokenizer, type TokenizerLimit, textStream } from "./text.ts";
