/** What is made as large as it is already, or flattened and given its own shape again, stays what it is. */
import { shapeRead } from "../graph/shape-read.ts";
import type { Expansion } from "./expansion.ts";

export const Expand: Expansion = (b, node, site) => {
  const [data, shape] = node.inputs as [string, string];
  if (shapeRead(site.producerOf(shape)) !== data) return false;
  b.one("Identity", [data], {}, { outputs: [node.outputs[0]!] });
  return true;
};

export const Reshape: Expansion = (b, node, site) => {
  const [data, shape] = node.inputs as [string, string];
  const own = shapeRead(site.producerOf(shape));
  let from = data;
  for (let made = site.producerOf(from); from !== own && made?.op === "Reshape"; made = site.producerOf(from))
    from = made.inputs[0]!;
  // a tensor without an element may not be flattened so
  if (own === undefined || from !== own) return false;
  b.one("Identity", [own], {}, { outputs: [node.outputs[0]!] });
  return true;
};
