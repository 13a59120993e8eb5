/**
 * The decode step of every modal form, v the carried state of modes.ts:
 *
 *     v_i = Λ v_{i-1} + 1 x_i          Λ as 2 × 2 rotations: a batched MatMul, and an Add
 *     y_i = 1ᵀ (C ∘ v_i) + D ∘ x_i     C [order × channels] residues, D [channels] what lag 0 has beyond the modes
 *
 * The rotations read the past, the Add writes the present, and y is read from the present.
 */

import type { Builder } from "../graph/build.ts";
import { type Modal, orderOf } from "../solve/form.ts";
import { duosOf, residuesOnPast, rotationsOf, stateResidues, transitionOf } from "./modes.ts";
import { type PathTensors, sumRows } from "./recurrence.ts";

/** Below this order, one dense matrix costs less than making an odd number of states even. */
const DENSE_ORDER = 32;

/** Adds the decode step of a modal form; returns y, [batch, 1, channels]. */
export function modalDecodeStep(b: Builder, modal: Modal, path: PathTensors): string {
  const order = orderOf(modal);
  return order % 2 && order < DENSE_ORDER ? denseStep(b, modal, path) : rotationStep(b, modal, path);
}

function rotationStep(b: Builder, modal: Modal, { x, past, present }: PathTensors): string {
  const { channels, direct } = modal;
  const order = orderOf(modal);
  const duos = duosOf(modal);
  const odd = order % 2 === 1;
  const whole = odd ? b.one("Pad", [past, b.ints("one_row", [0, 0, 0, 0, 1, 0])]) : past;
  const byDuo = b.one("Reshape", [whole, b.ints("by_duo", [0, duos.length, 2, channels])]);
  const turned = b.one("MatMul", [b.floats("rotations", [duos.length, 2, 2], rotationsOf(duos)), byDuo]);
  const states = b.one("Reshape", [turned, b.ints("states", [0, 2 * duos.length, channels])]);
  const kept = odd
    ? b.one("Slice", [states, b.ints("start", [0]), b.ints("order", [order]), b.ints("rows", [1])])
    : states;
  b.add("Add", [kept, x], undefined, { outputs: [present] });
  const residues = b.floats("residues", [order, channels], stateResidues(modal));
  const y = sumRows(b, order, b.one("Mul", [present, residues]));
  if (direct.every((value) => value === 0)) return y;
  return b.one("Add", [y, b.one("Mul", [x, b.floats("direct", [channels], direct)])]);
}

/** The same with z = (v_{i-1}; x_i) copied together: v_i = W z, y_i = 1ᵀ (C' ∘ z), C' the residues turned by Λ. */
function denseStep(b: Builder, modal: Modal, { x, past, present }: PathTensors): string {
  const order = orderOf(modal);
  const transition = transitionOf(modal);
  const matrix = new Float64Array(order * (order + 1)).fill(1);
  for (let s = 0; s < order; s++) matrix.set(transition.subarray(s * order, (s + 1) * order), s * (order + 1));
  const joined = b.one("Concat", [past, x], { axis: 1 });
  b.add("MatMul", [b.floats("transition", [order, order + 1], matrix), joined], undefined, { outputs: [present] });
  const residues = b.floats("residues_on_past", [order + 1, modal.channels], residuesOnPast(modal));
  return sumRows(b, order + 1, b.one("Mul", [joined, residues]));
}
