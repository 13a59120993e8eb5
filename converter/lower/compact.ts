/**
 * The compact form: few poles, shared by all channels of a layer, so that a state of order R stands for a kernel of any
 * length:
 *
 *     u_i = Λ u_{i-1} + 1 x_i          R real numbers per channel
 *     y_i = Re(C u_i) + D x_i          only the residues C and D differ from channel to channel
 *
 * What a step costs is reading the state and as many residues; see decode-step.ts and, for many tokens, prefill.ts.
 */
export { modalRecurrence as compactRecurrence } from "./modal.ts";
