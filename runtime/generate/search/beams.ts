/** Beam search: the most probable texts, of which several are followed at a time, each a fork of the one before. */

import { checkArguments, checkCount, checkNumbers, notValid } from "../../../src/checks.ts";
import { LongConvError } from "../../../src/errors.ts";
import { beyondClaim } from "../../../src/reach.ts";
import type { Model, State } from "../../model/model.ts";
import { readTokens, throwIfAborted } from "../../model/read.ts";
import { disposeState, gatherRows } from "../../model/state.ts";
import { type Ids, languageOf } from "../../model/tokens.ts";
import { textStream } from "../../text/text.ts";
import type { FinishReason, GenerateOptions } from "../options.ts";
import { prefillWhole } from "../prefill.ts";
import { createSequence } from "../sequence.ts";
import { logProbabilities } from "./probability.ts";

export interface BeamOptions
  extends Pick<
    GenerateOptions,
    | "prompt"
    | "inputIds"
    | "state"
    | "addSpecialTokens"
    | "maxNewTokens"
    | "stopTokens"
    | "skipSpecialTokens"
    | "signal"
    | "beyond"
    | "cache"
    | "onPrompt"
  > {
  /** Texts that are followed at a time, and found. Default 4. */
  readonly beams?: number;
  /** Texts are ranked by their log probability over their number of tokens to this power. Above 0 favours long ones. Default 1. */
  readonly lengthPenalty?: number;
}

/** A text that was found. */
export interface Hypothesis {
  readonly tokens: Ids;
  /** Of the tokens but a stop token; empty without a tokenizer. */
  readonly text: string;
  /** Natural logarithm of the text's probability after the prompt. */
  readonly logProbability: number;
  /** What it is ranked by. */
  readonly score: number;
  readonly finish: Extract<FinishReason, "stop-token" | "length" | "reach" | "positions">;
}

interface Beam {
  readonly tokens: Ids;
  readonly sum: number;
}

/**
 * The most probable texts after a prompt, the best first, as transformers finds them (`num_beams`, `length_penalty`,
 * `early_stopping=False`). Each step all of them read their tokens in one run, in the forked states of those they come from.
 *
 *     const [best] = await beamSearch(model, { prompt: "In the beginning", beams: 4, maxNewTokens: 20 });
 *
 * @throws LongConvError what `generate` throws; bad-input for options out of their range; beyond-claim for more beams than
 *   the model claims rows
 */
export async function beamSearch(model: Model, options: BeamOptions): Promise<Hypothesis[]> {
  checkArguments({ model: ["loaded", model], options: ["options", options] });
  const { beams = 4, lengthPenalty = 1, ...given } = options;
  checkCount("beams", beams, 1);
  if (!Number.isFinite(lengthPenalty)) throw notValid("lengthPenalty", "a number", lengthPenalty);
  const { constraint } = given as GenerateOptions;
  if (constraint !== undefined) throw notValid("constraint", "left out of a beam search", constraint);
  const sequence = createSequence(model, given);
  const { stopTokens = model.defaults.stopTokens ?? [], signal, beyond, cache, onPrompt } = given;
  checkNumbers("stopTokens", stopTokens);
  const { vocabulary } = languageOf(model);
  if (model.batchSize !== undefined && beams > model.batchSize)
    throw new LongConvError("bad-input", `the model takes a batch of ${model.batchSize}, not ${beams} beams`, {
      file: model.file,
    });
  if (!beyond && beams > (model.claim?.rows ?? Number.POSITIVE_INFINITY))
    throw beyondClaim(`a step of ${beams} rows`, model.claim!, model.file);

  const ends = new Set(stopTokens);
  const scoreOf = (sum: number, length: number) => sum / length ** lengthPenalty;
  const done: Hypothesis[] = [];
  const end = ({ tokens, sum }: Beam, finish: Hypothesis["finish"]): void => {
    const shown = finish === "stop-token" ? tokens.slice(0, -1) : tokens;
    const text = textAfter(model, sequence.ids, shown, given.skipSpecialTokens);
    done.push({ tokens, text, logProbability: sum, score: scoreOf(sum, tokens.length), finish });
    done.sort((a, b) => b.score - a.score);
    done.splice(beams);
  };

  const read =
    sequence.ids.length > 0
      ? await prefillWhole(model, sequence.ids, { state: given.state, cache, signal, onPrompt, beyond })
      : { state: given.state!, owned: false };
  let { state, owned }: { state: State; owned: boolean } = read;
  let running: readonly Beam[] = [{ tokens: [], sum: 0 }];
  try {
    for (let left = sequence.left; left > 0; left--) {
      throwIfAborted(signal);
      const next: (Beam & { readonly row: number })[] = [];
      for (const [rank, each] of likeliest(running, state.logits!, vocabulary, 2 * beams).entries()) {
        if (next.length === beams) break;
        if (!ends.has(each.tokens.at(-1)!)) next.push(each);
        else if (rank < beams) end(each, "stop-token");
      }
      running = next;
      if (left === 1) for (const beam of next) end(beam, sequence.finish);
      const best = next[0];
      const worst = done.length === beams ? done.at(-1)!.score : Number.NEGATIVE_INFINITY;
      if (left === 1 || !best || scoreOf(best.sum, best.tokens.length) <= worst) break;
      const forked = await gatherRows(
        model,
        next.map(({ row }) => ({ state, row })),
      );
      if (owned) disposeState(state);
      const tokens = next.map((beam) => beam.tokens.at(-1)!);
      [state, owned] = [forked, true];
      state = await readTokens(model, tokens, forked, { beyond });
      disposeState(forked);
    }
  } finally {
    if (owned) disposeState(state);
  }
  return done;
}

/** The most probable continuations by one token, of all beams together, the best first. */
function likeliest(
  beams: readonly Beam[],
  logits: Float32Array,
  vocabulary: number,
  count: number,
): (Beam & { readonly row: number })[] {
  const all: { readonly row: number; readonly token: number; readonly sum: number }[] = [];
  for (const [row, { sum }] of beams.entries()) {
    const own = logProbabilities(logits.subarray(row * vocabulary, (row + 1) * vocabulary));
    const sorted = own.toSorted().reverse();
    const least = sorted[Math.min(count, sorted.length) - 1]!;
    for (const [token, value] of own.entries()) if (value >= least) all.push({ row, token, sum: sum + value });
  }
  // Of equals, the first beam's and the lowest id, whatever the engine's order
  all.sort((a, b) => b.sum - a.sum || a.row - b.row || a.token - b.token);
  return all.slice(0, count).map(({ row, token, sum }) => ({ row, sum, tokens: [...beams[row]!.tokens, token] }));
}

/** The text of tokens as it goes on from others. */
function textAfter({ tokenizer }: Model, before: Ids, tokens: Ids, skipSpecialTokens = true): string {
  if (!tokenizer) return "";
  const stream = textStream(tokenizer, { after: before, skipSpecialTokens });
  return tokens.map((token) => stream.push(token).text).join("") + stream.flush();
}
