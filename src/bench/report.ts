/** What may be asked of a benchmark, and what it reports. */
import type { ProcessOptions } from "../process/limits.ts";
import type { Machine, Ratio, Timing } from "./measure.ts";

export interface BenchOptions {
  /** Context lengths at which the original is run again; default 128 and 512, as far as it goes, or the one length it has. */
  readonly contexts?: readonly number[] | undefined;
  /** Tokens of the prompt; default 512, or as many as the model claims. */
  readonly prompt?: number | undefined;
  /** Sequences in a batch, beside one alone; default none. */
  readonly batch?: number | undefined;
  /** Rounds of interleaved runs; default 15. */
  readonly rounds?: number | undefined;
  /** A round repeats what is short for about so long, ms; default 100. */
  readonly roundMs?: number | undefined;
  /** Threads of one operator; default ONNX Runtime's choice. */
  readonly threads?: number | undefined;
  readonly timeAxis?: Readonly<Record<string, number>> | undefined;
  /** Also time positions and rows that the converted model does not claim. Default false. */
  readonly beyond?: boolean | undefined;
  /** Takes the sentence that says so. */
  readonly onRemark?: ((text: string) => void) | undefined;
  readonly onProgress?: ((step: string, done: number, total: number | undefined) => void) | undefined;
  /**
   * Do the work in a process of its own: for models that are not trusted. It may be limited and stopped, also while ONNX
   * Runtime computes; should ONNX Runtime crash on the model, only that process ends. Default: in this one.
   */
  readonly process?: ProcessOptions | undefined;
}

/** Times of the converted model and of what it is compared with. */
export interface Comparison {
  readonly converted: Timing;
  readonly floor: Timing;
  /** The exported graph over the whole sequence; empty where it does not run at this length. */
  readonly exported: readonly { readonly context: number; readonly timing: Timing; readonly timesFaster: Ratio }[];
  /** Converted over floor. */
  readonly overFloor: Ratio;
}

/** What the models take, bytes. */
export interface BenchMemory {
  /** Weights of the converted model. */
  readonly weightBytes: number;
  /** Weights of the original. */
  readonly exportedWeightBytes: number;
  /** States of one sequence, at its start. */
  readonly stateBytes: number;
  /** What each position adds to them; 0 where no state grows. */
  readonly positionBytes: number;
  /** Resident memory of a process that has run the converted model for one token; undefined where it is not known. */
  readonly residentBytes: number | undefined;
  /** The same of the original over the longest of the contexts. */
  readonly exportedResidentBytes: number | undefined;
}

export interface BenchReport {
  readonly machine: Machine;
  readonly threads: number | undefined;
  readonly original: string;
  readonly converted: string;
  readonly memory: BenchMemory;
  /** One token, the state carried. */
  readonly decode: Comparison & { readonly tokensPerSecond: number };
  /** A prompt in one pass, logits of the last position. */
  readonly prompt: Comparison & { readonly tokens: number; readonly tokensPerSecond: number };
  /** One token for each sequence of a batch. */
  readonly batch:
    | { readonly size: number; readonly timing: Timing; readonly tokensPerSecond: number; readonly timesOne: Ratio }
    | undefined;
}
