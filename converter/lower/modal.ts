/** The recurrence of modal forms of any order: what compact.ts and exact.ts are made of. */

import type { Builder } from "../graph/build.ts";
import { type Modal, orderOf } from "../solve/form.ts";
import { either, type Pass } from "./either.ts";
import { modalFew } from "./few.ts";
import { duosOf, spreadResidues } from "./modes.ts";
import { chunkFor, modalPrompt } from "./prompt.ts";
import type { PathTensors, Recurrence } from "./recurrence.ts";
import { modalStep } from "./step.ts";
import type { PromptTables } from "./tables.ts";

/** @param chunk tokens in a chunk of the prompt pass; default by order */
export function modalRecurrence(modal: Modal, chunk = chunkFor(orderOf(modal))): Recurrence {
  const duos = duosOf(modal);
  return {
    state: "ssm",
    rows: orderOf(modal),
    channels: modal.channels,
    tables: duos.length > 0 ? { chunk, duos, few: true } : undefined,
    step: (b, path) => modalStep(b, modal, path),
    prompt: (b, path, tables) => manyOrFew(b, modal, path, chunk, tables!),
  };
}

/** If(T ≤ FEW) around the two passes, where the tables have the condition; the residues are of both. */
function manyOrFew(b: Builder, modal: Modal, path: PathTensors, chunk: number, tables: PromptTables): string {
  const duos = duosOf(modal);
  const residues = b.floats("residues", [2, 2 * duos.length, 1, modal.channels], spreadResidues(modal, duos));
  const { few } = tables;
  if (path.straight || !few) return modalPrompt(b, modal, path, chunk, tables, residues);
  const passes: readonly [Pass, Pass] = [
    { name: "few", graph: "few_tokens", add: (inner, at) => modalFew(inner, modal, at, few.length, residues) },
    {
      ...{ name: "many", graph: "many_tokens" },
      add: (inner, at) => modalPrompt(inner, modal, at, chunk, tables, residues),
    },
  ];
  return either(b, few.isFew, path, passes, { y: "passed", hint: "few_or_many" });
}
