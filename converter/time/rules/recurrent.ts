/** Recurrent layers: along another axis than time they are pointwise in it, whatever their direction. */
import { isChannelAxis, type Layout } from "../facts/fact.ts";
import {
  allOutputs,
  axesOf,
  type Family,
  joined,
  mixes,
  numbers,
  type Operand,
  type Rule,
  refuses,
} from "../facts/rule.ts";
import { channelAxis, unfollowed } from "./movement.ts";
import { notConstant } from "./normalization.ts";

/** Layouts of what a layer gives: all its hidden states, and the last one. */
export function recurrentLayouts(
  axes: Layout,
  { layout, directions, hidden }: { readonly layout: number; readonly directions: number; readonly hidden: number },
): { all: Layout; last: Layout } {
  const [sequence, batch] = layout ? [axes[1]!, axes[0]!] : [axes[0]!, axes[1]!];
  const [ways, size] = [channelAxis(directions), channelAxis(hidden)];
  return layout
    ? { all: [batch, sequence, ways, size], last: [batch, ways, size] }
    : { all: [sequence, ways, batch, size], last: [ways, batch, size] };
}

/** https://onnx.ai/onnx/operators/onnx__GRU.html and its sisters: x, w, r, b, sequence_lens, initial_h, … */
const recurrent: Rule = ([x, w, r, b, lengths, h, c, peepholes], attributes, context, outputs) => {
  const { direction = "forward", layout = 0, hidden_size } = attributes;
  const axes = axesOf(x!);
  if (!axes) return unfollowed(x!);
  const refusal = notConstant([w, r, b, peepholes]);
  if (refusal) return refusal;
  const along = axes[layout ? 1 : 0]!;
  if (along.includes("time")) {
    if (direction !== "forward")
      return refuses("not-causal", `runs ${WAYS[String(direction)] ?? "backwards"} along time`);
    // an export of one length says so itself
    const isWhole = context.fixed && numbers(lengths)?.every((value) => value === context.sizes.time);
    if (lengths?.fact.kind === "constant" && !isWhole)
      return refuses("unsupported-layout", "reads a constant number of positions: sequence_lens");
    return mixes("is recurrent along the time axis");
  }
  if (lengths && lengths.fact.kind !== "constant")
    return refuses("unsupported-layout", "reads as many positions as its sequence_lens say, which are not constant");
  if (!isChannelAxis(along)) return refuses("mixes-batch", "is recurrent along the batch axis");
  const directions = direction === "bidirectional" ? 2 : 1;
  const { all, last } = recurrentLayouts(axes, { layout: Number(layout), directions, hidden: Number(hidden_size) });
  const given = [h, c].filter((operand): operand is Operand => operand !== undefined);
  const layouts = [all, last, last].slice(0, outputs);
  return outputs === 1 ? joined([x, ...given], all) : allOutputs([x, ...given], layouts);
};

const WAYS: Readonly<Record<string, string>> = { reverse: "backwards", bidirectional: "in both directions" };

export const RECURRENT: Family = {
  title: "Recurrent layers",
  pointwise: "where they run along another axis than time",
  otherwise: "forward along time, their own state is carried; backwards they are refused",
  rules: { RNN: recurrent, GRU: recurrent, LSTM: recurrent },
};
