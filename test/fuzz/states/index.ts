/** Pieces for every kind of state beside long convolutions, and their mistakes, by kind and name. */
import type { Piece } from "../draft.ts";
import { ATTENTION } from "./attention.ts";
import { ATTENTION_OPERATORS } from "./attention-operators.ts";
import { ATTENTION_TRAPS } from "./attention-traps.ts";
import { MIXING, MIXING_TRAPS } from "./mixing.ts";
import { REACH } from "./reach.ts";
import { REACH_TRAPS } from "./reach-traps.ts";
import { RECURRENT } from "./recurrent.ts";
import { RECURRENT_TRAPS } from "./recurrent-traps.ts";
import { TURN_TRAPS, TURNS } from "./turns.ts";

type Pieces = Readonly<Record<string, Piece>>;

/** All of these run position by position. */
export const CARRIED: Readonly<Record<string, Pieces>> = {
  reach: REACH,
  mixing: MIXING,
  recurrent: RECURRENT,
  turns: TURNS,
  attention: { ...ATTENTION, ...ATTENTION_OPERATORS },
};
/** These do not, or not at every size. */
export const MISTAKES: Readonly<Record<string, Pieces>> = {
  reach: REACH_TRAPS,
  mixing: MIXING_TRAPS,
  recurrent: RECURRENT_TRAPS,
  turns: TURN_TRAPS,
  attention: ATTENTION_TRAPS,
};
