/** The recurrence of modal forms of any order: what compact.ts and exact.ts are made of. */
import { type Modal, orderOf } from "../solve/form.ts";
import { duosOf } from "./modes.ts";
import { chunkFor, modalPrompt } from "./prompt.ts";
import type { Recurrence } from "./recurrence.ts";
import { modalStep } from "./step.ts";

/** @param chunk tokens in a chunk of the prompt pass; default by order */
export function modalRecurrence(modal: Modal, chunk = chunkFor(orderOf(modal))): Recurrence {
  const duos = duosOf(modal);
  return {
    state: "ssm",
    rows: orderOf(modal),
    channels: modal.channels,
    tables: duos.length > 0 ? { chunk, duos } : undefined,
    step: (b, path) => modalStep(b, modal, path),
    prompt: (b, path, tables) => modalPrompt(b, modal, path, chunk, tables!),
  };
}
