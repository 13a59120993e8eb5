/**
 * Attention of ONNX Runtime, whose queries, keys and values are one product.
 * https://github.com/microsoft/onnxruntime/blob/main/docs/ContribOperators.md#com.microsoft.Attention without a past
 */
import { Attention } from "./attention.ts";
import { type Expansion, HAS_PAST } from "./expansion.ts";
import { ofPadding } from "./multi-head.ts";

export const PackedAttention: Expansion = (b, node, site) => {
  const [input, weights, bias, padding, past, added, length] = node.inputs as string[];
  const { num_heads, unidirectional, qkv_hidden_sizes, scale, do_rotary, mask_filter_value } = node.attributes;
  if (past || length || node.outputs.slice(1).some((name) => name && site.isRead(name))) return HAS_PAST;
  if (Number(do_rotary ?? 0))
    return "turns queries and keys inside a fused operator, which ONNX Runtime does for GPUs only";
  if (padding && site.dimsOf(padding)?.length !== 2)
    return `takes lengths or a mask of pairs in 'mask_index', '${padding}'; a mask [batch, keys] is followed`;
  const whole = site.dimsOf(weights!)?.[1];
  const parts =
    (qkv_hidden_sizes as readonly number[] | undefined) ??
    (whole !== undefined ? [whole / 3, whole / 3, whole / 3] : []);
  const heads = Number(num_heads);
  if (parts.length !== 3 || parts.some((size) => !Number.isInteger(size / heads)))
    return `has heads of an unknown width; no sizes are declared for '${weights}'`;
  const product = b.one("MatMul", [input!, weights!], {}, { hint: "parts" });
  const biased = bias ? b.one("Add", [product, bias], {}, { hint: "parts" }) : product;
  const [queries, keys, values] = parts.map((size, i) => {
    const from = parts.slice(0, i).reduce((sum, each) => sum + each, 0);
    const bounds = [from, from + size, 2].map((end) => b.ints("end", [end]));
    return b.one("Slice", [biased, ...bounds], {}, { hint: "part" });
  });
  const hidden = padding ? ofPadding(b, padding, Number(mask_filter_value ?? -1e4)) : "";
  const masks = [added ?? "", hidden].filter(Boolean);
  return Attention(
    b,
    {
      ...node,
      inputs: [queries!, keys!, values!, masks.length === 2 ? b.one("Add", masks) : (masks[0] ?? "")],
      outputs: [node.outputs[0]!],
      attributes: {
        ...{ q_num_heads: heads, kv_num_heads: heads, is_causal: Number(unidirectional ?? 0) },
        scale: Number(scale ?? 0) || 1 / Math.sqrt(parts[0]! / heads),
      },
    },
    site,
  );
};
