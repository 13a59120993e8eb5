/** https://github.com/microsoft/onnxruntime/blob/main/docs/ContribOperators.md#com.microsoft.MultiHeadAttention without a past. */
import type { Builder } from "../graph/build.ts";
import { DataType } from "../graph/tensor.ts";
import { Attention } from "./attention.ts";
import { type Expansion, HAS_PAST } from "./expansion.ts";

export const MultiHeadAttention: Expansion = (b, node, site) => {
  const [query, key, value, bias, padding, attentionBias, ...past] = node.inputs;
  const more = node.outputs.slice(1).some((name) => name);
  if (past.some((name) => name) || more) return HAS_PAST;
  if (!key || !value) return "takes queries, keys and values in one packed tensor, which are not taken apart";
  if (padding && site.dimsOf(padding)?.length !== 2)
    return `takes lengths of keys in 'key_padding_mask', '${padding}'; a mask [batch, keys] is followed`;
  const [hidden, own, given] = [query!, key, value]
    .map((tensor) => site.dimsOf(tensor))
    .map((dims) => (dims?.length === 3 ? dims[2] : undefined));
  const heads = Number(node.attributes.num_heads);
  if (hidden === undefined || own !== hidden || given === undefined || hidden % heads !== 0)
    return "has queries, keys or values whose sizes [batch, time, heads * width] are not declared";
  const ends = [0, hidden, 2 * hidden, 2 * hidden + given];
  const biased = (tensor: string, part: number) => {
    if (!bias) return tensor;
    const bounds = [ends[part]!, ends[part + 1]!].map((end) => b.ints("end", [end]));
    const piece = b.one("Slice", [bias, ...bounds], {}, { hint: "bias" });
    return b.one("Add", [tensor, piece], {}, { hint: "biased" });
  };
  const scale = Number(node.attributes.scale ?? 0) || 1 / Math.sqrt(hidden / heads);
  const { mask_filter_value: low = -1e4 } = node.attributes;
  const ofKeys = padding ? ofPadding(b, padding, Number(low)) : "";
  const added = [attentionBias ?? "", ofKeys].filter(Boolean);
  const mask = added.length === 2 ? b.one("Add", added, {}, { hint: "mask" }) : (added[0] ?? "");
  return Attention(
    b,
    {
      ...node,
      inputs: [biased(query!, 0), biased(key, 1), biased(value, 2), mask],
      outputs: [node.outputs[0]!],
      attributes: {
        ...{ q_num_heads: heads, kv_num_heads: heads, scale },
        is_causal: Number(node.attributes.unidirectional ?? 0),
      },
    },
    site,
  );
};

/** [batch, 1, 1, keys], added to the scores: 0, or what hides a key whose `padding` [batch, keys] is 0. */
export function ofPadding(b: Builder, padding: string, low: number): string {
  const shown = b.one("Cast", [padding], { to: DataType.BOOL }, { hint: "shown" });
  const keys = b.one("Unsqueeze", [shown, b.ints("axes", [1, 2])], {}, { hint: "shown" });
  return b.one("Where", [keys, b.floats("shown", [], [0]), b.floats("hidden", [], [low])], {}, { hint: "padding" });
}
