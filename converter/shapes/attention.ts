/** Shapes of attention as one operator: as many rows as there are queries, as wide as the values of all heads. */
import type { ShapeRule } from "./known.ts";

/** https://onnx.ai/onnx/operators/onnx__Attention.html: [batch, time, heads · width] or [batch, heads, time, width]. */
export const Attention: ShapeRule = ([q, , v], { q_num_heads, kv_num_heads }) => {
  const [queries, values] = [q?.dims, v?.dims];
  if (!queries || !values) return undefined;
  const groups = queries.length === 3 ? Number(q_num_heads) / Number(kv_num_heads) : 1;
  return queries.with(-1, values.at(-1)! * groups);
};

/** com.microsoft::MultiHeadAttention: values [batch, time, heads · width] or [batch, heads, time, width]; without them the queries hold all three. */
export const MultiHeadAttention: ShapeRule = ([q, , v]) => {
  const [queries, values] = [q?.dims, v?.dims];
  if (!queries || (v && !values)) return undefined;
  const [batch, time] = queries as [number, number];
  if (!values) return queries.length === 5 ? [batch, time, queries[2]! * queries[4]!] : undefined;
  return [batch, time, values.length === 4 ? values[1]! * values[3]! : values.at(-1)!];
};

/** com.microsoft::GroupQueryAttention: queries [batch, time, heads · width], with keys and values behind them where these are not given. */
export const GroupQueryAttention: ShapeRule = ([q, k], { num_heads, kv_num_heads }) => {
  const queries = q?.dims;
  if (queries?.length !== 3) return undefined;
  const [heads, groups] = [Number(num_heads), Number(kv_num_heads)];
  return k ? queries : queries.with(-1, (queries[2]! / (heads + 2 * groups)) * heads);
};

/** com.microsoft::Attention: a matrix gives queries, keys and values, a third each unless sizes are given. */
export const PackedAttention: ShapeRule = ([data, weights], { qkv_hidden_sizes: sizes }) => {
  const width = Array.isArray(sizes) ? Number(sizes[2]) : weights?.dims && weights.dims[1]! / 3;
  return width === undefined ? undefined : data?.dims?.with(-1, width);
};
