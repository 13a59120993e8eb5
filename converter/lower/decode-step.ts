/**
 * The decode step of every modal form, v the carried state of modes.ts:
 *
 *     v_i = Λ v_{i-1} + 1 x_i          Λ as 2 × 2 rotations: a batched MatMul, and an Add
 *     y_i = 1ᵀ (C ∘ v_i) + D ∘ x_i     C [order × channels] residues, D [channels] what lag 0 has beyond the modes
 *
 * The rotations read the past, the Add writes the present, and y is read from the present. Two tokens are two
 * steps in a row, which read the same tables: less goes through memory than in the chunk of few.ts.
 */

import type { Builder } from "../graph/build.ts";
import { type Modal, orderOf } from "../solve/form.ts";
import { duosOf, residuesOnPast, rotationsOf, stateResidues, transitionOf } from "./modes.ts";
import { type PathTensors, sumRows } from "./recurrence.ts";

/** Below this order, one dense matrix costs less than making an odd number of states even. */
const DENSE_ORDER = 32;

/** Adds a decode step wherever it is called; returns y, [batch, 1, channels]. */
export type DecodeStep = (b: Builder, path: PathTensors) => string;

/** The decode step of a modal form; its tables are added here, and are of all steps. */
export function modalDecodeStep(b: Builder, modal: Modal): DecodeStep {
  const order = orderOf(modal);
  return order % 2 && order < DENSE_ORDER ? denseStep(b, modal) : rotationStep(b, modal);
}

/** Adds so many steps in a row; returns y, [batch, tokens, channels]. */
export function stepsInARow(b: Builder, step: DecodeStep, { x, past, present }: PathTensors, tokens: number): string {
  const each = new Array<number>(tokens).fill(1);
  const inputs = b.add("Split", [x, b.ints("one_by_one", each)], { axis: 1 }, { outputs: tokens, hint: "token" });
  let before = past;
  const outputs = inputs.map((token, i) => {
    const after = i === tokens - 1 ? present : b.name("state");
    const y = step(b, { x: token, past: before, present: after });
    before = after;
    return y;
  });
  return b.one("Concat", outputs, { axis: 1 }, { hint: "y" });
}

function rotationStep(tables: Builder, modal: Modal): DecodeStep {
  const { channels, direct } = modal;
  const order = orderOf(modal);
  const duos = duosOf(modal);
  const odd = order % 2 === 1;
  const rotations = tables.floats("rotations", [duos.length, 2, 2], rotationsOf(duos));
  const residues = tables.floats("residues", [order, channels], stateResidues(modal));
  const isDirect = direct.some((value) => value !== 0);
  const atOnce = isDirect ? tables.floats("direct", [channels], direct) : undefined;
  return (b, { x, past, present }) => {
    const whole = odd ? b.one("Pad", [past, b.ints("one_row", [0, 0, 0, 0, 1, 0])]) : past;
    const byDuo = b.one("Reshape", [whole, b.ints("by_duo", [0, duos.length, 2, channels])]);
    const turned = b.one("MatMul", [rotations, byDuo]);
    const states = b.one("Reshape", [turned, b.ints("states", [0, 2 * duos.length, channels])]);
    const kept = odd
      ? b.one("Slice", [states, b.ints("start", [0]), b.ints("order", [order]), b.ints("rows", [1])])
      : states;
    b.add("Add", [kept, x], undefined, { outputs: [present] });
    const y = sumRows(b, order, b.one("Mul", [present, residues]));
    return atOnce === undefined ? y : b.one("Add", [y, b.one("Mul", [x, atOnce])]);
  };
}

/** The same with z = (v_{i-1}; x_i) copied together: v_i = W z, y_i = 1ᵀ (C' ∘ z), C' the residues turned by Λ. */
function denseStep(tables: Builder, modal: Modal): DecodeStep {
  const order = orderOf(modal);
  const transition = transitionOf(modal);
  const matrix = new Float64Array(order * (order + 1)).fill(1);
  for (let s = 0; s < order; s++) matrix.set(transition.subarray(s * order, (s + 1) * order), s * (order + 1));
  const weights = tables.floats("transition", [order, order + 1], matrix);
  const residues = tables.floats("residues_on_past", [order + 1, modal.channels], residuesOnPast(modal));
  return (b, { x, past, present }) => {
    const joined = b.one("Concat", [past, x], { axis: 1 });
    b.add("MatMul", [weights, joined], undefined, { outputs: [present] });
    return sumRows(b, order + 1, b.one("Mul", [joined, residues]));
  };
}
