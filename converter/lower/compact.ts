/**
 * The compact form: few poles, shared by all channels of a layer, so that a state of order R stands for a kernel of any
 * length:
 *
 *     u_i = Λ u_{i-1} + 1 x_i          R real numbers per channel
 *     y_i = Re(C u_i) + D x_i          only the residues C and D differ from channel to channel
 *
 * What a step costs is reading the state and as many residues; see step.ts and, for many tokens, prompt.ts.
 */
import { type Modal, orderOf } from "../form.ts";
import { chunkFor, modalPrompt } from "./prompt.ts";
import type { Recurrence } from "./recurrence.ts";
import { modalStep } from "./step.ts";

/**
 * The recurrence of a modal form of low order.
 * @param chunk tokens in a chunk of the prompt pass; default by order
 */
export function compactRecurrence(modal: Modal, chunk = chunkFor(orderOf(modal))): Recurrence {
  return {
    state: "ssm",
    rows: orderOf(modal),
    channels: modal.channels,
    step: (b, path) => modalStep(b, modal, path),
    prompt: (b, path) => modalPrompt(b, modal, path, chunk),
  };
}
