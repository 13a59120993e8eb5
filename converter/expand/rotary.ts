/**
 * Pairs of channels turned by the angles of their position.
 * https://onnx.ai/onnx/operators/onnx__RotaryEmbedding.html (opset 23)
 */
import type { Builder } from "../graph/build.ts";
import type { Node } from "../graph/graph.ts";
import type { Expansion, Site } from "./expansion.ts";
import { placesOf } from "./places.ts";

export const RotaryEmbedding: Expansion = (b, node, site) => {
  const [x, cos, sin, positions] = node.inputs as [string, string, string, string | undefined];
  const row = (table: string) => (positions ? b.one("Gather", [table, positions], { axis: 0 }) : table);
  return rotate(b, node, site, { x, tables: [cos, sin], row });
};

/** https://github.com/microsoft/onnxruntime/blob/main/docs/ContribOperators.md#com.microsoft.RotaryEmbedding */
export const FusedRotaryEmbedding: Expansion = (b, node, site) => {
  const [x, positions, cos, sin] = node.inputs as [string, string, string, string];
  if (Number(node.attributes.is_packed_batching ?? 0)) return "turns sequences that are packed behind one another";
  const [own, ids] = [site.dimsOf(x), site.dimsOf(positions)];
  if (!own || !ids) return `turns channels by their positions; no sizes are declared for '${own ? positions : x}'`;
  // one number is the position of the first
  const first = ids.length === 1 ? site.numberOf(positions) : 0;
  if (first === undefined) return `begins at a position that is data, '${positions}'`;
  const at = ids.length === 1 ? placesOf(b, x, own.length - 2, first) : positions;
  const row = (table: string) => {
    const rows = b.one("Gather", [table, at], { axis: 0 }, { hint: "rows" });
    return ids.length === 1 ? b.one("Unsqueeze", [rows, b.ints("axis", [0])], {}, { hint: "rows" }) : rows;
  };
  return rotate(b, node, site, { x, tables: [cos, sin], row });
};

interface Rotation {
  readonly x: string;
  /** Cosines and sines. */
  readonly tables: readonly [string, string];
  /** Their rows at the positions, [batch, time, angles]. */
  readonly row: (table: string) => string;
}

interface Turned {
  readonly heads: number;
  /** Half as many as the channels of a head that are turned. */
  readonly angles: number;
  /** Whether those are all. */
  readonly whole: boolean;
  /** Pairs of neighbours, or a channel of the first half and one of the second. */
  readonly interleaved: number;
  /** [batch, time, heads · width] instead of [batch, heads, time, width]. */
  readonly isFlat: boolean;
}

function rotate(b: Builder, { attributes, outputs }: Node, { dimsOf }: Site, rotation: Rotation): true | string {
  const own = dimsOf(rotation.x);
  const isFlat = own ? own.length === 3 : Boolean(attributes.num_heads);
  const known = dimsOf(rotation.tables[0])?.at(-1);
  const part = Number(attributes.rotary_embedding_dim ?? 0);
  const turned = part || (known !== undefined ? 2 * known : isFlat ? undefined : own?.[3]);
  if (turned === undefined) return `turns channels by angles; no sizes are declared for '${rotation.tables[0]}'`;
  const heads = Number(attributes.num_heads ?? 0) || Number(own?.at(-1)) / turned;
  if (isFlat && !Number.isInteger(heads)) return `turns channels by angles; no sizes are declared for '${rotation.x}'`;
  const width = isFlat ? Number(own?.[2]) / heads : own?.[3];
  const interleaved = Number(attributes.interleaved ?? 0);
  const how = { heads, angles: turned / 2, whole: part === 0 || width === turned, interleaved, isFlat };
  rotated(b, rotation, how, outputs[0]);
  return true;
}

/** Turned channels of each head. @param output its name, if it has one */
export function rotated(b: Builder, { x, tables, row }: Rotation, how: Turned, output?: string): string {
  const { heads, angles, whole, interleaved, isFlat } = how;
  // [batch, time, heads, width]
  const apart = isFlat ? b.one("Reshape", [x, b.ints("heads", [0, 0, heads, -1])], {}, { hint: "heads" }) : x;
  const cut = (from: number, to: number, step = 1) =>
    b.one("Slice", [apart, ...[from, to, 3, step].map((each) => b.ints("cut", [each]))], {}, { hint: "part" });
  const [c, s] = tables.map((table) => b.one("Unsqueeze", [row(table), b.ints("axis", [isFlat ? 2 : 1])]));
  const [first, second] = interleaved
    ? [cut(0, 2 * angles, 2), cut(1, 2 * angles, 2)]
    : [cut(0, angles), cut(angles, 2 * angles)];
  const product = (a: string, by: string) => b.one("Mul", [a, by], {}, { hint: "turned" });
  const real = b.one("Sub", [product(first, c!), product(second, s!)], {}, { hint: "turned" });
  const imaginary = b.one("Add", [product(first, s!), product(second, c!)], {}, { hint: "turned" });
  const parts = interleaved ? [paired(b, real, imaginary, 2 * angles)] : [real, imaginary];
  if (!whole) parts.push(cut(2 * angles, 2 ** 31 - 1));
  const named = output === undefined ? { hint: "turned" } : { outputs: [output] };
  const made = b.one("Concat", parts, { axis: 3 }, isFlat ? { hint: "turned" } : named);
  return isFlat ? b.one("Reshape", [made, b.ints("joined", [0, 0, -1])], {}, named) : made;
}

/** [a₀, b₀, a₁, b₁, …] */
function paired(b: Builder, real: string, imaginary: string, width: number): string {
  const apart = [real, imaginary].map((part) => b.one("Unsqueeze", [part, b.ints("axis", [4])], {}, { hint: "pair" }));
  const pairs = b.one("Concat", apart, { axis: 4 }, { hint: "pairs" });
  return b.one("Reshape", [pairs, b.ints("width", [0, 0, 0, width])], {}, { hint: "pairs" });
}
