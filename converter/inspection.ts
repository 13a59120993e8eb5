/** What may be asked of an inspection, and what comes out of it. */
import type { Claim } from "../src/contract.ts";
import type { Missing } from "../src/missing.ts";
import type { ProcessOptions } from "../src/process/limits.ts";
import type { PositionLimit } from "./assemble/limit.ts";
import type { SizedState } from "./find/sizes.ts";
import type { KernelEnd } from "./find/source.ts";

export interface InspectOptions {
  /** Time axis of an input by name, where axis 1 of the first input is wrong. */
  readonly timeAxis?: Readonly<Record<string, number>> | undefined;
  /** Choose the forms of the convolutions too, which takes longer, so that the size of the whole state is known. Default false: as long as there are convolutions it is not. */
  readonly sizes?: boolean | undefined;
  /** Called while it works; `total` is undefined where it is not known yet. */
  readonly onProgress?: ((step: string, done: number, total: number | undefined) => void) | undefined;
  /**
   * Do the work in a process of its own: for models that are not trusted. It may be limited and stopped, also while ONNX
   * Runtime computes; should ONNX Runtime crash on the model, only that process ends. Default: in this one.
   */
  readonly process?: ProcessOptions | undefined;
}

/** An input or output as the model declares it. */
export interface DeclaredValue {
  readonly name: string;
  /** Name of the element type, as in ONNX: "float32", "int64". */
  readonly type: string;
  /** "?" for a dimension that is neither named nor known; undefined where no shape is declared. */
  readonly dims: readonly (number | string)[] | undefined;
}

/** A long convolution. */
export interface InspectedLayer {
  readonly node: string;
  readonly operator: string;
  readonly source: string | undefined;
  readonly reason: string;
  readonly channels: number;
  readonly input: string;
  readonly output: string;
  /** Where the kernel is read. */
  readonly kernelFrom: string;
  /** Lags that the graph gives; undefined: any number. */
  readonly maxLags: number | undefined;
  /** What sets that number. */
  readonly end: KernelEnd | undefined;
  /** Lags until the kernel ends or has died away; undefined where it does neither within the lags looked at. */
  readonly lags: number | undefined;
  readonly ends: boolean;
  /** How far it is known to be this convolution, and its kernel to be known. */
  readonly claim: Claim;
  readonly bias: boolean;
}

/** A part of the state that the converted model carries. */
export interface InspectedState extends SizedState {
  readonly source: string | undefined;
}

/** What stands in the way of running token by token. */
export interface InspectedRefusal {
  readonly code: string;
  readonly node: string;
  readonly operator: string;
  readonly source: string | undefined;
  readonly reason: string;
  readonly remedy: string | undefined;
}

/** A counter of positions is carried for these nodes. */
export interface PositionCounter {
  readonly nodes: readonly string[];
  /** Where a table of positions ends. */
  readonly limit: PositionLimit | undefined;
}

export interface Inspection {
  /** "" for bytes. */
  readonly file: string;
  readonly irVersion: number;
  readonly opset: number;
  /** How many nodes its graph has. */
  readonly nodes: number;
  readonly weightBytes: number;
  readonly inputs: readonly DeclaredValue[];
  readonly outputs: readonly DeclaredValue[];
  /** Positions that the model was trained with, where a file beside it says so. */
  readonly trainingLength: number | undefined;
  /** Nothing stands in the way, and there is something to convert. */
  readonly convertible: boolean;
  readonly layers: readonly InspectedLayer[];
  /**
   * The parts of the state, as `convert` makes them where nothing else is asked for. Of a model that cannot be converted, or without
   * `sizes`, those whose operators are kept.
   */
  readonly states: readonly InspectedState[];
  /** Bytes of the state of one sequence, at its start; undefined where not all of its parts are known. */
  readonly stateBytes: number | undefined;
  /** Bytes that each position adds to it. */
  readonly positionBytes: number | undefined;
  /** Why an axis is time; undefined where its name says so, or `timeAxis`. */
  readonly timeBecause: string | undefined;
  /** It is of one sequence: converted, every input and output has a batch in front. */
  readonly batchAdded: boolean;
  /** How many of the first positions each output lacks, where it lacks some; undefined where none does. */
  readonly missing: Missing | undefined;
  readonly counter: PositionCounter | undefined;
  readonly refusals: readonly InspectedRefusal[];
}
