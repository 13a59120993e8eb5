/** What every form of recurrence offers: its state, and how one layer's convolution is computed with it. */
import type { Builder } from "../graph/build.ts";
import type { PlanWanted, PrefillPlan } from "./prefill-plan.ts";

/** Names of the tensors that a path reads, and of the one that it must make. */
export interface PathTensors {
  /** The layer's input, float32 [batch, T, channels]. */
  readonly x: string;
  /** The state before it, float32 [batch, rows, channels]. */
  readonly past: string;
  /**
   * Name for the state after it, [batch, rows, channels]. Past and present may be one buffer: `present` must depend on every node that reads
   * `past`, so that whatever order a runtime chooses, the past is read before it is overwritten.
   */
  readonly present: string;
  /** Nothing is chosen at run time: no If. */
  readonly straight?: boolean | undefined;
}

/** One layer's recurrence: the same function of (x, past) twice, for one token and for any number of them. */
export interface Recurrence {
  readonly state: "ssm" | "conv";
  /** Rows of the state: real numbers per channel. 0: nothing is carried. */
  readonly rows: number;
  readonly channels: number;
  /** T = 1; returns y, [batch, 1, channels]. */
  decodeStep(b: Builder, path: PathTensors): string;
  /** What `prefill` wants to be planned, once for all layers of a model; undefined where it wants nothing. */
  readonly planWanted?: PlanWanted | undefined;
  /** Any T ≥ 1; returns y, [batch, T, channels]. */
  prefill(b: Builder, path: PathTensors, plan: PrefillPlan | undefined): string;
}

/** [batch, rows, C] → [batch, 1, C], the sum over rows, as a MatMul: ONNX Runtime's ReduceSum takes longer. */
export function sumRows(b: Builder, rows: number, terms: string): string {
  const ones = b.floats("ones", [1, rows], new Float32Array(rows).fill(1));
  return b.one("MatMul", [ones, terms], undefined, { hint: "y" });
}
