/** A state as it is kept behind the states of its beginnings: what grows is kept from there on. */
import type { Model, State } from "../model/model.ts";
import { cutRows, joinRows } from "../model/rows.ts";
import { sliceState } from "../model/state.ts";
import { cpuData } from "../sessions/numeric.ts";
import type { Tensor } from "../sessions/ort.ts";

export interface Part {
  /** In the order of `model.states`; of those that grow, the rows of positions after `from`. */
  readonly tensors: readonly Tensor[];
  readonly logits: Float32Array;
  /** Positions that the part's state has read, and those of the state it is kept behind. */
  readonly positions: number;
  readonly from: number;
  readonly bytes: number;
}

/** What is kept of a state of one row that was read from nothing, with the logits of its next token. It shares what has a fixed size with the state. */
export async function partOf(model: Model, state: State, from: number): Promise<Part> {
  // On a device a state is freed by who made it.
  const {
    tensors: own,
    logits,
    positions,
  } = model.backend.writesIntoFetches ? state : await sliceState(model, state, [0]);
  const cut = model.states.map(({ grows }, index) =>
    grows === undefined ? own[index]! : cutRows(model, index, own[index]!, from, positions[0]!),
  );
  return part(cut, logits!, positions[0]!, from);
}

/** The same, kept behind a state further on. */
export function cutPart(model: Model, given: Part, from: number): Part {
  const cut = model.states.map(({ grows }, index) => {
    const tensor = given.tensors[index]!;
    return grows === undefined
      ? tensor
      : cutRows(model, index, tensor, from - given.from, given.positions - given.from);
  });
  return part(cut, given.logits, given.positions, from);
}

function part(tensors: readonly Tensor[], logits: Float32Array, positions: number, from: number): Part {
  const bytes = tensors.reduce((sum, tensor) => sum + cpuData(tensor).byteLength, logits.byteLength);
  return { tensors, logits, positions, from, bytes };
}

/** The state of the last part. @param parts each kept behind the one before it, the first behind nothing */
export function stateOf(model: Model, parts: readonly Part[]): State {
  const { tensors: last, logits, positions } = parts.at(-1)!;
  const grows = model.states.some((state) => state.grows !== undefined);
  const tensors = model.states.map((state, index) =>
    state.grows === undefined
      ? last[index]!
      : joinRows(
          model,
          index,
          parts.map((each) => each.tensors[index]!),
        ),
  );
  const columns = grows && { columns: new Uint8Array(positions).fill(1) };
  return { session: model.session, batchSize: 1, positions: [positions], tensors, logits, ...columns };
}
