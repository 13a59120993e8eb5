/** Drafts from a smaller model of the same tokens (Leviathan et al. 2023, "Fast inference from transformers via speculative decoding"). */

import { checkArguments, checkCount } from "../../src/checks.ts";
import { LongConvError } from "../../src/errors.ts";
import type { Model, State } from "../model/model.ts";
import { drain, readSlices, readTokens } from "../model/read.ts";
import { disposeState } from "../model/state.ts";
import { zeroState } from "../model/step.ts";
import { type Ids, languageOf } from "../model/tokens.ts";
import { argmax } from "../sampling/candidates.ts";
import type { Drafter, Drafting } from "./drafter.ts";

export interface DraftModelOptions {
  /** Tokens that are proposed at a time, at most. Default 4. */
  readonly tokens?: number;
}

/**
 * Proposes the tokens that another model finds most likely. It must know the same tokens: the ids are taken as they are.
 *
 *     const draft = await load("small-model");
 *     generate(model, { prompt, drafter: draftModel(draft) });
 *
 * @throws LongConvError bad-input for what is no language model; from `generate` where the vocabularies differ
 */
export function draftModel(draft: Model, options: DraftModelOptions = {}): Drafter {
  checkArguments({ draft: ["loaded", draft], options: ["options", options] });
  const { tokens = 4 } = options;
  checkCount("tokens", tokens, 1);
  const { vocabulary } = languageOf(draft);
  return {
    tokens,
    start(model) {
      const wanted = languageOf(model).vocabulary;
      if (wanted === vocabulary) return drafting(draft);
      const reason = `the draft model has a vocabulary of ${vocabulary}, the model one of ${wanted}`;
      throw new LongConvError("bad-input", reason, { file: draft.file }, "Draft with a model of the same tokenizer.");
    },
  };
}

/** A state, and the tokens that it has read. */
interface Place {
  readonly state: State;
  readonly read: number;
}

function drafting(draft: Model): Drafting {
  /** States after what is certain, and after each draft of the last time; oldest first. */
  let places: Place[] = [];
  let known: Ids = [];
  const release = (some: readonly Place[]) => {
    if (!draft.backend.writesIntoFetches) for (const { state } of some) disposeState(state);
  };

  /** The last place that the ids have come through. */
  const goBack = (ids: Ids): Place => {
    const parted = known.findIndex((id, at) => id !== ids[at]);
    // Of the last token the logits are wanted, so that it is read again where its state has none.
    const same = Math.min(parted < 0 ? known.length : parted, ids.length);
    const found = places.findLastIndex(({ read }) => read <= same);
    const place = places[found] ?? { state: zeroState(draft), read: 0 };
    release(places.toSpliced(found, found < 0 ? 0 : 1));
    places = [place];
    return place;
  };

  return {
    async propose(ids, most) {
      const end = draft.claim?.positions ?? draft.positions ?? Number.POSITIVE_INFINITY;
      if (ids.length + most > end) return [];
      let { state, read } = goBack(ids);
      if (read < ids.length) {
        state = await drain(readSlices(draft, [ids.slice(read)], { state }));
        read = ids.length;
        places.push({ state, read });
      }
      const proposed: number[] = [];
      while (proposed.length < most) {
        proposed.push(argmax(state.logits!));
        if (proposed.length === most) break;
        state = await readTokens(draft, [proposed.at(-1)!], state);
        read++;
        places.push({ state, read });
      }
      known = [...ids, ...proposed];
      return proposed;
    },
    end() {
      release(places);
      places = [];
    },
  };
}
