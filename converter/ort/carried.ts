/** Drives a recurrent model piece by piece, by what it declares alone: its states start empty and go from call to call. */
import { ATTENTION_MASK, NUM_LOGITS_TO_KEEP, pairStates } from "../../src/contract.ts";
import type { Graph, ValueInfo } from "../graph/graph.ts";
import { zeroTensor } from "../graph/integers.ts";
import { DataType, int64Tensor, makeTensor, type Tensor } from "../graph/tensor.ts";
import type { Runner } from "./run.ts";

/** So many sequences that are read from their beginning. */
export interface Carried {
  /**
   * Reads the next positions.
   * @param length how many they are
   * @param feeds what they hold: every input but the states; of those that drivers add, a mask that hides nothing and how many
   *   logits are wanted are added where they are not given
   * @param wanted outputs to compute beside the states; default all
   */
  next(
    length: number,
    feeds: Readonly<Record<string, Tensor>>,
    wanted?: readonly string[],
  ): Promise<Record<string, Tensor>>;
}

/** A state at the start of so many sequences: zeros, and no rows along an axis that grows. */
export const stateAtStart = ({ type, dims = [] }: Pick<ValueInfo, "type" | "dims">, batch: number): Tensor =>
  zeroTensor(
    type,
    dims.map((size, k) => (k === 0 ? batch : typeof size === "number" ? size : 0)),
  );

/**
 * The driver of a recurrent model whose session is open.
 * @param keep positions of each call whose logits are wanted, where that can be said; 0: all
 */
export function carried({ inputs }: Pick<Graph, "inputs">, runner: Runner, batch: number, keep = 0): Carried {
  const declared = new Map(inputs.map((input) => [input.name, input]));
  const pairs = pairStates(runner.inputs, runner.outputs);
  let states: Record<string, Tensor> = Object.fromEntries(
    pairs.map(({ past }) => [past, stateAtStart(declared.get(past)!, batch)]),
  );
  let read = 0;
  return {
    async next(length, feeds, wanted) {
      read += length;
      const added: Record<string, Tensor> = {};
      if (declared.has(ATTENTION_MASK))
        added[ATTENTION_MASK] = int64Tensor([batch, read], new Array<number>(batch * read).fill(1));
      if (declared.has(NUM_LOGITS_TO_KEEP))
        added[NUM_LOGITS_TO_KEEP] = makeTensor(DataType.INT64, [], BigInt64Array.of(BigInt(keep)));
      const outputs = await runner.run(
        { ...added, ...feeds, ...states },
        wanted && [...wanted, ...pairs.map(({ present }) => present)],
      );
      states = Object.fromEntries(pairs.map(({ past, present }) => [past, outputs[present]!]));
      return outputs;
    },
  };
}
