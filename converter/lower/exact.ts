/**
 * The exact form: full-order ETSC, as many states as lags.
 *
 *     u_i = Λ u_{i-1} + 1 x_i          poles on a circle, γ exp(πi (2p+1)/n): n real numbers per channel for n lags
 *     y_i = Re(C u_i)                  residues by an inverse DFT of the kernel without its decay (solve/etsc.ts)
 *
 * The same step and prompt pass as the compact form; nothing here asks where the poles are. A step is bound by reading
 * the state and the residues, a prompt by n multiplications per token and channel, three times over; longer chunks
 * leave fewer states to keep.
 */
import { type Modal, orderOf } from "../form.ts";
import { chunkFor, modalPrompt } from "./prompt.ts";
import type { Recurrence } from "./recurrence.ts";
import { modalStep } from "./step.ts";

/**
 * The recurrence of a modal form of high order.
 * @param chunk tokens in a chunk of the prompt pass; default by order
 */
export function exactRecurrence(modal: Modal, chunk = chunkFor(orderOf(modal))): Recurrence {
  return {
    state: "ssm",
    rows: orderOf(modal),
    channels: modal.channels,
    step: (b, path) => modalStep(b, modal, path),
    prompt: (b, path) => modalPrompt(b, modal, path, chunk),
  };
}
