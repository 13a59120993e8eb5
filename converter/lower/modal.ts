/** The recurrence of modal forms of any order: what compact.ts and exact.ts are made of. */

import type { Builder } from "../graph/build.ts";
import { type Modal, orderOf } from "../solve/form.ts";
import { modalDecodeStep } from "./decode-step.ts";
import { either, type Pass } from "./either.ts";
import { modalFew } from "./few.ts";
import { duosOf, spreadResidues } from "./modes.ts";
import { chunkFor, modalPrefill } from "./prefill.ts";
import type { PrefillPlan } from "./prefill-plan.ts";
import type { PathTensors, Recurrence } from "./recurrence.ts";

/** @param chunk tokens in a chunk of prefill; default by order */
export function modalRecurrence(modal: Modal, chunk = chunkFor(orderOf(modal))): Recurrence {
  const duos = duosOf(modal);
  return {
    state: "ssm",
    rows: orderOf(modal),
    channels: modal.channels,
    planWanted: duos.length > 0 ? { chunk, duos, few: true } : undefined,
    decodeStep: (b, path) => modalDecodeStep(b, modal, path),
    prefill: (b, path, plan) => manyOrFew(b, modal, path, chunk, plan!),
  };
}

/** If(T ≤ FEW) around the two passes, where the plan has the condition; the residues are of both. */
function manyOrFew(b: Builder, modal: Modal, path: PathTensors, chunk: number, plan: PrefillPlan): string {
  const duos = duosOf(modal);
  const residues = b.floats("residues", [2, 2 * duos.length, 1, modal.channels], spreadResidues(modal, duos));
  const { few } = plan;
  if (path.straight || !few) return modalPrefill(b, modal, path, chunk, plan, residues);
  const passes: readonly [Pass, Pass] = [
    { name: "few", graph: "few_tokens", add: (inner, at) => modalFew(inner, modal, at, few.length, residues) },
    {
      ...{ name: "many", graph: "many_tokens" },
      add: (inner, at) => modalPrefill(inner, modal, at, chunk, plan, residues),
    },
  ];
  return either(b, few.isFew, path, passes, { y: "passed", hint: "few_or_many" });
}
