/** The first cause of what no state carries: what stands in the way further on is often its consequence. */
import type { ErrorCode } from "../../src/errors.ts";
import type { Node } from "../graph/graph.ts";
import { channelsIn, type Fact, timeAxis } from "../time/facts/fact.ts";
import { OTHER_RATE } from "../time/facts/rule.ts";
import type { Closed, Opening, Refusal } from "../time/follow.ts";
import { RATE } from "./remedies.ts";

export interface Cause {
  readonly code: ErrorCode;
  readonly reason: string;
  readonly remedy?: string;
}

/** One answer for all positions. */
const WHOLE = /^(Reduce|Global|ArgM)/;

/** Divided by what is made of all positions. */
const NORMALISES = /^(Softmax|LogSoftmax|Hardmax|\w*Normalization)$/;

/** Why an opening itself cannot be carried, whatever follows it; undefined where what follows decides. */
export function causeAt({ node, reason }: Opening, stream: Fact | undefined): Cause | undefined {
  if (reason.startsWith(OTHER_RATE)) return { code: "mixes-time", reason, remedy: RATE };
  if (NORMALISES.test(node.op))
    return {
      code: "not-causal",
      reason: `${reason}: what it gives at a position depends on later ones too`,
      remedy: "Normalise over the channels, or by sums over the positions so far (cumsum).",
    };
  if (node.op === "TopK") return { code: "mixes-time", reason: `${reason}, later positions among those before them` };
  if (node.op === "Resize") return { code: "mixes-time", reason: `${OTHER_RATE}: ${reason}`, remedy: RATE };
  const many = stream?.kind === "stream" ? channelsIn(stream.axes[timeAxis(stream.axes)]!) : 1;
  if (many > 1)
    return {
      code: "mixes-time",
      reason: `${OTHER_RATE}: ${many} positions for each of the input's`,
      remedy: RATE,
    };
  if (WHOLE.test(node.op))
    return { code: "not-causal", reason: `${reason}, and positions read the answer for all of them, later ones too` };
  if (node.op === "Pad" && reason.endsWith("not understood"))
    return {
      code: "depends-on-length",
      reason:
        "pads the sequence by an amount that depends on its length, and what is not linear follows before it is cut again",
      remedy: "Pad inside the transform alone, rfft(x, n=…), or before the model.",
    };
  return undefined;
}

/** Operators by which a loop that was unrolled reads its positions. */
const PICKS = new Set(["Gather", "Slice", "Split"]);
/** As many of them as make a loop. */
const LOOP = 4;

/**
 * A loop over the positions that the exporter has unrolled: the refusal in the place of one for every position.
 * @param refused what nothing carries
 * @param length of a graph that has one length
 */
export function unrolled(refused: readonly Closed[], length: number | undefined): Refusal | undefined {
  const picks = refused.map(({ opening }): Node => opening).filter(({ op }) => PICKS.has(op));
  if (length === undefined || picks.length < Math.max(LOOP, length / 2)) return undefined;
  return {
    node: picks[0]!,
    code: "mixes-time",
    reason: `is part of a loop that was unrolled at a fixed length: each of ${length} positions has nodes of its own`,
    remedy:
      "Export the loop as a Scan with a dynamic length (torch's scan), or the step alone: its state is an input then.",
  };
}
