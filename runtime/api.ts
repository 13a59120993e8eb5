/** What every entry point of the runtime exports; node.ts and the browser's binding add how to load a model. */
export { type Claim, describeClaim } from "../src/contract.ts";
export { type ErrorCode, LongConvError } from "../src/errors.ts";
export type { Backend, ModelSource } from "./backend.ts";
export { type Batch, type BatchOptions, createBatch, type GenerateBatchOptions, generateBatch } from "./batch.ts";
export { type Generation, generate } from "./generate.ts";
export type { FinishReason, GenerateOptions, GenerationDefaults, Piece, StartOptions } from "./options.ts";
export { type Ids, type ReadOptions, read } from "./read.ts";
export type { LogitsProcessor, SamplingContext, SamplingOptions } from "./sampling/sampler.ts";
export type { InputSpec, LanguageModel, Model, StateSpec } from "./session.ts";
export { concatStates, disposeState, gatherRows, type State, sliceState } from "./state.ts";
export { fingerprint, stateFromBytes, stateToBytes } from "./state-file.ts";
export { type StepOptions, step, zeroState } from "./step.ts";
export { createTokenizer, type TextStream, type Tokenizer, textStream } from "./text.ts";
