/** Operators of opset 27 that carry a state, said in operators that every runtime has. */
import { type Builder, fromFloat } from "../../graph/build.ts";
import { DataType, makeTensor } from "../../graph/tensor.ts";
import { valueInfoToProto } from "../../graph/valueinfo.ts";
import { notLifted, type Row, replacedFirst, type Site } from "./row.ts";
import { scalarOf } from "./scalars.ts";

/** Zeros of these dimensions, of the type that a tensor has. */
function zerosLike(site: Site, dims: string, like: string): string {
  const zero = site.b.one("ConstantOfShape", [dims], {
    value: { tensor: makeTensor(DataType.FLOAT, [1], new Float32Array(1)) },
  });
  return fromFloat(site.b, zero, site.typeOf(like));
}

/** Size of one axis, as a tensor of one number. */
const sizeOf = (b: Builder, tensor: string, axis: number): string =>
  b.one("Shape", [tensor], { start: axis, end: axis + 1 });

/** https://onnx.ai/onnx/operators/onnx__CausalConvWithState.html: a convolution in every channel over [past, input]. */
const CausalConvWithState: Row = {
  rewrite(site) {
    const { b, node } = site;
    const [data = "", weight = "", bias = "", past = ""] = node.inputs;
    const { activation = "none" } = node.attributes as { activation?: string };
    if (!["none", "silu", "swish"].includes(activation))
      throw notLifted(site, `an activation '${activation}', which is none of its own`, "Use silu, swish or none.");
    const [group, , width] = site.dimsOf(weight) ?? [];
    if (group === undefined || width === undefined)
      throw notLifted(site, "its kernel is computed", "Export the model again with a constant kernel.");
    // padding where nothing came before: it is what exporters write, and what is recognised
    const all = past ? b.one("Concat", [past, data], { axis: 2 }) : data;
    const attributes = { group, ...(!past && { pads: [width - 1, 0] }) };
    const present = node.outputs[1] ?? "";
    if (present && site.isRead(present)) {
      const padded = past ? all : b.one("Pad", [data, b.ints("pads", [0, 0, width - 1, 0, 0, 0])]);
      const last = [sizeOf(b, data, 2), b.ints("end", [Number.MAX_SAFE_INTEGER]), b.ints("axis", [2])];
      b.add("Slice", [padded, ...last], {}, { outputs: [present] });
    }
    const inputs = [all, weight, bias];
    if (activation === "none") return replacedFirst(site, "Conv", inputs, attributes);
    const value = b.one("Conv", inputs, attributes);
    return replacedFirst(site, "Mul", [value, b.one("Sigmoid", [value])]);
  },
};

const RULES: ReadonlySet<string> = new Set(["linear", "gated", "delta", "gated_delta"]);

/** https://onnx.ai/onnx/operators/onnx__LinearAttention.html: a Scan over time whose state is a matrix for each head of keys. */
const LinearAttention: Row = {
  rewrite(site) {
    const { b, node } = site;
    const [query = "", key = "", value = "", past = "", decay = "", beta = ""] = node.inputs;
    const {
      q_num_heads: queries = 1,
      kv_num_heads: heads = 1,
      scale = 0,
      update_rule: rule = "gated_delta",
    } = node.attributes as { q_num_heads?: number; kv_num_heads?: number; scale?: number; update_rule?: string };
    if (!RULES.has(rule)) throw notLifted(site, `an update rule '${rule}'`, `Use one of ${[...RULES].join(", ")}.`);
    // [B, T, heads * width] to [T, B, heads, width]: Scan takes the first axis apart
    const timeFirst = (data: string, ...inner: number[]) =>
      b.one("Transpose", [b.one("Reshape", [data, b.ints("heads", [0, 0, ...inner])])], {
        perm: inner.length === 3 ? [1, 0, 2, 3, 4] : [1, 0, 2, 3],
      });
    const q = timeFirst(query, heads, queries / heads, -1);
    const k = timeFirst(key, heads, -1);
    const v = timeFirst(value, heads, -1);
    const gates = rule.startsWith("gated") ? [b.one("Exp", [timeFirst(decay, heads, -1)])] : [];
    // one rate for each head, or one for all
    const rates = rule.endsWith("delta")
      ? [b.one("Unsqueeze", [b.one("Transpose", [beta], { perm: [1, 0, 2] }), b.ints("axes", [-1])])]
      : [];
    const dims = b.one("Concat", [sizeOf(b, k, 1), b.ints("heads", [heads]), sizeOf(b, k, 3), sizeOf(b, v, 3)], {
      axis: 0,
    });
    const body = bodyOf(site, rule);
    const given = [past || zerosLike(site, dims, query), q, k, v, ...gates, ...rates];
    const outputs = [node.outputs[1] || b.name("state"), b.name("seen")];
    const [, seen = ""] = b.add(
      "Scan",
      given,
      { body: { graph: body }, num_scan_inputs: given.length - 1 },
      { outputs },
    );
    // [T, B, heads, queries of a head, width] to [B, T, queries * width]
    const packed = b.one("Reshape", [
      b.one("Transpose", [seen], { perm: [1, 0, 2, 3, 4] }),
      b.ints("packed", [0, 0, -1]),
    ]);
    const factor =
      scale === 0
        ? b.one("Div", [scalarOf(site, "one", 1, query), widthRoot(site, q)])
        : scalarOf(site, "scale", scale, query);
    return replacedFirst(site, "Mul", [packed, factor]);
  },
};

function widthRoot(site: Site, q: string): string {
  const { b } = site;
  return b.one("Sqrt", [b.one("Cast", [sizeOf(b, q, 4)], { to: site.typeOf(site.node.inputs[0]!) })]);
}

/** One position: state [B, heads, dk, dv] decayed, corrected, and read by the queries [B, heads, queries of a head, dk]. */
function bodyOf(site: Site, rule: string) {
  const b = site.b.subgraph();
  const info = (hint: string) => ({
    name: site.b.name(hint),
    type: site.typeOf(site.node.inputs[0]!),
    dims: undefined,
  });
  const [state, q, k, v] = [info("state"), info("q"), info("k"), info("v")];
  const gate = rule.startsWith("gated") ? [info("gate")] : [];
  const rate = rule.endsWith("delta") ? [info("rate")] : [];
  const column = (name: string) => b.one("Unsqueeze", [name, b.ints("last", [-1])]);
  const row = (name: string) => b.one("Unsqueeze", [name, b.ints("lastButOne", [-2])]);
  const kept = gate[0] ? b.one("Mul", [state.name, column(gate[0].name)]) : state.name;
  const known = () => b.one("Squeeze", [b.one("MatMul", [row(k.name), kept]), b.ints("lastButOne", [-2])]);
  const added = rate[0] ? b.one("Mul", [b.one("Sub", [v.name, known()]), rate[0].name]) : v.name;
  const next = b.one("Add", [kept, b.one("Mul", [column(k.name), row(added)])]);
  const output = b.one("MatMul", [q.name, next]);
  const graph = b.finish("position", [next, output]);
  return { ...graph, input: [state, q, k, v, ...gate, ...rate].map(valueInfoToProto) };
}

export const STATEFUL: Readonly<Record<string, Row>> = { CausalConvWithState, LinearAttention };
