/** Runs that would go beyond what the model claims, or has, are refused before they are made. */
import { beyondClaim, beyondEnd, beyondRemark, type End, endOf, type Reach } from "../../src/reach.ts";

/** A model whose reach is kept to. */
interface Limited extends Reach {
  readonly file?: string | undefined;
  remark(text: string): void;
}

/**
 * @param ends positions that each row will have read
 * @param beyond goes on past the claim, and says so once
 * @throws LongConvError beyond-claim, beyond-positions
 */
export function checkReach(model: Limited, ends: readonly number[], beyond = false): void {
  const { claim, file } = model;
  const furthest = Math.max(...ends);
  const end = endOf(model, beyond);
  if (furthest > end.positions) throw beyondEnd(`position ${furthest}`, model, end, file);
  const asks =
    ends.length > (claim?.rows ?? Infinity)
      ? `a step of ${ends.length} rows`
      : furthest > (claim?.positions ?? Infinity)
        ? `position ${furthest}`
        : undefined;
  if (asks === undefined) return;
  if (!beyond) throw beyondClaim(asks, claim!, file);
  model.remark(beyondRemark(asks, claim!));
}

/**
 * How many tokens can follow a prompt, and what ends them: prompt and text together fill the positions.
 * @param before positions read before the prompt
 * @param wanted tokens to make at most
 * @throws LongConvError beyond-claim, beyond-positions where the prompt is too long, or leaves no room for a wanted token
 */
export function roomAfter(
  model: Limited,
  before: number,
  prompt: number,
  wanted: number,
  beyond: boolean,
): { readonly room: number; readonly by: End["by"] } {
  const end = endOf(model, beyond);
  const room = end.positions - before - prompt;
  if (room >= Math.min(1, wanted)) return { room, by: end.by };
  const what =
    room === 0
      ? `a token after ${before + prompt} positions`
      : `a prompt of ${prompt} tokens${before > 0 ? ` after ${before} positions` : ""}`;
  throw beyondEnd(what, model, end, model.file);
}
