/** The cases that are timed, on the original model's random inputs: one token from a position on, or a whole sequence. */

import type { Found } from "../../converter/find/found.ts";
import type { Tensor } from "../../converter/graph/tensor.ts";
import { randomInputs } from "../../converter/parts/feeds.ts";
import { type Opened, type Position, reader, start, stepper } from "./drive.ts";
import type { Case } from "./measure.ts";

export interface StepOptions {
  /** Default: the start of a sequence. */
  readonly from?: Position;
  /** Sequences; default as {@link casesOf} was told. */
  readonly batch?: number;
}

export interface Cases {
  /** Inputs of the original model for so many positions. */
  inputs(tokens: number, batch?: number): Record<string, Tensor>;
  /** One token of each sequence, the states carried. */
  step(name: string, opened: Opened, options?: StepOptions): Promise<Case>;
  /** So many tokens in one pass, from the start. */
  whole(name: string, opened: Opened, tokens: number): Case;
}

/**
 * @param usual sequences in a run; default 1
 * @param end positions that a sequence has at most; default any number
 */
export function casesOf({ graphs, constants }: Found, usual = 1, end = Infinity): Cases {
  const inputs = (time: number, batch = usual) => randomInputs(graphs, constants, { batch, time }, 1);
  return {
    inputs,
    async step(name, opened, { batch = usual, from = start(opened, batch) } = {}) {
      return { name, run: await stepper(opened, inputs(1, batch), from, batch, end) };
    },
    whole: (name, opened, tokens) => ({
      name,
      run: reader(opened, inputs(tokens), tokens, start(opened, usual), usual),
    }),
  };
}
