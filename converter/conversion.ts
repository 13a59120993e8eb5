/** What may be asked of a conversion, what it says meanwhile, and what comes out of it. */
import type { Claim, LanguageNames } from "../src/contract.ts";
import type { ProcessOptions } from "../src/process/limits.ts";
import type { PositionLimit } from "./assemble/limit.ts";
import type { ChooseOptions } from "./choose/options.ts";
import type { Required } from "./claim.ts";
import type { CheckReport } from "./compare/compare.ts";
import type { Model } from "./graph/graph.ts";
import type { LayerReport } from "./report.ts";
import type { WeightsReport } from "./weights/compare.ts";
import type { WeightKind } from "./weights/weights.ts";

export interface ConvertOptions extends ChooseOptions {
  /** Time axis of an input by name, where axis 1 of the first input is wrong. */
  readonly timeAxis?: Readonly<Record<string, number>> | undefined;
  /** Name of a language model's token ids in the result. Default: `input_ids`, which drivers look for. */
  readonly inputName?: string | undefined;
  /** Name of a language model's logits in the result. Default: `logits`. */
  readonly outputName?: string | undefined;
  /** Add the input `attention_mask`. Default: for models of token ids. */
  readonly attentionMask?: boolean | undefined;
  /** Add the input `num_logits_to_keep`. Default: for models of token ids with one output that has a time axis. */
  readonly numLogitsToKeep?: boolean | undefined;
  /**
   * Make a language model one that stock transformers.js drives: its ids are int64, and a state without elements tells the length of the
   * past. Default: `writeOutput` does it for folders.
   */
  readonly transformersJs?: boolean | undefined;
  /** Make a second model for one token of one sequence a call: static shapes, no control flow. For GPUs. Default false. */
  readonly stepFile?: boolean | undefined;
  /** Positions that an attention holds, in states of one size, where its cache would grow; the model ends there. Default: it grows. */
  readonly cacheCapacity?: number | undefined;
  /**
   * Relative difference of the outputs that the check allows. Default: 1e-4, and with compact or diagonal states 30 times the sum of
   * the layers' certified relative errors more, up to 0.1.
   */
  readonly checkTolerance?: number | undefined;
  /**
   * What must be claimed of the result: `proven`, or a number of positions; less is refused. Default: the training length and the
   * length of the export, where there are, and no more than `horizon` and `cacheCapacity`.
   */
  readonly require?: Required | undefined;
  /** Store the matrices in fewer bits. Default: as they are. */
  readonly weights?: WeightKind | undefined;
  readonly onProgress?: ((progress: Progress) => void) | undefined;
  /** Stops between two steps of the work once it is aborted; its reason is thrown. */
  readonly signal?: AbortSignal | undefined;
  /**
   * Do the work in a process of its own: for models that are not trusted. It may be limited and stopped, also while ONNX
   * Runtime computes; should ONNX Runtime crash on the model, only that process ends. Default: in this one.
   */
  readonly process?: ProcessOptions | undefined;
}

/** What is being done, for a progress bar. */
export interface Progress {
  readonly step: "find" | "plan" | "solve" | "assemble" | "check" | "weights";
  readonly done: number;
  /** Undefined where it is not known yet. */
  readonly total: number | undefined;
}

export interface Conversion {
  /** The converted model, in memory. */
  readonly model: Model;
  /** The same for one token of one sequence, where `stepFile` asks for it; its states have the same names. */
  readonly step: Model | undefined;
  /** One for every convolution, and one for the counter of a model that meets the absolute position. */
  readonly layers: readonly LayerReport[];
  /** Inputs and outputs that have other names now: a language model's ids and logits, and what drivers would take for something else. */
  readonly renamed: ReadonlyMap<string, string>;
  /** The export is of one sequence: every input and output of the converted model has a batch in front, which it lacks. */
  readonly batchAdded: boolean;
  /** Names of a language model's ids and logits; undefined for any other model. */
  readonly language: LanguageNames | undefined;
  /**
   * How many of the first positions each output lacks in the export, where it lacks some: the converted model's rows there mean nothing,
   * and those after them are the export's.
   */
  readonly missing: ReadonlyMap<string, number>;
  /** How far the model is known to be right: the least of its layers' claims. */
  readonly claim: Claim;
  /** Where the model ends: at the end of the shortest table of positions; undefined where it reads any number of them. */
  readonly positions: PositionLimit | undefined;
  /** Of the model before its weights were stored in fewer bits. */
  readonly check: CheckReport;
  /** What fewer bits changed, where `weights` asks for them. */
  readonly weights: WeightsReport | undefined;
}
