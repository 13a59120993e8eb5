/** The recurrence of modal forms of any order: what compact.ts and exact.ts are made of. */

import type { Builder } from "../graph/build.ts";
import { type Modal, orderOf } from "../solve/form.ts";
import { type DecodeStep, modalDecodeStep, stepsInARow } from "./decode-step.ts";
import { either, type Pass } from "./either.ts";
import { modalFew } from "./few.ts";
import { duosOf, spreadResidues } from "./modes.ts";
import { chunkFor, modalPrefill } from "./prefill.ts";
import type { PrefillPlan } from "./prefill-plan.ts";
import type { PathTensors, Recurrence } from "./recurrence.ts";

/** @param chunk tokens in a chunk of prefill; default by order */
export function modalRecurrence(modal: Modal, chunk = chunkFor(orderOf(modal))): Recurrence {
  const duos = duosOf(modal);
  let made: DecodeStep | undefined;
  // the passes of one layer read the same tables
  const decodeStep: DecodeStep = (b, path) => {
    made ??= modalDecodeStep(b, modal);
    return made(b, path);
  };
  return {
    state: "ssm",
    rows: orderOf(modal),
    channels: modal.channels,
    planWanted: duos.length > 0 ? { chunk, duos, few: true } : undefined,
    decodeStep,
    prefill: (b, path, plan) => manyOrFew(b, modal, decodeStep, path, chunk, plan!),
  };
}

/** If(T ≤ FEW), and in it If(T = 2), around the passes, where the plan has the conditions; the residues are of both chunks. */
function manyOrFew(
  b: Builder,
  modal: Modal,
  decodeStep: DecodeStep,
  path: PathTensors,
  chunk: number,
  plan: PrefillPlan,
): string {
  const duos = duosOf(modal);
  const residues = b.floats("residues", [2, 2 * duos.length, 1, modal.channels], spreadResidues(modal, duos));
  const { few, length } = plan;
  if (path.straight || !few) return modalPrefill(b, modal, path, chunk, plan, residues);
  const { isFew, isTwo } = few;
  const two: Pass = { name: "two", graph: "two_tokens", add: (inner, at) => stepsInARow(inner, decodeStep, at, 2) };
  const chunkOfFew: Pass = {
    ...{ name: "chunk", graph: "one_chunk" },
    add: (inner, at) => modalFew(inner, modal, at, length, residues),
  };
  const one: Pass = {
    ...{ name: "few", graph: "few_tokens" },
    add: (inner, at) => either(inner, isTwo, at, [two, chunkOfFew], { y: "passed", hint: "two_or_few" }),
  };
  const many: Pass = {
    ...{ name: "many", graph: "many_tokens" },
    add: (inner, at) => modalPrefill(inner, modal, at, chunk, plan, residues),
  };
  return either(b, isFew, path, [one, many], { y: "passed", hint: "few_or_many" });
}
