/** What may be asked of the forms, and what is asked where nothing is said. */

export interface ChooseOptions {
  /** Full-order ETSC instead of compact states. Default false. */
  readonly exact?: boolean | undefined;
  /**
   * Relative error that compact states may have: of each layer's kernels, default {@link DEFAULT_TOLERANCE}, or, by `budget`, of the
   * outputs, default {@link DEFAULT_OUTPUT_TOLERANCE}.
   */
  readonly tolerance?: number | undefined;
  /**
   * What the tolerance is about. `kernels`: every layer's by itself. `outputs`: one error of the model's outputs (root mean square),
   * shared among layers and channels by what each does to the outputs on random inputs; measured, not proven. Default `kernels`.
   */
  readonly budget?: Budget | undefined;
  /** Order of every compact state, instead of a tolerance. */
  readonly order?: number | undefined;
  /** Bytes of state of one sequence, float32, instead of a tolerance: every layer gets the same order. */
  readonly maxState?: number | undefined;
  /** Lags that the form reproduces. Default: until the kernel has died away; see {@link horizonOf}. */
  readonly horizon?: number | undefined;
  /** Length that the model was trained with, where a configuration says so: the exact form's horizon, and what a claim must reach. */
  readonly trainingLength?: number | undefined;
  /** Threads that reduce layers. */
  readonly threads?: number | undefined;
}

/** What a tolerance may be about. */
export const BUDGETS = ["kernels", "outputs"] as const;
export type Budget = (typeof BUDGETS)[number];

/** Chosen on the curve of state size against agreement, docs/parts/reduction.md. */
export const DEFAULT_TOLERANCE = 1e-5;
/** The same of the outputs. */
export const DEFAULT_OUTPUT_TOLERANCE = 3.5e-5;

/** The tolerance that is asked for, or the default of what it is about. */
export const toleranceOf = ({ tolerance, budget }: Pick<ChooseOptions, "tolerance" | "budget">): number =>
  tolerance ?? (budget === "outputs" ? DEFAULT_OUTPUT_TOLERANCE : DEFAULT_TOLERANCE);
