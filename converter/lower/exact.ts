/**
 * The exact form: full-order ETSC, as many states as lags.
 *
 *     u_i = Λ u_{i-1} + 1 x_i          poles on a circle, γ exp(πi (2p+1)/n): n real numbers per channel for n lags
 *     y_i = Re(C u_i)                  residues by an inverse DFT of the kernel without its decay (solve/etsc.ts)
 *
 * The same decode step and prefill as the compact form; nothing here asks where the poles are. A step is bound by reading
 * the state and the residues, a prompt by n multiplications per token and channel, three times over; longer chunks
 * leave fewer states to keep.
 */
export { modalRecurrence as exactRecurrence } from "./modal.ts";
