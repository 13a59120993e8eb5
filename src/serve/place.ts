/** Where a session stands: what it has read, and the states on the way that it can be taken back to. */
import { type Model, read, type State, stateFromBytes } from "../../runtime/node.ts";
import { ApiError, invalid } from "./errors.ts";

/** A state that a session can be taken back to, and how many tokens it has read. */
interface Mark {
  readonly at: number;
  readonly state: State;
}

/** Where a session stands: a value that is replaced as a whole. */
export interface Place {
  /** Every token that was read; undefined where it began with an imported state. */
  readonly ids: readonly number[] | undefined;
  /** Undefined where nothing was read. */
  readonly state: State | undefined;
  /** States on the way, the oldest first; the last is `state`. */
  readonly marks: readonly Mark[];
}

/** A model by its name. */
interface Named {
  readonly id: string;
  readonly model: Model;
}

/** Before anything was read. */
export const NOTHING: Place = { ids: [], state: undefined, marks: [] };

export const positionOf = (state: State | undefined): number => state?.positions[0] ?? 0;

/** @throws LongConvError bad-input, state-mismatch for bytes that are no state of the model */
export async function placeOf({ id, model }: Named, bytes: Uint8Array | undefined, ids: Place["ids"]): Promise<Place> {
  if (!model.language) throw new ApiError(400, "no_language_model", `'${id}' takes no tokens`, "model");
  if (!bytes) return NOTHING;
  const state = await stateFromBytes(model, bytes);
  if (state.batchSize !== 1) throw invalid("state", `is of ${state.batchSize} rows, and a session has one`);
  return { ids, state, marks: [{ at: positionOf(state), state }] };
}

export function after({ ids, marks }: Place, more: readonly number[], state: State): Place {
  return { ids: ids?.concat(more), state, marks: [...marks, { at: positionOf(state), state }] };
}

/** From the nearest state before that was kept, else from nothing. */
export async function takenBack({ model }: Named, place: Place, tokens: number, signal: AbortSignal): Promise<Place> {
  const to = positionOf(place.state) - tokens;
  if (to < 0) throw invalid("tokens", `is ${tokens}, and the session has read ${positionOf(place.state)}`);
  if (to === 0 && place.ids) return NOTHING;
  const marks = place.marks.filter(({ at }) => at <= to);
  const start = marks.at(-1);
  if (start?.at === to) return { ids: place.ids?.slice(0, to), state: start.state, marks };
  if (!place.ids) throw invalid("tokens", "goes back into what was imported, of which the tokens are not known");
  const rest = place.ids.slice(start?.at ?? 0, to);
  const state = await read(model, [rest], { state: start?.state, signal });
  return { ids: place.ids.slice(0, to), state, marks: [...marks, { at: to, state }] };
}

/**
 * The nearest state that was kept of what the session and a text begin with alike, and the text's tokens behind it.
 * @param most tokens that the state may have read
 * @throws ApiError where the session's tokens are not known
 */
export function onTheWay(
  place: Place,
  ids: readonly number[],
  most: number,
): { readonly place: Place; readonly rest: number[] } {
  const { ids: known, marks } = place;
  if (!known) throw invalid("session", "began with an imported state, of which the tokens are not known");
  const differs = ids.findIndex((id, at) => id !== known[at]);
  const alike = differs < 0 ? ids.length : differs;
  const before = marks.filter(({ at }) => at <= Math.min(alike, most));
  const { at, state } = before.at(-1) ?? { at: 0, state: undefined };
  return { place: { ids: known.slice(0, at), state, marks: before }, rest: ids.slice(at) };
}

/** Gives up the oldest states but the last, until the others fit. */
export function thinned(place: Place, most: number): Place {
  let marks = place.marks;
  while (marks.length > 1 && bytesOf({ ...place, marks }) > most) marks = marks.slice(1);
  return { ...place, marks };
}

export const bytesOf = ({ marks, ids }: Place): number =>
  marks.reduce((sum, { state }) => sum + stateBytes(state), 0) + 8 * (ids?.length ?? 0);

const stateBytes = ({ tensors, logits }: State): number =>
  tensors.reduce((sum, { data }) => sum + ((data as Partial<ArrayBufferView>).byteLength ?? 0), 0) +
  (logits?.byteLength ?? 0);
