/** What helps against a refusal whose place says no more than its code. */
import type { ErrorCode } from "../../src/errors.ts";
import type { Refusal } from "../time/follow.ts";

/** What helps where a layer runs at another rate. */
export const RATE =
  "Layers at another rate than the input are not carried: leave the stride out, or convert the part before it.";

const REMEDIES: Partial<Record<ErrorCode, string>> = {
  "mixes-time": "Such an operator takes the whole sequence at each step: leave it out, or convert the part without it.",
  "not-causal":
    "A layer that sees later positions cannot run token by token: pad on the left only, and take no mean over time.",
  "not-linear": "Move what is not linear before or behind the convolution.",
  "depends-on-length": "Make kernels and scales from the position alone, not from how long the whole sequence is.",
  "depends-on-data": "Multiply with the other stream before or behind the convolution, not inside it.",
  "mixes-batch": "Compute each sequence of a batch from itself alone.",
  "absolute-position": "Let them meet in an elementwise operator or a Concat.",
  "mixes-channels": "Use a depthwise convolution, and a linear layer for the channels.",
};

/** A transform of n points is circular: the sequence's end comes round to its start. */
const CIRCULAR =
  "Pad the sequence to 2n before the transform and keep the first n of what comes back: rfft(x, n=2 * n).";
const TRANSFORMS = new Set(["DFT", "Rfft"]);

/** The refusal's own remedy, else the one that is usual. */
export function remedyOf({ code, node, remedy }: Refusal): string | undefined {
  if (remedy !== undefined) return remedy;
  return code === "not-causal" && TRANSFORMS.has(node.op) ? CIRCULAR : REMEDIES[code];
}
